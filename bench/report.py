#!/usr/bin/env python3
"""report.py BUILD: takes the results of the last runs into docs/performance/, draws the plots and writes the figures into
docs/PERFORMANCE.md, between its marker lines. report.py --check: the page agrees with docs/performance/*.json.

A marker is <!-- figures: WHAT NAME -->; what follows it up to <!-- end --> is written here. WHAT is one of
machine, targets, times, problems; NAME is a file of docs/performance/ without its ending.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import programs
import targets

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGE, KEPT = DOCS / "PERFORMANCE.md", DOCS / "performance"
MARKER = re.compile(r"(<!-- figures: (\w+) ([\w-]+)((?: [\w-]+)*) -->\n)(.*?)(<!-- end -->)", re.S)
GNUPLOT = """set terminal pngcairo size 1000,{height} font "DejaVu Sans,11"
set output "{png}"
set multiplot layout 1,{panels}
set logscale x 10
set format x "10^{{%T}}"
set xlabel "directions in the table"
set ylabel "ns"
set logscale y 2
set yrange [1:*]
set key bottom right
set grid
"""


def table(rows):
    """Rows of cells, the first being the head, as a table of Markdown; figures to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines) + "\n"


# ---- blocks -----------------------------------------------------------------------------------------------

def machine_text(kept, _):
    about = kept["machine"]
    return (f"{about['processor']}, {about['cpus']} processors, {about['memory']}, Linux {about['kernel']}, "
            f"{about['system']}; taken {about['taken']} at commit {about['commit']}.\n")


def targets_text(kept, _):
    rows = [["what", "figure", "must", "reach", ""]]
    for result in kept["targets"]:
        row = targets.row(result)
        row[4] = "**short**" if row[4] == "short" else row[4]
        rows.append([cell.replace("|", "\\|") for cell in row])
    return table(rows)


def times_text(kept, arguments):
    """A row a size, a column a contestant, of the cases that the marker names."""
    lines = [line for line in kept["lines"] if line.get("case") in arguments and "ns" in line]
    names = list(dict.fromkeys(line["who"] for line in lines))
    found = {(line["n"], line["who"]): line for line in lines}
    rows = [["directions", *names]]
    for n in sorted({line["n"] for line in lines}):
        rows.append([targets.size_text(n), *(f"{found[n, who]['ns']:.1f}" if (n, who) in found else ""
                                            for who in names)])
    return table(rows)


def problems_text(kept, _):
    return "".join(f"- {problem}\n" for problem in kept["problems"]) or "None.\n"


BLOCKS = {"machine": machine_text, "targets": targets_text, "times": times_text, "problems": problems_text}


def rendered(page):
    def block(match):
        head, what, name, arguments, _, end = match.groups()
        path = KEPT / f"{name}.json"
        if not path.is_file():
            return head + "Not measured yet.\n" + end
        kept = json.loads(path.read_text(encoding="utf-8"))
        return head + BLOCKS[what](kept, arguments.split()) + end

    return MARKER.sub(block, page)


# ---- plots ---------------------------------------------------------------------------------------------------

def panel(lines, title):
    names = list(dict.fromkeys(line["who"] for line in lines))
    blocks = [f'set title "{title}"\n']
    for at, who in enumerate(names):
        points = sorted((line["n"], line["ns"]) for line in lines if line["who"] == who)
        blocks.append(f"$data{at} << EOD\n" + "".join(f"{n} {ns}\n" for n, ns in points) + "EOD\n")
    curves = []
    for at, who in enumerate(names):
        style = "lw 3 pt 7" if who == "flowoffload" else "dt 2 lw 1 pt 0" if who.startswith("floor") else "lw 1.5 pt 4"
        curves.append(f'$data{at} using 1:2 with linespoints {style} title "{who.replace("_", chr(92) * 2 + "_")}"')
    return "".join(blocks) + "plot " + ", ".join(curves) + "\n"


def draw(name, panels):
    """panels: [(cases, title)]; nothing is drawn of cases without lines."""
    path = KEPT / f"{name}.json"
    if not path.is_file():
        return
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
    wanted = [([line for line in lines if line.get("case") in cases and "ns" in line], title)
              for cases, title in panels]
    wanted = [(found, title) for found, title in wanted if found]
    if not wanted:
        return
    script = GNUPLOT.format(png=KEPT / f"{name}.png", height=460, panels=len(wanted))
    script += "".join(panel(found, title) for found, title in wanted) + "unset multiplot\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def take(build):
    """Copy what was kept; what was not run again stays as it is in docs/performance/."""
    KEPT.mkdir(exist_ok=True)
    for source in sorted((build / "results").glob("*.json")):
        if source.stem.startswith(("targets-", "plot-")):
            programs.write(KEPT / source.name, json.loads(source.read_text(encoding="utf-8")))


def main(arguments):
    if len(arguments) != 1:
        sys.exit("usage: report.py BUILD | --check")
    page = PAGE.read_text(encoding="utf-8")
    if arguments == ["--check"]:
        if rendered(page) != page:
            print("docs/PERFORMANCE.md: differs from docs/performance/*.json; ./dev bench publish --kept writes it")
            return 1
        print(f"performance: {len(MARKER.findall(page))} blocks agree with docs/performance")
        return 0 if MARKER.search(page) else 1
    take(pathlib.Path(arguments[0]))
    if shutil.which("gnuplot"):
        draw("plot-lookup", [(["v4-all-hit", "v4-hit"], "look-up and touch of the record, IPv4"),
                             (["v4-all-miss", "v4-miss"], "miss, IPv4")])
        draw("plot-path", [(["v4-nat"], "packet path, 64 bytes, IPv4 with NAT")])
    else:
        print("report: no gnuplot (Debian: gnuplot-nox): the plots stay as they are", file=sys.stderr)
    PAGE.write_text(rendered(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
