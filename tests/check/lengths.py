#!/usr/bin/env python3
"""Gate: files one can read in one sitting (500 lines), functions that fit a screen (80 lines).

A function runs from the brace in column 0 to the closing one; the public header, a manual, is exempt.
Every file opens with a comment that says what it is for.
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_LINES = 500
FUNCTION_LINES = 80
FOLDERS = ["src", "examples", "tests", "bench", "docs"]
SUFFIXES = {".c", ".h", ".py", ".sh"}


def functions(lines):
    """(line number of the name, length) of each function of a C file."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def opens_with_comment(lines):
    head = [line for line in lines[:4] if not line.startswith(("#!", "/* SPDX", "// SPDX"))]
    return bool(head) and head[0].startswith(("/*", "#", '"""', "//"))


def main():
    problems, seen = [], 0
    files = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    for path in sorted(files) + [ROOT / "dev"]:
        name = path.relative_to(ROOT)
        lines = path.read_text(encoding="utf-8").splitlines()
        seen += 1
        if len(lines) > FILE_LINES:
            problems.append(f"{name}: {len(lines)} lines, at most {FILE_LINES}")
        if not opens_with_comment(lines):
            problems.append(f"{name}:1: does not open with a comment that says what it is for")
        if path.suffix in (".c", ".h"):
            for start, length in functions(lines):
                if length > FUNCTION_LINES:
                    problems.append(f"{name}:{start}: function of {length} lines, at most {FUNCTION_LINES}")
    print("\n".join(problems) if problems else f"lengths: {seen} files fit")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
