# SPDX-License-Identifier: BSD-2-Clause
"""cases_crash.py - what a killed server leaves behind, and what becomes of it."""
import random
import signal
import subprocess
import time

from world import expect, filters, rows, rules, run, world

KILLS = 50


def a_killed_server_leaves_what_the_next_removes(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        w.add("udp")
        w.stop(signal.SIGKILL)
        expect(len(rows(w)) == 2, "rules linger")
        w.fast()
        w.serve("--accept-linger")
        expect(rows(w) == [], f"the next start removes them: {rows(w)}")
        w.add("udp")
        w.stop(signal.SIGKILL)
        said = run("ip netns exec", w.namespaces["r"], w.program, "clean -d fo0 -d fo1")
        expect(rules() == [] and "2 filters" in said, f"the verb clean removes them: {said} {rules()}")


def killed_at_random_moments_it_leaves_nothing_for_good(module, build):
    moments = random.Random(1)
    with world(module, build) as w:
        w.ping()
        inside, outside = w.sides()
        flow = " ".join(w.entry("udp"))
        at = f"--socket {w.path}"
        churn = f"while {w.program} add {flow} --in {inside} --out {outside} {at}; do {w.program} del --all {at}; done"
        lingered = 0
        for _ in range(KILLS):
            w.serve("--accept-linger")
            expect(rows(w) == [], f"a start removes what was left: {rows(w)}")
            with subprocess.Popen(["bash", "-c", churn], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
                time.sleep(moments.random() / 2)
                w.stop(signal.SIGKILL)
                busy.wait()
            lingered += len(rows(w)) > 0
        expect(lingered, "of all kills some have to leave a rule, else this shows nothing")
        w.serve("--accept-linger")
        w.stop()
        expect(rules() == [] and filters(w) == [], f"nothing is left after {KILLS} kills: {rules()} {filters(w)}")


CASES = [a_killed_server_leaves_what_the_next_removes, killed_at_random_moments_it_leaves_nothing_for_good]
