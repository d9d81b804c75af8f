#!/usr/bin/env python3
"""plot.py BUILD [SIZE,SIZE...]: measures nanoseconds a packet over table size and keeps them as BUILD/results/plot-NAME.json; report.py
draws them. What is measured is PLOTS below, of those sizes the ones asked for; one that does not fit in memory is left out
and said so.
"""
import pathlib
import sys

import programs

# The tables that are there for context take one key at a time and minutes to fill beyond a million; there the peers that
# the targets are against go on without them.
CONTEXT, PEERS = [1000, 8000, 60000, 250000, 1000000], [4000000, 10000000]
SIZES = CONTEXT + PEERS
PLOTS = {
    "lookup": [{"program": "lookup", "sizes": CONTEXT, "arguments": ["--case", "=v4-all-hit,=v4-all-miss"],
                "bytes": 1400, "timeout_s": 900},
               {"program": "lookup", "sizes": PEERS, "arguments": ["--case", "=v4-hit,=v4-miss"],
                "bytes": 700, "timeout_s": 900}],
    "path": [{"program": "path", "sizes": SIZES[:-1], "arguments": ["--case", "=v4-nat"], "bytes": 1000,
              "timeout_s": 900}],
}


def main(build, sizes):
    missing = 0
    unknown = [str(size) for size in sizes if size not in SIZES]
    if unknown:
        sys.exit(f"plot: sizes are {', '.join(map(str, SIZES))}, not {', '.join(unknown)}")
    for name, runs in PLOTS.items():
        runs = [{**run, "sizes": [size for size in run["sizes"] if size in sizes]} for run in runs]
        about = programs.machine()

        def keep(lines, problems, name=name, about=about):
            programs.write(build / "results" / f"plot-{name}.json",
                           {"machine": about, "problems": problems, "lines": lines})

        lines, problems = programs.run_all(build, runs, keep)
        for problem in problems:
            print(f"problem: {problem}")
        missing += not lines
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: plot.py BUILD [SIZE,SIZE...]")
    sys.exit(main(pathlib.Path(sys.argv[1]), list(map(int, sys.argv[2].split(","))) if sys.argv[2:] else SIZES))
