#!/usr/bin/env python3
"""targets_check.py: what targets.py makes of lines that are known: good figures, short ones, none; and that programs.py
survives programs that crash, hang, print nonsense or are not there. Run by meson test.
"""
import pathlib
import stat
import sys
import tempfile

import programs
import targets

LINES = [
    {"bench": "b", "case": "c", "n": 8, "who": "flowoffload", "ns": 10.0, "ratio": 1.0},
    {"bench": "b", "case": "c", "n": 8, "who": "hard", "ns": 18.0, "ratio": 1.8},
    {"bench": "b", "case": "c", "n": 8, "who": "soft", "ns": 30.0, "ratio": 3.0},
    {"bench": "b", "case": "c", "n": 8, "who": "floor", "ns": 5.0, "ratio": 0.5},
    {"bench": "b", "case": "d", "n": 8, "figure": 12.0, "unit": "us"},
    {"bench": "b", "case": "d", "n": 0, "figure": 6.0, "unit": "us"},
]
CASES = [  # a target, its figure, its verdict
    ({"case": "c", "against": ["hard", "soft"], "at_least": 1.7}, 1.8, "ok"),
    ({"case": "c", "against": ["hard", "soft"], "at_least": 1.9}, 1.8, "short"),
    ({"case": "c", "against": ["soft"]}, 3.0, "report"),
    ({"case": "c", "against": ["hard", "soft"], "at_most": 2}, 3.0, "short"),
    ({"case": "c", "against": ["hard", "soft"], "at_most": 3}, 3.0, "ok"),
    ({"case": "c", "against": ["absent", "soft"], "at_least": 2}, 3.0, "ok"),
    ({"case": "c", "against": ["absent"], "at_least": 2}, None, "missing"),
    ({"case": "c", "times": "floor", "at_most": 2.0}, 2.0, "ok"),
    ({"case": "c", "times": "floor", "at_most": 1.9}, 2.0, "short"),
    ({"case": "c", "field": "ns"}, 10.0, "report"),
    ({"case": "c", "field": "ratio", "who": "hard", "at_most": 1.15}, 1.8, "short"),
    ({"case": "d", "unit": "us", "at_most": 12}, 12.0, "ok"),
    ({"case": "d", "unit": "ms", "at_most": 12}, None, "missing"),
    ({"case": "d", "over": {"n": 0}, "at_most": 1.5}, 2.0, "short"),
    ({"case": "d", "over": {"case": "absent"}, "at_most": 1.5}, None, "missing"),
    ({"case": "e"}, None, "missing"),
]
PROGRAMS = {  # a program, what it does, how many lines are kept, how many problems told
    "good": ('echo \'{"bench":"b","case":"c","n":8,"figure":1,"unit":"us"}\'', 1, 0),
    "crashes": ('echo \'{"bench":"b","case":"c","n":8,"figure":1,"unit":"us"}\'; kill -SEGV $$', 1, 1),
    "fails": ("echo no memory >&2; exit 1", 0, 1),
    "hangs": (  # ended by time: how much of it was read does not count
        'echo \'{"bench":"b","case":"c","n":8,"figure":1,"unit":"us"}\'; exec sleep 600', None, 1),
    "notes": ('echo \'{"bench":"b","note":"no peer"}\'', 1, 1),
    "babbles": ("echo {; echo '{\"bench\":1}'; echo 7", 0, 3),
}


def check_verdicts():
    wrong = []
    for target, figure, verdict in CASES:
        got = targets.judge({"name": "t", "bench": "b", **target}, LINES, 8)
        if (got.get("figure"), got["verdict"]) != (figure, verdict):
            wrong.append(f"{target}: {got}")
    for verdicts, status in ((["ok", "report"], 0), (["ok", "short"], 1), (["missing"], 1)):
        if targets.exit_status({"verdict": verdict} for verdict in verdicts) != status:
            wrong.append(f"{verdicts}: not {status}")
    return wrong


def check_programs():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        (build / "bench").mkdir()
        for name, (script, _, _) in PROGRAMS.items():
            path = build / "bench" / f"bench-{name}"
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        for name, (_, n_lines, n_problems) in PROGRAMS.items():
            seen = []
            run = {"program": name, "timeout_s": 1 if n_lines is None else 300}
            lines, problems = programs.run_all(build, [run], lambda lines, problems: seen.append(len(lines)))
            n_lines = len(lines) if n_lines is None else n_lines
            if (len(lines), len(problems), seen) != (n_lines, n_problems, [n_lines]):
                wrong.append(f"{name}: {lines} {problems} {seen}")
        large = {"program": "good", "sizes": [1 << 40], "bytes": 1 << 20}
        for run in ({"program": "absent"}, large):
            lines, problems = programs.run_all(build, [run], lambda lines, problems: None)
            if lines or len(problems) != 1:
                wrong.append(f"{run}: {lines} {problems}")
    return wrong


def main():
    wrong = check_verdicts() + check_programs()
    print("\n".join(wrong) or f"targets: {len(CASES)} verdicts, {len(PROGRAMS)} programs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
