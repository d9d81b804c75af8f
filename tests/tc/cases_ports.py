# SPDX-License-Identifier: BSD-2-Clause
"""cases_ports.py - whose a port is, what it allows, and one that goes down."""
from world import expect, filters, rows, run, until, world


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


def a_port_that_goes_down_takes_no_packets_with_it(module, build):
    with world(module, build) as w:
        w.serve("--accept-linger")
        w.ping()
        w.add("udp")
        w.ip("r", "link set fo1 down")
        until(lambda: not w.flows(), "its flows end")
        expect(rows(w) == [], f"no rule is left: {rows(w)}")


def an_engine_is_taken_as_one(module, build):
    with world(module, build, "ppe") as w:
        expect("profile ppe" in w.serve_text("--accept-linger"), "by itself")
        w.ping()
        w.add("udp")
        w.fast()
        said = w.stop_and_serve("--accept-linger", "--tc-profile", "explicit", fails=True)
        expect("TTL" in said or "refused" in said, f"explicit is refused in its words: {said}")


CASES = [filters_of_others_stay, without_consent_nothing_is_done, a_port_that_goes_down_takes_no_packets_with_it,
         an_engine_is_taken_as_one]
