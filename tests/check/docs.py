#!/usr/bin/env python3
"""Gate: the documents agree with the code.

Every public function is in a man page of section 3 and every man page is installed; the commands that README and
the other documents tell people to type exist in ./dev; links to files lead somewhere; the version is one version.
"""
import pathlib
import re
import sys

import api_functions

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = ["README.md", "HACKING.md", "CHANGELOG.md", "LICENSE", "docs/ARCHITECTURE.md", "docs/BACKENDS.md"]


def read(path):
    return path.read_text(encoding="utf-8")


def documents():
    return sorted(p for p in list(ROOT.glob("*.md")) + list((ROOT / "docs").rglob("*.md"))
                  + list((ROOT / "examples").rglob("*.md")) + list((ROOT / "tests").rglob("*.md")))


def missing_documents():
    return [f"{name}: does not exist" for name in NEEDED if not (ROOT / name).is_file()]


def man_pages():
    pages = sorted((ROOT / "docs" / "man").glob("*.[1-8]"))
    build = ROOT / "docs" / "meson.build"
    builds = [build] + sorted((ROOT / "docs").glob("*/meson.build"))
    installed = "".join(read(path) for path in builds if path.is_file())
    text = "".join(read(page) for page in pages if page.suffix == ".3")
    words = set(re.findall(r"\bfo_[a-z0-9_]+", text))
    functions = api_functions.functions()
    problems = [f"docs/man: {name} is in no page of section 3" for name in functions if name not in words]
    problems += [f"{page.relative_to(ROOT)}: not installed by docs/meson.build"
                 for page in pages if f"'{page.name}'" not in installed and f"/{page.name}'" not in installed]
    for page in pages:
        if page.suffix == ".3" and page.stem.startswith("fo_") and page.stem not in functions:
            problems.append(f"{page.relative_to(ROOT)}: no such function")
    return problems


def commands():
    verbs = set(re.findall(r"^verb_([a-z]+)\(\)", read(ROOT / "dev"), re.M))
    problems = []
    for path in documents():
        for verb in re.findall(r"\./dev ([a-z]+)", read(path)):
            if verb not in verbs:
                problems.append(f"{path.relative_to(ROOT)}: ./dev {verb}: no such verb")
    return problems


def links():
    problems = []
    for path in documents():
        for link in re.findall(r"\]\(([^)#\s]+)", read(path)):
            if not re.match(r"[a-z]+:", link) and not (path.parent / link).exists():
                problems.append(f"{path.relative_to(ROOT)}: link to {link}, which does not exist")
    return problems


def versions():
    header = read(ROOT / "include" / "flowoffload.h")
    numbers = [re.search(rf"#define FO_VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH")]
    project = re.search(r"^\s*version: '([^']+)'", read(ROOT / "meson.build"), re.M).group(1)
    problems = []
    if project != ".".join(numbers):
        problems.append(f"meson.build says {project}, flowoffload.h {'.'.join(numbers)}")
    changes = ROOT / "CHANGELOG.md"
    if changes.is_file() and project not in read(changes):
        problems.append(f"CHANGELOG.md: says nothing of {project}")
    return problems


def main():
    problems = missing_documents() + man_pages() + commands() + links() + versions()
    print("\n".join(problems) if problems else f"docs: {len(documents())} documents agree with the code")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
