# SPDX-License-Identifier: BSD-2-Clause
"""programs_run.py - cases of programs.py and its like, one after the other, each with a router of its own."""
import signal
import subprocess
import tempfile
import time
import traceback

import programs_net


def hangs(_, frame):
    raise TimeoutError("it hangs: " + " > ".join(f"{at.name}:{at.lineno}" for at in traceback.extract_stack(frame)[-4:]))


def passes(make, case, program):
    signal.alarm(10 * programs_net.PATIENCE)
    with tempfile.TemporaryDirectory() as scratch:
        net = make()
        try:
            case(net, program, scratch)
            return True
        except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError, LookupError) as wrong:
            signal.alarm(0)
            print(f"     {type(wrong).__name__} {wrong}\n{net.picture()}")
            return False
        finally:
            signal.alarm(0)
            net.close()


def run(cases, program):
    """@cases: (what makes a router, what is done with it). The exit status."""
    signal.signal(signal.SIGALRM, hangs)
    passed = 0
    for make, case in cases:
        began = time.monotonic()
        ok = passes(make, case, program)
        passed += ok
        print(f"{'ok  ' if ok else 'FAIL'} {case.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed, 0 skipped")
    return 0 if passed and passed == len(cases) else 1
