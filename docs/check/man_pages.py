#!/usr/bin/env python3
"""Test: the man pages are sound.

  man_pages.py SOURCES BUILT MANDOC   MANDOC may be empty: then the pages are not linted, and that is a skip

Every public function has a page of its own name, itself or by a link; the page that it leads to has the function's
prototype in its synopsis, with the arguments of the header; mandoc finds nothing to complain about.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = ["flowoffload.h", "flowoffload-backend.h"]


def prototypes():
    """name -> list of the types and names of its arguments, blanks dropped"""
    found = {}
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", (ROOT / "include" / header).read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        for name, arguments in re.findall(r"\b(fo_[a-z0-9_]+)\s*\(([^()]*)\)\s*;", text):
            found[name] = squeeze(arguments)
    return found


def squeeze(text):
    return re.sub(r"\s+", "", text)


def page_of(name, sources, built):
    own = sources / f"{name}.3"
    if own.is_file():
        return own
    link = built / f"{name}.3"
    if not link.is_file():
        return None
    target = re.fullmatch(r"\.so man3/(\S+)\n", link.read_text(encoding="utf-8"))
    return sources / target.group(1) if target else None


def synopsis(page):
    """name -> arguments, of the .Fn and .Fo lines of a page"""
    text = page.read_text(encoding="utf-8")
    found = {}
    for name, arguments in re.findall(r'^\.Fn (fo_\w+)((?: "[^"]*")+)$', text, re.M):
        found.setdefault(name, squeeze(",".join(re.findall(r'"([^"]*)"', arguments))))
    for name, body in re.findall(r"^\.Fo (fo_\w+)\n(.*?)^\.Fc$", text, re.M | re.S):
        found.setdefault(name, squeeze(",".join(re.findall(r'^\.Fa "([^"]*)"$', body, re.M))))
    return found


def functions(sources, built):
    problems = []
    for name, arguments in sorted(prototypes().items()):
        page = page_of(name, sources, built)
        if page is None or not page.is_file():
            problems.append(f"{name}: no man page leads to it")
        elif synopsis(page).get(name) != arguments:
            problems.append(f"{page.name}: {name}({arguments}) in the header, {synopsis(page).get(name)} here")
    return problems


def lint(pages, mandoc):
    problems = []
    for page in pages:
        run = subprocess.run([mandoc, "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            problems.append(f"{page.name}: {(run.stdout + run.stderr).strip()}")
    return problems


def main():
    sources, built, mandoc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    pages = sorted(sources.glob("*.[1-8]"))
    known = len(prototypes())
    problems = functions(sources, built) if known else ["no functions found in the headers"]
    passed, failed, skipped = known - len(problems), len(problems), 0
    if mandoc:
        complaints = lint(pages, mandoc)
        problems += complaints
        passed += len(pages) - len(complaints)
        failed += len(complaints)
    else:
        skipped = len(pages)
        print("mandoc is not installed: the pages are not linted")
    print("\n".join(problems) if problems else f"{known} functions on {len(pages)} pages")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
