#!/usr/bin/env python3
"""targets.py BUILD BACKEND [--only PROGRAM [SIZE] | --judge]: the targets that were set, one a line: name, figure, target, reach
and ok, short, report or missing. Exit status 1 when one is short or missing.

targets/BACKEND.json has the programs to run and the targets; see targets/README.md. Programs print JSON lines, one
for each (bench, case, n, who). All lines and verdicts are kept as BUILD/results/targets-BACKEND.json. --only runs one
program, all its sizes or one, and keeps the other lines of the last run; --judge runs nothing.
"""
import json
import pathlib
import sys

import programs

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent


class Missing(Exception):
    """No figure, and why."""


# ---- from lines to figures ---------------------------------------------------------------------------------

def find(lines, bench, case, n, who):
    for line in reversed(lines):
        if (line.get("bench"), line.get("case"), line.get("n")) == (bench, case, n) and \
                line.get("who", who) == who:
            return line
    raise Missing(f"no line of {bench} {case} {n} {who}".rstrip())


def field(line, name):
    if not isinstance(line.get(name), (int, float)):
        raise Missing(f"the line of {line['bench']} {line['case']} has no {name}")
    return line[name]


def against(target, lines, n):
    """The hardest of the peers: (ratio, its name); where at most so much is allowed, the largest."""
    found = []
    for who in target["against"]:
        try:
            found.append((field(find(lines, target["bench"], target["case"], n, who), "ratio"), who))
        except Missing:
            continue
    if not found:
        raise Missing(f"no line of {target['bench']} {target['case']} {n} against {' or '.join(target['against'])}")
    return max(found) if "at_most" in target else min(found)


def figure(target, lines, n):
    """(figure, unit, remark) of a target at one size."""
    bench, case, who = target["bench"], target["case"], target.get("who", "flowoffload")
    if "against" in target:
        ratio, peer = against(target, lines, n)
        return ratio, "x", peer
    if "times" in target:
        return 1 / field(find(lines, bench, case, n, target["times"]), "ratio"), "x", target["times"]
    line = find(lines, bench, case, n, who)
    name = target.get("field", "figure" if "figure" in line else "ns")
    value, unit = field(line, name), {"figure": line.get("unit"), "ratio": "x"}.get(name, name)
    if "unit" in target and unit != target["unit"]:
        raise Missing(f"{bench} {case} {n} is in {unit}, the target in {target['unit']}")
    spread = f"{number(line['least'])} to {number(line['most'])}" if "least" in line and "most" in line else ""
    if "over" in target:
        other = {"bench": bench, "case": case, "n": n, "who": who, "field": name, **target["over"]}
        below = field(find(lines, other["bench"], other["case"], other["n"], other["who"]), other["field"])
        if not below:
            raise Missing(f"{other['bench']} {other['case']} {other['n']} is zero")
        return value / below, "x", ""
    return value, unit, spread


def judge(target, lines, n):
    result = {"name": target["name"], "n": n, **{key: target[key] for key in ("at_least", "at_most", "reach")
                                                 if key in target}}
    try:
        value, unit, remark = figure(target, lines, n)
    except Missing as why:
        return {**result, "verdict": "missing", "why": str(why)}
    good = value >= target.get("at_least", value) and value <= target.get("at_most", value)
    bound = "at_least" in target or "at_most" in target
    return {**result, "figure": round(value, 4), "unit": unit, "peer": remark,
            "verdict": ("ok" if good else "short") if bound else "report"}


def judged(targets, lines):
    return [judge(target, lines, n) for target in targets for n in target.get("n", [0])]


# ---- from figures to text ------------------------------------------------------------------------------------

def size_text(n):
    for unit, letter in ((1000000, "M"), (1000, "k")):
        if n >= unit:
            return f"{n / unit:.3g}{letter}"
    return str(n) if n > 1 else ""


