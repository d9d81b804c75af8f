#!/usr/bin/env python3
"""Print the names of the functions that the public headers declare, one a line.

Read by symbols.sh (map against headers) and docs.py (man pages against headers).
"""
import pathlib
import re

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include"


def functions():
    names = set()
    for header in ("flowoffload.h", "flowoffload-backend.h"):
        text = re.sub(r"/\*.*?\*/", "", (INCLUDE / header).read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        names |= set(re.findall(r"\b(fo_[a-z0-9_]+)\s*\(", text))
    return sorted(names)


if __name__ == "__main__":
    print("\n".join(functions()))
