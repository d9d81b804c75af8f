"""Runs the benchmark programs of a build for targets.py and plot.py and collects their lines.

A program is bench-NAME in the build or NAME.sh beside this file. Each size is a process of its own, so that one that
crashes, hangs or does not fit in memory loses its own lines and no others; what went wrong is kept as a problem.
"""
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# What the rest of the system keeps of the memory that is there.
SPARE_BYTES = 1 << 30


def machine():
    """What a stranger has to know about where figures were taken."""
    def first(path, key):
        try:
            with open(path, encoding="utf-8") as lines:
                return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "unknown")
        except OSError:
            return "unknown"

    return {"processor": first("/proc/cpuinfo", "model name"), "cpus": len(os.sched_getaffinity(0)),
            "memory": first("/proc/meminfo", "MemTotal"), "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
            "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "commit": commit()}


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False)

    named = git("rev-parse", "--short=12", "HEAD")
    if named.returncode:
        return "unknown"
    changed = git("status", "--porcelain", "--", "../src", "../include", ".").stdout.strip()
    return named.stdout.strip() + (" and changes" if changed else "")


def available():
    with open("/proc/meminfo", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def command(build, name):
    program, script = pathlib.Path(build, "bench", f"bench-{name}"), HERE / f"{name}.sh"
    if program.is_file():
        return [str(program)]
    return [str(script), str(build)] if script.is_file() else None


def pin(cpus):
    """One processor, so that no chunk is measured half here and half there."""
    if cpus == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def is_result(line):
    return isinstance(line, dict) and ("note" in line or isinstance(line.get("n"), int) and
                                       isinstance(line.get("bench"), str) and isinstance(line.get("case"), str))


def parse(text, problems, what):
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if is_result(found):
            lines.append(found)
        elif line.strip():
            problems.append(f"{what}: line {number} is not a result: {line[:80]}")
    return lines


def name_of(run, size):
    """What a process is called in problems, before the colon."""
    return run["program"] + (f" {size}" if size else "")


def run_one(build, run, size, problems):
    """The lines of one process; what went wrong goes to problems."""
    words, what = command(build, run["program"]), name_of(run, size)
    if not words:
        problems.append(f"{what}: no such program in this version, or what it needs is not installed")
        return []
    needed = size * run.get("bytes", 0) + SPARE_BYTES
    if size and needed > available():
        problems.append(f"{what}: left out, it needs {needed / 2**30:.1f} GiB and "
                        f"{available() / 2**30:.1f} GiB are available")
        return []
    words += (["--sizes", str(size)] if size else []) + run.get("arguments", [])
    began, load = time.monotonic(), os.getloadavg()[0]
    print("bench:", " ".join([what, *run.get("arguments", [])]), end="", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=run.get("timeout_s", 900), preexec_fn=lambda: pin(run.get("cpus", 1)))
        output, complaint = done.stdout, done.stderr
        if done.returncode:
            last = (complaint.strip().splitlines() or ["it says nothing"])[-1]
            problems.append(f"{what}: exit status {done.returncode}: {last[:160]}")
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        output = output[:output.rfind("\n") + 1]
        problems.append(f"{what}: not done after {late.timeout:.0f} s")
    print(f": {time.monotonic() - began:.0f} s" + (f", load {load:.1f} before" if load > 1.5 else ""),
          file=sys.stderr, flush=True)
    lines = parse(output, problems, what)
    problems += [f"{what}: {line['note']}" for line in lines if "note" in line]
    return lines


def run_all(build, runs, keep):
    """Runs everything; calls keep(lines, problems) after each process."""
    lines, problems = [], []
    for run in runs:
        for size in run.get("sizes", [0]):
            lines += run_one(build, run, size, problems)
            keep(lines, problems)
    return lines, problems


def key(line):
    return (line.get("bench"), line.get("case"), line.get("n"), line.get("who", ""))


def merged(old, new):
    """New lines replace old ones of the same measurement."""
    taken = {key(line) for line in new if "note" not in line}
    return [line for line in old if "note" not in line and key(line) not in taken] + new


def write(path, value):
    """An item a line. Whole or not at all: a run that is broken off leaves the last complete file."""
    def text(part):
        if isinstance(part, list) and part:
            return "[\n  " + ",\n  ".join(map(json.dumps, part)) + "\n ]"
        return json.dumps(part)

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text("{\n " + ",\n ".join(f"{json.dumps(name)}: {text(part)}" for name, part in value.items())
                     + "\n}\n", encoding="utf-8")
    fresh.replace(path)
