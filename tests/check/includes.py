#!/usr/bin/env python3
"""Gate: a folder includes only what its arrow in docs/ARCHITECTURE.md reaches, and the public headers.

The table below is the architecture. Folders that are not in it (tests/unit, bench) may include anything; the
ones that stand for a stranger's program (examples, tests/conformance) see nothing of src/.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder -> folders under src/ whose headers it may include, besides its own
ARROWS = {
    "src/flowtable": [],
    "src/fastpath": ["flowtable"],
    "src/core": ["flowtable"],
    "src/backends/soft": ["flowtable"],
    "src/netlink": [],
    "src/conntrack": ["netlink"],
    "src/backends/nft": ["netlink", "conntrack", "flowtable"],
    "src/backends/tc": ["netlink", "conntrack", "flowtable"],
    "src/backends/bpf": ["netlink", "conntrack", "flowtable"],
}
# The list of built-in backends is the one place that names them.
EXCEPTIONS = {
    "src/core/builtin.c": re.compile(r"backends/([a-z]+)/\1\.h$"),
}
OUTSIDE = ["examples", "tests/conformance"]
PUBLIC = {"flowoffload.h", "flowoffload-backend.h", "flowoffload-bpf.h", "flowoffload-tc.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]')


def target(source, name):
    """Folder under src/ that an include resolves to, or None when it is not one of ours."""
    for base in (source.parent, ROOT / "src"):
        path = (base / name).resolve()
        if path.is_file() and ROOT / "src" in path.parents:
            return str(path.parent.relative_to(ROOT / "src"))
    return None


def check(source, own, allowed):
    problems = []
    relative = str(source.relative_to(ROOT))
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match or match.group(1) in PUBLIC:
            continue
        folder = target(source, match.group(1))
        if folder is None or folder == own or folder in allowed:
            continue
        if relative in EXCEPTIONS and EXCEPTIONS[relative].search(match.group(1)):
            continue
        problems.append(f"{relative}:{number}: {match.group(1)}: no arrow from {own or 'outside'} to {folder}")
    return problems


def sources(folder):
    return sorted(p for p in (ROOT / folder).rglob("*.[ch]"))


def main():
    problems, seen = [], 0
    for source in sources("src"):
        folder = str(source.parent.relative_to(ROOT))
        seen += 1
        if folder not in ARROWS:
            problems.append(f"{source.relative_to(ROOT)}: {folder} has no row in tests/check/includes.py")
            continue
        problems += check(source, folder[len("src/"):], ARROWS[folder])
    for folder in OUTSIDE:
        for source in sources(folder):
            seen += 1
            problems += check(source, None, [])
    if seen == 0:
        problems.append("includes: no sources found")
    print("\n".join(problems) if problems else f"includes: {seen} files keep to their arrows")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
