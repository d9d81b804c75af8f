#!/usr/bin/env python3
"""Count the cases of test programs by their own closing lines; prints `PASSED FAILED SKIPPED`.

  count.py text LOG STATUS    one program's output and exit status
  count.py meson JSON STATUS  the log of `meson test`: one JSON object a test program, and meson's exit status

libcheck closes with `100%: Checks: N, Failures: F, Errors: E`, our own programs with `N passed, N failed, N
skipped`. A program with neither counts as one case by its exit status (77: skipped). A program that counted
no failure but ended badly counts one; so does a run in which nothing was counted at all.
"""
import json
import pathlib
import re
import sys

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
SKIP = 77


def count(text, status):
    passed = failed = skipped = 0
    closing = False
    for checks, failures, errors in CHECK.findall(text):
        closing = True
        passed += int(checks) - int(failures) - int(errors)
        failed += int(failures) + int(errors)
    plain = PLAIN.findall(text)
    if plain:
        closing = True
        passed, failed, skipped = (a + int(b) for a, b in zip((passed, failed, skipped), plain[-1]))
    if status == SKIP and not closing:
        return 0, 0, 1
    if status not in (0, SKIP):
        failed = max(failed, 1)
    elif not closing:
        passed = 1
    return passed, failed, skipped


def meson_status(entry):
    """meson's verdict as an exit status; a timeout or a signal is a failure whatever the program printed."""
    verdict = entry["result"]
    if verdict in ("OK", "EXPECTEDFAIL"):
        return 0
    return SKIP if verdict == "SKIP" else 1


def main():
    kind, path, status = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    totals = [0, 0, 0]
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    if kind == "text":
        totals = list(count(text, status))
    else:
        for line in text.splitlines():
            entry = json.loads(line)
            for i, n in enumerate(count(entry.get("stdout", ""), meson_status(entry))):
                totals[i] += n
        if totals[1] == 0 and (status != 0 or sum(totals) == 0):
            totals[1] = 1
    print(*totals)


if __name__ == "__main__":
    main()
