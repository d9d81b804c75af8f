#!/usr/bin/env python3
"""Gate: nothing unfinished, nothing dead and no trace of the machine it was written on, in any text file.

The words are put together from halves here, so that this file passes its own gate.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

RULES = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "unfinished work belongs in an issue"),
    (re.compile(r"^\s*#\s*if\s+" r"0\b"), "dead code"),
    (re.compile(r"<<<<" r"<<<|>>>>" r">>>"), "a merge left open"),
    (re.compile(r"/ho" r"me/[a-z]+|/ro" r"ot/[a-z.]"), "a path of one machine"),
]
NAMES = re.compile(r"(^|[_-])(util|utils|misc|help" r"er|helpers|common|manager)([_.-]|$)")
# Directories that every Debian has; a checkout below another one betrays that machine by its first component.
STANDARD = {"bin", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var"}


def rules():
    first = ROOT.parts[1] if len(ROOT.parts) > 1 else ""
    here = str(ROOT) if first in STANDARD else "/" + first + "/"
    return RULES + [(re.compile(r"(?<![\w.])" + re.escape(here)), "a path of this machine")]


def files():
    """What is in git or could be added to it; a tree without git: everything but build/."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                             capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name]
    return [p for p in ROOT.rglob("*") if p.relative_to(ROOT).parts[0] not in ("build", ".git")]


def main():
    problems, seen, active = [], 0, rules()
    for path in sorted(set(files())):
        if not path.is_file():
            continue
        name = path.relative_to(ROOT)
        if NAMES.search(path.name):
            problems.append(f"{name}: a name that says nothing")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        seen += 1
        for number, line in enumerate(text.splitlines(), 1):
            problems += [f"{name}:{number}: {why}: {line.strip()[:80]}" for rule, why in active if rule.search(line)]
    if seen == 0:
        problems.append("words: no files found")
    print("\n".join(problems) if problems else f"words: {seen} files are clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
