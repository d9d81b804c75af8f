#!/usr/bin/env python3
"""Build the library with a mistake in it and see that the tests of concurrency notice.

  run.py [--cc CC] [--work DIR] [--only NAME] [--extra] [--seeds N]

mutants.toml says what is replaced where, which programs must fail and what they must complain of. The mistakes are made
in a copy of src/ below the work directory; a text that is not found exactly once is an error, so that a mutant does not
quietly become none. The copy without a mistake passes the same commands first. With --seeds each mutant meets that many
seeds, to see how far the bounds in mutants.toml are from what is needed.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What the soft backend consists of; nothing here needs another library.
FOLDERS = ["core", "flowtable", "fastpath", "backends/soft"]
FLAGS = ["-std=c11", "-O1", "-g", "-pthread", "-D_GNU_SOURCE=", "-DFO_BACKEND_SOFT=1", "-DFO__STEPS=1",
         "-DHAVE_COROUTINES=1"]
PROGRAM_SECONDS = 300


class Broken(Exception):
    """The mutants themselves are at fault, or what they are made of."""


class Bench:
    """Objects of the library and of the test programs; a mutant compiles only the files it changes."""

    def __init__(self, cc, work, programs):
        self.cc = shlex.split(cc)
        self.work = work
        self.programs = programs
        self.sources = sorted(p for f in FOLDERS for p in (ROOT / "src" / f).glob("*.c"))

    def compile(self, source, out, src):
        command = self.cc + FLAGS + ["-I", str(ROOT / "include"), "-I", str(src), "-c", str(source), "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{source}: {done.stderr[-2000:]}")
        return out

    def objects(self, src, names):
        """Compile these files of a copy of src/ beside it; {name: object}."""
        out = src.parent / "objects"
        out.mkdir(exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {n: pool.submit(self.compile, src / n, out / (n.replace("/", "-") + ".o"), src) for n in names}
            return {n: job.result() for n, job in jobs.items()}

    def build_original(self):
        src = self.work / "original" / "src"
        shutil.copytree(ROOT / "src", src)
        self.library = self.objects(src, [str(p.relative_to(ROOT / "src")) for p in self.sources])
        self.tests = {}
        for program in self.programs:
            for name in program["files"]:
                out = src.parent / (name.replace("/", "-") + ".o")
                self.tests[name] = self.compile(ROOT / "tests" / name, out, src)
        return self.link(src.parent, {})

    def link(self, where, changed):
        objects = {**self.library, **changed}
        for program in self.programs:
            parts = [str(self.tests[f]) for f in program["files"]] + [str(o) for o in objects.values()]
            command = self.cc + ["-pthread", "-Wl,--wrap=getrandom", "-o", str(where / program["name"])] + parts
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Broken(done.stderr[-2000:])
        return where

    def build_mutant(self, mutant):
        src = self.work / mutant["name"] / "src"
        shutil.copytree(ROOT / "src", src)
        for edit in mutant["edit"]:
            path = src / edit["file"]
            text = path.read_text(encoding="utf-8")
            if text.count(edit["find"]) != 1:
                raise Broken(f"{mutant['name']}: src/{edit['file']} has its text {text.count(edit['find'])} times, "
                             f"not once:\n{edit['find']}")
            path.write_text(text.replace(edit["find"], edit["replace"]), encoding="utf-8")
        return self.link(src.parent, self.objects(src, self.affected({edit["file"] for edit in mutant["edit"]})))

    def affected(self, names):
        """The sources that change with these files."""
        headers = {str(ROOT / "src" / n) for n in names if n.endswith(".h")}
        affected = {n for n in names if n.endswith(".c")}
        for source in self.sources if headers else []:
            command = self.cc + FLAGS + ["-I", str(ROOT / "include"), "-I", str(ROOT / "src"), "-MM", str(source)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            if headers & set(done.stdout.replace("\\\n", " ").split()):
                affected.add(str(source.relative_to(ROOT / "src")))
        return sorted(affected)


def run(where, program, seed, more=()):
    """(exit status, output) of one program; None as status: it did not end."""
    command = [str(where / program["name"]), *program["args"], *more]
    if program.get("seed"):
        command += ["--seed", str(seed)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              timeout=PROGRAM_SECONDS)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace") + "\n(it did not end)"
    signal = f"\n(ended by signal {-done.returncode})" if done.returncode < 0 and done.returncode != -6 else ""
    return done.returncode, done.stdout + signal


def last_line(output):
    lines = output.strip().splitlines()
    return lines[-1] if lines else "(silent)"


def more_arguments(check, mutants):
    """What these mutants add to the arguments of a check: [()] when it takes none."""
    named = check.get("arguments")
    return sorted({(m[named],) for m in mutants}) if named else [()]


def check_original(where, checks, mutants):
    """One verdict a check of the copy without a mistake, with all arguments that it gets for mutants."""
    verdicts = []
    for check in checks:
        for more in more_arguments(check, mutants):
            status, output = run(where, check, check.get("seed"), more)
            verdicts.append(status == 0)
            print(f"{'ok  ' if status == 0 else 'FAIL'} original under {' '.join((check['label'], *more))}: "
                  f"{last_line(output)}", flush=True)
    return verdicts


def check_mutant(where, mutant, checks, seeds):
    """One verdict a check and seed."""
    verdicts = []
    for check in checks:
        wanted = [mutant["complaint"], check.get("also", "").format(**mutant)]
        first = check.get("seed", 0)
        for seed in range(first, first + (seeds if first else 1)):
            status, output = run(where, check, seed, more_arguments(check, [mutant])[0])
            good = status not in (0, 2, None) and all(re.search(w, output) for w in wanted)
            verdicts.append(bool(good))
            print(f"{'ok  ' if good else 'FAIL'} {mutant['name']} under {check['label']}"
                  f"{f' seed {seed}' if first else ''}: {last_line(output)}"
                  f"{'' if good else f' (wanted: {wanted})'}", flush=True)
    return verdicts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--only")
    parser.add_argument("--extra", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    table = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))
    checks = [{**program, **check} for program in table["program"] for check in program["check"]
              if options.extra or not check.get("extra")]
    mutants = [m for m in table["mutant"] if options.only in (None, m["name"])]
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        bench = Bench(options.cc, pathlib.Path(work), table["program"])
        try:
            verdicts = check_original(bench.build_original(), checks, mutants)
            for mutant in mutants:
                verdicts += check_mutant(bench.build_mutant(mutant), mutant, checks, options.seeds)
        except Broken as broken:
            print(f"mutants: {broken}")
            return 1
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
