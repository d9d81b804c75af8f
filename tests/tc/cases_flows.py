# SPDX-License-Identifier: BSD-2-Clause
"""cases_flows.py - flows through the hardware, and what the server says of them."""
import errno
import os

from world import counters, expect, filters, rows, rules, run, until, world, write


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


CASES = [udp_with_nat_goes_through_hardware, tcp_ends_clean, refusals_leave_nothing, threads_wait_for_the_driver]
