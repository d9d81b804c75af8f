#!/usr/bin/env python3
"""Test: the man page of fo-demo has each verb's options, no more and no less.

  options.py FO_DEMO PAGE
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys

# How programs for another processor are run.
WRAPPER = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))


def said_by(program, *verb):
    return subprocess.run([*WRAPPER, program, *verb, "--help"], capture_output=True, text=True, check=True).stdout


def options_of_help(program, verb):
    return set(re.findall(r"(?<![\w-])--([a-z0-9][a-z0-9-]*)", said_by(program, verb))) - {"help"}


def options_of_page(text, verb):
    section = re.search(rf"^\.Ss {verb}$\n(.*?)(?=^\.S[sh] )", text, re.M | re.S)
    return set(re.findall(r"Fl -([a-z0-9][a-z0-9-]*)", section.group(1))) if section else set()


def main():
    program, text = sys.argv[1], pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    verbs = [verb for verb in re.findall(r"^  ([a-z]+)  ", said_by(program), re.M) if verb != "help"]
    failed = 0 if verbs else 1
    for verb in verbs:
        program_has, page_has = options_of_help(program, verb), options_of_page(text, verb)
        for name in sorted(program_has ^ page_has):
            print(f"{verb} --{name}: only {'in --help' if name in program_has else 'on the man page'}")
        failed += program_has != page_has
    print(f"{len(verbs) - failed if verbs else 0} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
