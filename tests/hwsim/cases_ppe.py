# SPDX-License-Identifier: BSD-2-Clause
"""cases_ppe.py - the personality of router silicon: what it refuses, ignores, does by itself."""
import errno

from cases_flower import TCP4, TCP4_OUT
from frames import ACK, FIN, FRAGMENTED, RST, SYN, V4, V4_OUT, V6, V6_OUT
from switch import counters, edits, expect, read, rules, to, tuple_of, write


def nat(switch, before, after, more=""):
    """As a nic's rule, but for the TTL."""
    switch.add(f"{tuple_of(before)} {more}", edits(before, after, ttl=False) + " " + to("fo1"),
               protocol="ipv6" if before.v6 else "ip", prio=3 if before.v6 else 2)


def it_refuses_edits_of_the_ttl_and_rules_without_ports(switch):
    for match, actions, words in (
            (tuple_of(V4), edits(V4, V4_OUT) + " " + to("fo1"), "by itself"),
            ("ip_ttl 0/0xfe", "action trap", "Only connections"),
            ("ip_proto udp src_ip 10.0.1.2 dst_ip 10.0.2.2", to("fo1"), "Only connections"),
            (tuple_of(V4) + " ip_ttl 5", to("fo1"), "cannot be matched"),
            (tuple_of(V4), "action trap", "Only forwarding"),
            (tuple_of(V4), "action drop", "Only forwarding"),
            (tuple_of(V4), "action police mtu 1500 conform-exceed pass/pipe " + to("fo1"), "Policers")):
        said = switch.add(match, actions, fails=True)
        expect(words in said, f"{match} {actions}: {said}")
    expect(rules() == [], "nothing is left of them")


def it_decrements_the_ttl_by_itself(switch):
    for before, after in ((V4, V4_OUT), (V6, V6_OUT), (TCP4, TCP4_OUT)):
        nat(switch, before, after)
        switch.goes(before, "cable1", after)


def it_updates_checksums_unasked(switch):
    words = edits(V4, V4_OUT, ttl=False)
    switch.add(tuple_of(V4), words[:words.index("action csum")] + to("fo1"))
    switch.goes(V4, "cable1", V4_OUT)


def it_ignores_macs_flags_and_fragment_keys_in_silence(switch):
    nat(switch, TCP4, TCP4_OUT, "dst_mac 02:00:00:00:77:77 tcp_flags 0x0/0x7 ip_flags nofrag")
    switch.goes(TCP4, "cable1", TCP4_OUT)
    switch.goes(TCP4.but(dst_mac="02:00:00:00:99:99"), "cable1", TCP4_OUT)
    write("guards", 0)  # silicon without guards of its own: the keys were no guard
    switch.goes(TCP4.but(flags=FIN | ACK), "cable1", TCP4_OUT.but(flags=FIN | ACK))
    switch.goes(TCP4.but(fragment=FRAGMENTED), "cable1", TCP4_OUT.but(fragment=FRAGMENTED))


def it_has_guards_of_its_own(switch):
    nat(switch, TCP4, TCP4_OUT)
    long = bytes(1500 - 40)
    switch.goes(TCP4.but(payload=long), "cable1", TCP4_OUT.but(payload=long))
    for harm, reason in (({"ttl": 1}, "ttl"), ({"ttl": 0}, "ttl"), ({"fragment": FRAGMENTED}, "fragment"),
                         ({"flags": SYN}, "tcp_flags"), ({"flags": RST}, "tcp_flags"), ({"payload": long + b"x"}, "mtu"),
                         ({"dst_mac": "ff:ff:ff:ff:ff:ff"}, "multicast")):
        before = counters()[reason]
        switch.goes(TCP4.but(**harm), "fo0", TCP4.but(**harm))
        expect(counters()[reason] == before + 1, f"{harm} is counted as {reason}")


def it_takes_off_tags_that_no_rule_speaks_of(switch):
    switch.add(tuple_of(V4), f"action vlan push id 7 protocol 802.1q pipe {edits(V4, V4_OUT, ttl=False)} {to('fo1')}")
    switch.goes(V4, "cable1", V4_OUT.but(tags=((0x8100, 7),)))
    switch.clear("fo0")
    switch.add(f"vlan_id 5 vlan_ethtype ip {tuple_of(V4)}", f"{edits(V4, V4_OUT, ttl=False)} {to('fo1')}", protocol="802.1q")
    switch.goes(V4.but(tags=((0x8100, 5),)), "cable1", V4_OUT)


def its_kind_changes_only_while_it_is_empty(switch):
    nat(switch, V4, V4_OUT)
    try:
        write("personality", "nic")
        raise AssertionError("it changed under a rule")
    except OSError as error:
        expect(error.errno == errno.EBUSY, str(error))
    switch.clear("fo0")
    write("personality", "nic")
    expect(read("personality") == "nic\n", "it changed")
    switch.add("ip_ttl 0/0xfe", "action trap")


CASES = [
    it_refuses_edits_of_the_ttl_and_rules_without_ports, it_decrements_the_ttl_by_itself, it_updates_checksums_unasked,
    it_ignores_macs_flags_and_fragment_keys_in_silence, it_has_guards_of_its_own,
    it_takes_off_tags_that_no_rule_speaks_of, its_kind_changes_only_while_it_is_empty,
]
