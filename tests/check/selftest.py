#!/usr/bin/env python3
"""Seed one fault a gate into a small tree and see that the gate finds it, and that it is content without the fault; and
see that steps count what they should.

The gates take the tree they are in for the project, so each case copies them into a temporary one.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OPEN = "/* a.c - opens as it should. */\n"
LONG = "int f(void)\n{\n" + "\tg();\n" * 79 + "}\n"

# gate, file to write, contents that the gate accepts, contents that it must refuse
CASES = [
    ("includes.py", "src/flowtable/a.c", '#include "flowoffload.h"\n', '#include "core/b.h"\n'),
    ("includes.py", "src/core/a.c", '#include "flowtable/b.h"\n', '#include "backends/soft/b.h"\n'),
    ("includes.py", "examples/a.c", "#include <flowoffload.h>\n", '#include "../src/core/b.h"\n'),
    ("lengths.py", "src/core/a.c", OPEN + LONG.replace("\tg();\n", "", 1), OPEN + LONG),
    ("lengths.py", "src/core/a.c", OPEN + "\n" * 499, OPEN + "\n" * 500),
    ("lengths.py", "src/core/a.c", OPEN, "int a;\n"),
    ("words.py", "src/core/a.c", OPEN, "/* TO" "DO: later */\n"),
    ("words.py", "src/core/a.c", "#if 1\n#endif\n", "#if " "0\n#endif\n"),
    ("words.py", "src/core/a.c", OPEN, "/* see /ho" "me/somebody */\n"),
    ("words.py", "src/core/a.c", OPEN, "/* {root} */\n"),
    ("format.sh", "src/core/a.c", "int f(void)\n{\n\treturn 0;\n}\n", "int f(void) {\n  return 0; }\n"),
    ("shell.sh", "tests/a.sh", "#!/bin/sh\necho \"$1\"\n", "#!/bin/sh\ncd $1\n[ $1 == 2 ]\n"),
    ("headers.sh", "include/flowoffload-backend.h", None, "#include \"flowoffload.h\"\nstruct fo_x { int new; };\n"),
    ("headers.sh", "include/flowoffload-backend.h", None, "size_t fo_x(void);\nstatic int y(int a) { return 0; }\n"),
]

# text of a log, exit status, expected count
COUNTS = [
    ("100%: Checks: 7, Failures: 0, Errors: 0\n", 0, "7 0 0"),
    ("80%: Checks: 5, Failures: 1, Errors: 0\n", 1, "4 1 0"),
    ("ok a\n3 passed, 0 failed, 2 skipped\n", 0, "3 0 2"),
    ("3 passed, 0 failed, 2 skipped\n", 139, "3 1 2"),
    ("no closing line\n", 0, "1 0 0"),
    ("no closing line\n", 1, "0 1 0"),
    ("no permission\n", 77, "0 0 1"),
]

# what runs beside `gate here true`, the closing line of both
BESIDE = [
    ("gate there true", "2 passed, 0 failed, 0 skipped"),
    ("gate there false; gate after true", "2 passed, 1 failed, 0 skipped"),
    ("gate there sh -c 'echo reason; exit 77'", "1 passed, 0 failed, 1 skipped"),
    ("gate there true; exit 0", "1 passed, 1 failed, 0 skipped"),
]


def tree(directory):
    root = pathlib.Path(directory)
    shutil.copytree(HERE, root / "tests" / "check", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "include", root / "include")
    for name in (".clang-format", "dev"):
        shutil.copy(ROOT / name, root / name)
    for name in ("src/core/b.h", "src/flowtable/b.h", "src/backends/soft/b.h", "examples/b.h"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("/* b.h - to be included. */\n", encoding="utf-8")
    return root


def gate_status(gate, name, contents):
    with tempfile.TemporaryDirectory() as directory:
        root = tree(directory)
        if contents is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.replace("{root}", str(root.resolve()) + "/x"), encoding="utf-8")
        run = subprocess.run([root / "tests" / "check" / gate], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


def check_gate(case):
    gate, name, good, bad = case
    for contents, wanted in ((good, 0), (bad, 1)):
        status, output = gate_status(gate, name, contents)
        if status != wanted:
            return f"{gate} on {contents!r} in {name}: status {status}, expected {wanted}\n{output}"
    return None


def check_count(case):
    text, status, wanted = case
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as log:
        log.write(text)
        log.flush()
        run = subprocess.run([HERE / "count.py", "text", log.name, str(status)], capture_output=True, text=True,
                             check=True)
    return None if run.stdout.strip() == wanted else f"count.py on {text!r}: {run.stdout.strip()}, expected {wanted}"


def check_beside(case):
    steps, wanted = case
    script = f"set -euo pipefail; logs=$1; cd {ROOT}; . tests/check/steps.sh; there() {{ {steps}; }}; " \
        "beside lane there; gate here true; joined; summary"
    with tempfile.TemporaryDirectory() as logs:
        run = subprocess.run(["bash", "-c", script, "bash", logs], capture_output=True, text=True, check=False)
    closing = run.stdout.splitlines()[-1:]
    if closing == [wanted] and (run.returncode == 0) == (", 0 failed" in wanted):
        return None
    return f"steps {steps!r} beside another: {closing}, status {run.returncode}, expected {wanted!r}\n{run.stderr}"


def main():
    problems = [check_gate(case) for case in CASES] + [check_count(case) for case in COUNTS]
    problems += [check_beside(case) for case in BESIDE]
    failed = [problem for problem in problems if problem]
    for problem in failed:
        print(problem)
    print(f"{len(problems) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
