#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The backend tc with real packets through the simulated hardware; in the lab: live.py MODULE BUILD [CASE...].

Closes with `N passed, N failed, N skipped`.
"""
import contextlib
import errno
import fnmatch
import os
import random
import signal
import subprocess
import sys
import time
import traceback

from world import World, counters, expect, rules, run, until, write

KILLS = 50


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


def rows(w):
    """Rules of flows in the hardware: guards are not."""
    return [rule for rule in rules() if rule["do"] == "forward"] if w else []


def udp_with_nat_goes_through_hardware(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        expect("[HW_OFFLOAD]" in w.add("udp"), "it says so")
        expect(len(rows(w)) == 2, f"a rule a direction: {rules()}")
        w.fast()
        until(lambda: "packets=10 bytes=290 " in w.ask("list") and "packets=10 bytes=330 " in w.ask("list"),
              "IP bytes, each direction by itself")
        w.stop()
        expect(rules() == [] and filters(w) == [], "the server took everything back")


def tcp_ends_clean(module, build):
    for link in ("plain", "vlan"):
        with world(module, build, link=link) as w:
            w.serve("--accept-linger")
            sock, thread = w.stream("10.0.2.2")
            w.add("tcp")
            slow, data = w.slow_packets(), os.urandom(200000)
            sock.sendall(data[:100000])
            got = b""
            while len(got) < 100000:
                got += sock.recv(65536)
            expect(got == data[:100000], "what was echoed is what was sent")
            expect(w.slow_packets() - slow < 10, f"the router saw {w.slow_packets() - slow} packets of the stream")
            sock.close()
            thread.join()
            until(lambda world=w: not world.flows(), "the flow closes")
            shown = run("ip netns exec", w.namespaces["r"], "conntrack -L -p tcp")
            expect("TIME_WAIT" in shown or "LAST_ACK" in shown, f"conntrack saw the end: {shown}")
            expect(w.wrong_checksums() == 0, "every checksum was right")
            expect(rows(w) == [], f"no rule is left: {rows(w)}")


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


def filters_of_others_stay(module, build):
    with world(module, build) as w:
        run("ip netns exec", w.namespaces["r"], "tc qdisc add dev fo0 ingress")
        run("ip netns exec", w.namespaces["r"],
            "tc filter add dev fo0 ingress prio 7 protocol ip flower ip_proto icmp src_ip 192.0.2.9 action drop")
        before = filters(w)
        w.serve("--accept-linger")
        w.ping()
        w.add("udp")
        w.fast()
        said = w.serve_another()
        expect("another table" in said, f"a second owner is refused: {said}")
        w.stop()
        expect(filters(w) == before, f"{filters(w)} is not {before}")
        expect("ingress" in run("ip netns exec", w.namespaces["r"], "tc qdisc show dev fo0"), "their qdisc stays")
        expect("clsact" not in run("ip netns exec", w.namespaces["r"], "tc qdisc show dev fo1"), "ours goes")
        run("ip netns exec", w.namespaces["r"],
            "tc filter add dev fo1 egress prio 50001 protocol ip flower ip_proto icmp action drop", fails=True)
        run("ip netns exec", w.namespaces["r"],
            "tc filter add dev fo0 ingress prio 50004 protocol ip flower ip_proto icmp action drop")
        said = w.serve("--accept-linger", fails=True)
        expect("filters of others" in said, f"a priority that others have: {said}")


def without_consent_nothing_is_done(module, build):
    with world(module, build) as w:
        said = w.serve(fails=True)
        expect("FO_TABLE_ACCEPT_LINGER" in said, said)
        expect(filters(w) == [], "nothing is there")


def refusals_leave_nothing(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        for skip in (0, 1):
            write("fail", f"{errno.ENOSPC} {skip} 1 The table is full")
            said = w.refused("udp")
            expect("full" in said and "The table is full" in said, f"rule {skip}: {said}")
            expect(rows(w) == [], f"both or none: {rows(w)}")
        write("refuse", "in1")
        said = w.refused("udp")
        expect("unsupported" in said and rows(w) == [], f"one direction refused: {said} {rows(w)}")
        adds = counters()["added"] + counters()["refused"]
        said = w.refused("udp")
        expect(counters()["added"] + counters()["refused"] == adds and "moment ago" in said,
               f"the driver is not asked again: {said}")


def a_port_that_goes_down_takes_no_packets_with_it(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        w.add("udp")
        w.ip("r", "link set fo1 down")
        until(lambda: not w.flows(), "its flows end")
        expect(rows(w) == [], f"no rule is left: {rows(w)}")


def threads_wait_for_the_driver(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger", "--tc-threads", "2")
        w.ping()
        w.add("udp")  # guards wait for the driver, once a port
        until(lambda: "[HW_OFFLOAD]" in w.ask("list"), "the first is in hardware")
        w.ask("del", "--all")
        write("delay_add_ms", 3000)
        said = w.add("udp")
        expect("[ARMED]" in said and rows(w) == [], f"the next does not wait: {said} {rows(w)}")
        until(lambda: "[HW_OFFLOAD]" in w.ask("list"), "then it is in hardware")
        w.fast()
        w.ask("del", "--all")
        expect(rows(w) == [], "and out")
        w.add("udp")
        w.ask("del", "--all")
        until(lambda: not w.flows(), "a delete overtakes its add")
        expect(rows(w) == [], "and nothing is left")
        w.add("udp")
        w.stop()
        expect(rules() == [], f"nor by the end: {rules()}")


def an_engine_is_taken_as_one(module, build):
    with world(module, build, "ppe") as w:
        expect("profile ppe" in w.serve_text("--accept-linger"), "by itself")
        w.ping()
        w.add("udp")
        w.fast()
        said = w.stop_and_serve("--accept-linger", "--tc-profile", "explicit", fails=True)
        expect("TTL" in said or "refused" in said, f"explicit is refused in its words: {said}")


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


CASES = [udp_with_nat_goes_through_hardware, tcp_ends_clean, a_killed_server_leaves_what_the_next_removes,
         filters_of_others_stay, without_consent_nothing_is_done, refusals_leave_nothing,
         a_port_that_goes_down_takes_no_packets_with_it, threads_wait_for_the_driver, an_engine_is_taken_as_one,
         killed_at_random_moments_it_leaves_nothing_for_good]


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
