# SPDX-License-Identifier: BSD-2-Clause
"""cases_flower.py - rules of tc in a nic: matched, rewritten, forwarded before the stack, counted; guards as told."""
from frames import ACK, FAR_MAC, FIN, FRAGMENTED, LATER, NEAR_MAC, SYN, TCP, V4, V4_OUT, V6, V6_OUT
from switch import counters, edits, expect, packets_of, rules, run, to, tuple_of

TCP4, TCP4_OUT = V4.but(proto=TCP), V4_OUT.but(proto=TCP)


def nat(switch, before, after, more="", **where):
    switch.add(f"{tuple_of(before)} {more}", edits(before, after) + " " + to("fo1"),
               protocol="ipv6" if before.v6 else "ip", prio=3 if before.v6 else 2, **where)


def a_hit_is_rewritten_and_the_stack_sees_nothing(switch):
    for before, after in ((V4, V4_OUT), (V6, V6_OUT), (TCP4, TCP4_OUT), (V6.but(proto=TCP), V6_OUT.but(proto=TCP))):
        nat(switch, before, after)
        switch.goes(before, "cable1", after)
    expect(len(rules()) == 4 and all(rule["packets"] == "1" for rule in rules()), f"four rules hit once: {rules()}")
    expect(switch.shown().count("in_hw_count 1") == 4, "tc says that they are in hardware")
    expect(counters()["forwarded"] == 4, "counted as forwarded")


def a_miss_arrives_as_it_was(switch):
    nat(switch, V4, V4_OUT)
    for other in (V4.but(sport=7778), V4.but(dst="10.0.2.3"), V4.but(proto=TCP), V6, V4.but(tags=((0x8100, 5),)),
                  V4.but(session=9), V4.but(options=b"\x94\x04\0\0"), V4.but(payload=bytes(1400)).but(dport=1)):
        switch.goes(other, "fo0", other)
    switch.goes(V4, "fo1", V4, enters="cable1")  # the rule is another port's


def malformed_frames_arrive_as_they_were(switch):
    nat(switch, V4, V4_OUT)
    good = V4.bytes()
    for bad in (good[:20], good[:33], good[:41], good[:-1], good[:16] + b"\x00\x13" + good[18:],
                good[:38] + b"\x00\x07" + good[40:], good[:38] + b"\xff\xff" + good[40:], good[:14] + b"\x44" + good[15:],
                good[:14] + b"\x55" + good[15:], good[:12] + b"\x81\x00\x00\x05\x81\x00\x00\x06\x81\x00\x00\x07" + good[12:],
                good[:12] + b"\x88\x64\x11\x00\x00\x07\xff\xff\x00\x21" + good[14:]):
        switch.goes(bad, "fo0", bad)


def the_host_sends_to_the_cable(switch):
    switch.goes(V4, "cable0", V4, enters="fo0")


def padding_does_not_leave(switch):
    nat(switch, V4, V4_OUT)
    switch.goes(V4.but(padding=9), "cable1", V4_OUT)


def a_wrong_checksum_stays_wrong_and_none_stays_none(switch):
    nat(switch, V4, V4_OUT)
    nat(switch, TCP4, TCP4_OUT)
    switch.goes(V4.but(l4_checksum=0), "cable1", V4_OUT.but(l4_checksum=0))
    wrong = switch.send("cable0", TCP4.but(l4_wrong_by=0x1234))["cable1"][0]
    right = TCP4_OUT.bytes()
    at = 14 + 20 + 16
    expect(wrong[:at] == right[:at] and wrong[at + 2:] == right[at + 2:] and wrong != right, "only the checksum is off")


def checksums_follow_only_when_told(switch):
    words = edits(V4, V4_OUT)
    switch.add(tuple_of(V4), words[:words.index("action csum")] + to("fo1"))
    out = switch.send("cable0", V4)["cable1"][0]
    expect(out != V4_OUT.bytes() and out[40:42] == V4.bytes()[40:42], "a rule without csum leaves the old checksum")


def dscp_is_written(switch):
    for before, after in ((V4, V4_OUT.but(tos=0xb8)), (V6, V6_OUT.but(tos=0xb8))):
        nat(switch, before, after)
        switch.goes(before, "cable1", after)


def tags_are_pushed_popped_and_replaced(switch):
    plain, moved = V4.but(dst_mac=FAR_MAC, src_mac=NEAR_MAC), edits(V4, V4.but(dst_mac=FAR_MAC, src_mac=NEAR_MAC), ttl=False)
    tag, other = (0x8100, 5), (0x88a8, 7)
    one = f"vlan_id 5 vlan_ethtype ip {tuple_of(V4)}"
    two = f"vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 cvlan_ethtype ip {tuple_of(V4)}"
    push = "action vlan push id 5 protocol 802.1q pipe"
    push_two = push + " action vlan push id 7 protocol 802.1ad priority 3 pipe"
    pop = "action vlan pop pipe "
    for match, protocol, actions, before, after in (
            (tuple_of(V4), "ip", push, (), (tag,)),
            (tuple_of(V4), "ip", push_two, (), ((0x88a8, 3 << 13 | 7), tag)),
            (one, "802.1q", pop, (tag,), ()),
            (one, "802.1q", "action vlan modify id 9 protocol 802.1q pipe", (tag,), ((0x8100, 9),)),
            (one, "802.1q", "", (tag,), (tag,)),
            (two, "802.1ad", pop, (other, tag), (tag,)),
            (two, "802.1ad", pop + pop, (other, tag), ()),
            (two, "802.1ad", pop + pop + "action vlan push id 2 protocol 802.1q pipe", (other, tag), ((0x8100, 2),))):
        switch.add(match, f"{actions} {moved} {to('fo1')}", protocol=protocol)
        switch.goes(V4.but(tags=before), "cable1", plain.but(tags=after))
        for tags in ((), (tag,), ((0x8100, 6),), (other, tag), (other, (0x8100, 6))):
            if tags != before:
                switch.goes(V4.but(tags=tags), "fo0", V4.but(tags=tags))
        switch.clear("fo0")


