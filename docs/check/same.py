#!/usr/bin/env python3
"""Test: a document equals what a program prints, or contains a source file word for word.

  same.py output PROGRAM DOCUMENT   the whole document is the program's output, but for columns of its tables that
                                    are of backends which this build lacks
  same.py quote SOURCE DOCUMENT     one fenced block of the document is the source file
"""
import difflib
import os
import pathlib
import re
import shlex
import subprocess
import sys

# How programs for another processor are run.
WRAPPER = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))


def differences(want, have, want_name, have_name):
    return list(difflib.unified_diff(have.splitlines(), want.splitlines(), have_name, want_name, lineterm=""))


def cells(line):
    return line.strip("|").split("|")


def tables(text):
    """Numbers of the lines of each table that has a column for each backend."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(("| capability |", "| limit |"))]
    return [[i for i in range(start, next((j for j in range(start, len(lines)) if not lines[j]), len(lines)))]
            for start in starts]


def built_columns(text, printed):
    """The document without the columns that the program has not printed."""
    lines, said = text.splitlines(), printed.splitlines()
    for table, model in zip(tables(text), tables(printed)):
        known = {cell.strip() for cell in cells(said[model[0]])}
        kept = [n for n, cell in enumerate(cells(lines[table[0]])) if cell.strip() in known]
        for i in table:
            row = cells(lines[i])
            lines[i] = "|" + "|".join(row[n] for n in kept if n < len(row)) + "|"
    return "\n".join(lines) + "\n"


def output(program, document):
    run = subprocess.run([*WRAPPER, program], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return [f"{program} failed with {run.returncode}: {run.stderr.strip()}"]
    text = built_columns(pathlib.Path(document).read_text(encoding="utf-8"), run.stdout)
    problems = differences(run.stdout, text, "as printed", document)
    if problems:
        problems.append(f"this mends it, from a build of all backends: {program} >{document}")
    return problems


def quote(source, document):
    want = pathlib.Path(source).read_text(encoding="utf-8")
    blocks = re.findall(r"^```c\n(.*?)^```$", pathlib.Path(document).read_text(encoding="utf-8"), re.M | re.S)
    if want in blocks:
        return []
    if not blocks:
        return [f"{document}: no block of C"]
    nearest = max(blocks, key=lambda block: difflib.SequenceMatcher(None, want, block).ratio())
    return differences(want, nearest, source, document)


def main():
    problems = {"output": output, "quote": quote}[sys.argv[1]](*sys.argv[2:])
    print("\n".join(problems) if problems else f"{sys.argv[3]}: agrees with {sys.argv[2]}")
    print(f"{0 if problems else 1} passed, {1 if problems else 0} failed, 0 skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