def number(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def row(result):
    """name, figure, target, reach, verdict as text."""
    unit = "" if result.get("unit") == "x" else " " + result.get("unit", "")
    name = ", ".join(filter(None, [result["name"], size_text(result["n"])]))
    measured = "-" if "figure" not in result else f"{number(result['figure'])}{unit or ' x'}"
    if result.get("peer"):
        measured += f" ({result['peer']})"
    target = " and ".join(f"{sign} {number(result[key])}" for key, sign in (("at_least", ">="), ("at_most", "<="))
                          if key in result)
    return [name, measured, target, number(result["reach"]) if "reach" in result else "", result["verdict"]]


def exit_status(results):
    return 1 if any(result["verdict"] in ("short", "missing") for result in results) else 0


def show(results, problems):
    table = [["target", "figure", "must", "reach", ""]] + [row(result) for result in results]
    widths = [max(len(line[i]) for line in table) for i in range(5)]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    for result in results:
        if "why" in result:
            print(f"missing: {result['name']}: {result['why']}")
    for problem in problems:
        print(f"problem: {problem}")
    count = {verdict: sum(result["verdict"] == verdict for result in results)
             for verdict in ("ok", "short", "report", "missing")}
    print(", ".join(f"{number_of} {verdict}" for verdict, number_of in count.items()))
    return exit_status(results)


# ---- the run ------------------------------------------------------------------------------------------------

def load(backend):
    """What is set for a backend; ends with a message when there is nothing."""
    path = HERE / "targets" / f"{backend}.json"
    known = {p.stem for p in (HERE / "targets").glob("*.json")}
    known |= {p.name for p in (PROJECT / "src" / "backends").iterdir() if p.is_dir()}
    if backend not in known:
        print(f"bench: no backend named {backend}; there are: {', '.join(sorted(known))}", file=sys.stderr)
        sys.exit(2)
    if not path.is_file():
        print(f"bench: no targets are set for {backend} in this version")
        sys.exit(0)
    return json.loads(path.read_text(encoding="utf-8"))


def chosen(runs, program, size):
    """The runs of one program, of one size when it is given."""
    runs = [run for run in runs if run["program"] == program]
    if size:
        runs = [{**run, "sizes": [int(size)]} for run in runs if int(size) in run.get("sizes", [])]
    return runs


def usable(arguments):
    option = arguments[2:]
    return len(arguments) >= 2 and (option in ([], ["--judge"]) or (
        option[0] == "--only" and len(option) in (2, 3) and "".join(option[2:]).isdigit() == (len(option) == 3)))


def main(arguments):
    if not usable(arguments):
        print("usage: targets.py BUILD BACKEND [--only PROGRAM [SIZE] | --judge]", file=sys.stderr)
        return 2
    build, backend = pathlib.Path(arguments[0]), arguments[1]
    plan, kept = load(backend), build / "results" / f"targets-{backend}.json"
    runs, old = plan["runs"], {"lines": [], "problems": [], "machine": programs.machine()}
    if len(arguments) > 2:
        if kept.is_file():
            old = json.loads(kept.read_text(encoding="utf-8"))
        runs = [] if arguments[2] == "--judge" else chosen(runs, arguments[3], "".join(arguments[4:]))
        if arguments[2] == "--only" and not runs:
            print(f"bench: no {' '.join(arguments[3:])} in targets/{backend}.json", file=sys.stderr)
            return 2
    about = programs.machine() if runs else old["machine"]

    def keep(lines, problems):
        programs.write(kept, state(lines, problems))

    def state(lines, problems):
        running = {what for run in runs for what in (programs.name_of(run, size) for size in run.get("sizes", [0]))}
        still = [text for text in old["problems"] if text.split(":")[0] not in running]
        both = programs.merged(old["lines"], lines)
        return {"backend": backend, "machine": about, "targets": judged(plan["targets"], both),
                "problems": still + problems, "lines": both}

    keep([], [])
    lines, problems = programs.run_all(build, runs, keep)
    now = state(lines, problems)
    return show(now["targets"], now["problems"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