def a_session_is_matched(switch):
    out = V4.but(dst_mac=FAR_MAC, src_mac=NEAR_MAC, session=9, ttl=63)
    switch.add(f"pppoe_sid 9 ppp_proto ip {tuple_of(V4)}", f"{edits(V4, out)} {to('fo1')}", protocol="ppp_ses")
    switch.goes(V4.but(session=9), "cable1", out)
    switch.goes(V4.but(session=8), "fo0", V4.but(session=8))
    switch.goes(V4, "fo0", V4)


def without_guards_a_nic_forwards_what_it_should_not(switch):
    """What makes a test of guards one that can fail."""
    nat(switch, TCP4, TCP4_OUT)
    for harm in ({"ttl": 1}, {"flags": FIN | ACK}, {"fragment": FRAGMENTED}, {"payload": bytes(1600)}):
        after = dict(harm, ttl=0) if "ttl" in harm else harm
        switch.goes(TCP4.but(**harm), "cable1", TCP4_OUT.but(**after))
    wrong = TCP4.but(dst_mac="02:00:00:00:99:99")
    switch.goes(wrong, "cable1", TCP4_OUT)


def guards_send_to_the_host_what_they_are_for(switch):
    switch.add("ip_ttl 0/0xfe", "action trap", prio=1)
    switch.add(f"{tuple_of(TCP4)} dst_mac {TCP4.dst_mac} tcp_flags 0x0/0x7 ip_flags nofrag",
               f"action police mtu 1514 conform-exceed pass/pipe {edits(TCP4, TCP4_OUT)} {to('fo1')}")
    switch.goes(TCP4, "cable1", TCP4_OUT)
    whole = bytes(1514 - 14 - 40)
    switch.goes(TCP4.but(payload=whole), "cable1", TCP4_OUT.but(payload=whole))
    for harm in ({"ttl": 1}, {"ttl": 0}, {"flags": FIN | ACK}, {"flags": SYN}, {"fragment": FRAGMENTED},
                 {"fragment": LATER}, {"dst_mac": "02:00:00:00:99:99"}, {"payload": whole + b"x"}):
        switch.goes(TCP4.but(**harm), "fo0", TCP4.but(**harm))
    found = counters()
    expect((found["forwarded"], found["trapped"], found["mtu"]) == (2, 2, 1), f"counted by reason: {found}")


def the_first_by_priority_wins(switch):
    nat(switch, V4, V4_OUT)
    switch.add("ip_proto udp", "action drop", prio=1)
    expect(switch.send("cable0", V4) == {}, "dropped by the rule before")
    run("tc filter del dev fo0 ingress prio 1")
    switch.goes(V4, "cable1", V4_OUT)


def statistics_are_those_of_the_hardware(switch):
    nat(switch, V4, V4_OUT)
    switch.send("cable0", *([V4] * 10))
    size = len(V4.bytes())
    expect(packets_of(switch.shown()) == (10 * size, 10), f"tc says what passed: {switch.shown()}")
    switch.send("cable0", V4)
    expect(packets_of(switch.shown()) == (11 * size, 11), "and goes on from there")
    expect((rules()[0]["packets"], rules()[0]["bytes"]) == ("11", str(11 * size)), "the hardware agrees")


def what_the_switch_cannot_do_is_refused(switch):
    for match, actions, words in (
            (tuple_of(V4), to("lo"), "not of this switch"),
            (tuple_of(V4), "action mirred egress mirror dev fo1", "cannot be done"),
            ("ip_proto icmp type 8", to("fo1"), "cannot be matched"),
            (tuple_of(V4), "action pedit ex munge udp sport set 1 pipe action drop", "not forwarded"),
            (tuple_of(V4), "action pedit munge offset 12 u16 set 0x1234 pipe " + to("fo1"), ""),
            (tuple_of(V4), "action police rate 1mbit burst 10k conform-exceed drop/pipe " + to("fo1"), "length of frames"),
            ("src_ip 10.0.0.0/8", "action pedit ex munge udp sport set 1 pipe " + to("fo1"), "is not matched")):
        said = switch.add(match, actions, fails=True)
        expect(words in said, f"{match} {actions}: {said}")
    expect(rules() == [], "nothing is left of them")


CASES = [
    a_hit_is_rewritten_and_the_stack_sees_nothing, a_miss_arrives_as_it_was, malformed_frames_arrive_as_they_were,
    the_host_sends_to_the_cable, padding_does_not_leave, a_wrong_checksum_stays_wrong_and_none_stays_none,
    checksums_follow_only_when_told, dscp_is_written, tags_are_pushed_popped_and_replaced, a_session_is_matched,
    without_guards_a_nic_forwards_what_it_should_not, guards_send_to_the_host_what_they_are_for,
    the_first_by_priority_wins, statistics_are_those_of_the_hardware, what_the_switch_cannot_do_is_refused,
]
