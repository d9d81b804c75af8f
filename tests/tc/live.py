#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The backend tc with real packets through the simulated hardware; in the lab: live.py MODULE BUILD [--case GLOB].

The cases are in cases_*.py. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import fnmatch
import os
import subprocess
import sys
import traceback

import cases_adopt
import cases_blocks
import cases_crash
import cases_flows
import cases_gone
import cases_ports
import cases_software

GROUPS = {"flows": cases_flows, "ports": cases_ports, "blocks": cases_blocks, "software": cases_software, "gone": cases_gone,
          "crash": cases_crash, "adopt": cases_adopt}


def wanted(pattern):
    for group, module in GROUPS.items():
        for case in module.CASES:
            if fnmatch.fnmatch(f"{group}/{case.__name__}", pattern):
                yield f"{group}/{case.__name__}", case


def clean():
    """After a failure: what its case left behind must not fail the next."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        subprocess.run(["ip", "netns", "del", name], check=False)
    subprocess.run(["rmmod", "fo_hwsim"], stderr=subprocess.DEVNULL, check=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("build")
    parser.add_argument("--case", default="*")
    given = parser.parse_args()
    os.sched_setaffinity(0, {0})
    passed = failed = 0
    for name, case in wanted(given.case):
        try:
            case(given.module, given.build)
            print(f"ok   {name}", flush=True)
            passed += 1
        except Exception:  # pylint: disable=broad-except
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
            failed += 1
            clean()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
