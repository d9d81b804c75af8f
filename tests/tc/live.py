#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The backend tc with real packets through the simulated hardware; in the lab: live.py MODULE BUILD [CASE...].

Closes with `N passed, N failed, N skipped`.
"""
import contextlib
import fnmatch
import os
import subprocess
import sys
import traceback

from world import World, counters, expect, rules, run


@contextlib.contextmanager
def world(module, build, personality="nic", link="plain"):
    made = World(module, build, personality, link)
    try:
        yield made
    finally:
        made.close()
        run("rmmod fo_hwsim")


def filters(w):
    """Lines of flower filters at the router's ports."""
    shown = [run("ip netns exec", w.namespaces["r"], f"tc filter show dev {dev} ingress") for dev in ("fo0", "fo1")]
    return [line for text in shown for line in text.splitlines() if " handle " in line]


def udp_with_nat_goes_through_hardware(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        print(w.add("udp"), end="")
        found = [rule for rule in rules() if rule["do"] != "trap"]
        print(rules())
        w.fast()
        print(w.ask("list"), end="")
        w.stop()
        expect(rules() == [] and filters(w) == [], "the server took everything back")


CASES = [udp_with_nat_goes_through_hardware]


def main():
    module, build, wanted = sys.argv[1], sys.argv[2], sys.argv[3:] or ["*"]
    os.sched_setaffinity(0, {0})
    passed = failed = 0
    for case in CASES:
        if not any(fnmatch.fnmatch(case.__name__, pattern) for pattern in wanted):
            continue
        try:
            case(module, build)
            print(f"ok   {case.__name__}", flush=True)
            passed += 1
        except Exception:  # pylint: disable=broad-except
            print(f"FAIL {case.__name__}\n{traceback.format_exc()}", flush=True)
            failed += 1
            for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
                subprocess.run(["ip", "netns", "del", name], check=False)
            subprocess.run(["rmmod", "fo_hwsim"], stderr=subprocess.DEVNULL, check=False)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
