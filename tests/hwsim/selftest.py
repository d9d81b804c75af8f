#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The simulated hardware's own tests; inside the lab, as root: selftest.py MODULE [CASE...], with CASE a pattern.

What cases_*.py promise is shown with real frames and the kernel's own tools; `./dev hwsim KERNEL` builds and runs this. A
kernel that complains fails the run by itself (docs/LAB.md). Closes with `N passed, N failed, N skipped`.
"""
import fnmatch
import os
import subprocess
import sys
import traceback

import cases_faults
import cases_flower
import cases_flowtable
import cases_life
import cases_ppe
from switch import Switch


class Bench:
    """One switch for many cases, as new for each: to load the module every time takes too long in the lab."""

    def __init__(self):
        self.switch = None

    def run(self, module, case, personality):
        if not self.switch:
            self.switch = Switch(module)
        try:
            self.switch.reset(personality)
            case(self.switch)
            if case in cases_faults.SPOIL:
                self.close()
            else:
                self.switch.reset(personality)
        except BaseException:
            self.switch = None
            raise

    def close(self):
        switch, self.switch = self.switch, None
        if switch:
            switch.close()


def cases(bench):
    for group, module, personality in (("flower", cases_flower, "nic"), ("faults", cases_faults, "nic"),
                                       ("ppe", cases_ppe, "ppe")):
        for case in module.CASES:
            yield f"{group}/{case.__name__}", lambda path, c=case, p=personality: bench.run(path, c, p)
    for group, module in (("flowtable", cases_flowtable), ("life", cases_life)):
        for case in module.CASES:
            yield f"{group}/{case.__name__}", lambda path, c=case: (bench.close(), c(path))


def clean():
    """After a failure: what its case left behind must not fail the next."""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    for name in (name for name in names if name.startswith("hwsim")):
        subprocess.run(["ip", "netns", "del", name], check=False)
    subprocess.run(["rmmod", "fo_hwsim"], stderr=subprocess.DEVNULL, check=False)


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    if not os.path.exists("/run/lab/command"):
        print("0 passed, 0 failed, 1 skipped: it loads a kernel module and changes settings; run it by ./dev hwsim, in the lab")
        return 77
    module, wanted = sys.argv[1], sys.argv[2:] or ["*"]
    os.sched_setaffinity(0, {0})
    # What the kernel would send by itself on new devices.
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w", encoding="ascii") as file:
        file.write("1")
    passed, failed, bench = 0, 0, Bench()
    for name, case in cases(bench):
        if not any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
            continue
        try:
            case(module)
            print(f"ok   {name}", flush=True)
            passed += 1
        except Exception:  # pylint: disable=broad-except
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
            failed += 1
            bench.switch = None
            clean()
    bench.close()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
