#!/usr/bin/env python3
"""Shows the JSON lines of a benchmark as a table: a row a case and size, a column a contestant: ns (ratio); figures that
are no times with their unit."""
import json
import sys


def rows(path):
    """{(case, n): {who: line}} and the contestants in order; notes are printed at once."""
    cases, order = {}, []
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, filter(str.strip, lines)):
            if "note" in line:
                print(f"{line['bench']}: {line['note']}")
                continue
            who = line.setdefault("who", "flowoffload")
            cases.setdefault((line["case"], line["n"]), {})[who] = line
            if who not in order:
                order.append(who)
    return cases, order


def cell(line):
    if line is None:
        return "-"
    if "figure" in line:
        return f"{line['figure']:g} {line['unit']}"
    return f"{line['ns']:.1f}" if line["ratio"] == 1 else f"{line['ns']:.1f} ({line['ratio']:.2f})"


def main():
    cases, order = rows(sys.argv[1])
    table = [["case", "n", *order]]
    table += [[case, str(n), *(cell(found.get(who)) for who in order)] for (case, n), found in cases.items()]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(row, widths))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
