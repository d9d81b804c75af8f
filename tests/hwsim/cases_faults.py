# SPDX-License-Identifier: BSD-2-Clause
"""cases_faults.py - every fault that can be ordered happens, as ordered and no longer; and what the kernel makes of it."""
import errno
import subprocess
import time

from cases_flower import TCP4, TCP4_OUT, nat
from frames import V4, V4_OUT, V6, V6_OUT
from switch import counters, edits, expect, packets_of, read, rules, run, to, tuple_of, until, write


def a_full_table_says_so(switch):
    write("capacity", 1)
    nat(switch, V4, V4_OUT)
    said = switch.refusal()
    expect(said == (errno.ENOSPC, "fo_hwsim: The flow table is full"), str(said))
    switch.add(tuple_of(TCP4), to("fo1"), fails=True)
    switch.goes(V4, "cable1", V4_OUT)
    switch.clear("fo0")
    switch.add(tuple_of(TCP4), to("fo1"))


def an_ordered_error_comes_with_its_words_when_it_is_due(switch):
    write("fail", f"{errno.EBUSY} 1 2 the firmware is asleep")
    good, bad = V4, V4.but(sport=1)
    switch.add(tuple_of(good), to("fo1"))
    for _ in range(2):
        said = switch.refusal()
        expect(said == (errno.EBUSY, "the firmware is asleep"), str(said))
    switch.add(tuple_of(bad), to("fo1"))
    expect(len(rules()) == 2 and counters()["refused"] == 2, f"one before and one after: {rules()}")
    write("fail", f"{errno.EIO} 0 5")
    write("fail", "0")
    switch.add(tuple_of(V4.but(sport=2)), to("fo1"))


def without_skip_sw_a_refusal_is_silent(switch):
    write("fail", f"{errno.EOPNOTSUPP}")
    switch.add(tuple_of(V4), to("fo1"), flags="")
    expect("not_in_hw" in switch.shown() and rules() == [], "success, and not in hardware")
    # By software: taps see what arrives before tc does.
    expect(switch.send("cable0", V4) == {"fo0": [V4.bytes()], "cable1": [V4.bytes()]}, "the host forwards it, not the hardware")
    switch.clear("fo0")  # no rule of the hardware tells of it


def each_ability_can_be_missing(switch):
    vlan = "action vlan push id 5 protocol 802.1q pipe"
    both = edits(V4, V4_OUT)
    needs = {
        "ipv4": (tuple_of(V4), "", "ip"), "ipv6": (tuple_of(V6), "", "ipv6"), "tcp": (tuple_of(TCP4), "", "ip"),
        "udp": (tuple_of(V4), "", "ip"), "vlan": (tuple_of(V4), vlan, "ip"),
        "qinq": (tuple_of(V4), vlan + " " + vlan, "ip"),
        "pppoe": (f"pppoe_sid 9 ppp_proto ip {tuple_of(V4)}", "", "ppp_ses"), "nat": (tuple_of(V4), both, "ip"),
        "ttl": (tuple_of(V6), edits(V6, V6), "ipv6"), "dscp": (tuple_of(V4), edits(V4, V4.but(tos=8), ttl=False), "ip"),
        "guards": ("ip_ttl 1", "", "ip"),
        "police": (tuple_of(V4), "action police mtu 1000 conform-exceed pass/pipe", "ip"),
        "in0": (tuple_of(V4), "", "ip"),
    }
    for ability, (match, actions, protocol) in needs.items():
        write("refuse", ability)
        expect(read("refuse").split() == [ability], "it is read back")
        said = switch.add(match, f"{actions} {to('fo1')}", protocol=protocol, fails=True)
        expect("fo_hwsim: Told to" in said, f"{ability}: {said}")
        write("refuse", "in1")
        switch.add(match, f"{actions} {to('fo1')}", protocol=protocol)
        switch.clear("fo0")


def one_direction_can_be_refused(switch):
    write("refuse", "in1")
    expect(switch.refusal("fo1") == (errno.EOPNOTSUPP, "fo_hwsim: Told to take no rule for this port"), "errno and words")
    switch.add(tuple_of(V4), to("fo1"))
    said = switch.add(tuple_of(V4), to("fo0"), dev="fo1", fails=True)
    expect("no rule for this port" in said, said)


def unknown_orders_are_refused(switch):
    del switch
    for name, text in (("refuse", "flying"), ("refuse", "in9"), ("refuse", "in1x"), ("fail", "EIO"), ("fail", "99999"),
                       ("stats", "often"), ("personality", "npu"), ("refuse", "x" * 300)):
        try:
            write(name, text)
        except OSError:
            continue
        raise AssertionError(f"{name} took {text[:20]}")


def each_operation_can_be_slow(switch):
    """At least as long as ordered; how much longer is not judged."""
    def takes(name, call):
        write(name, 300)
        begin = time.monotonic()
        call()
        write(name, 0)
        expect(time.monotonic() - begin >= 0.3, f"{name} was no delay")

    takes("delay_add_ms", lambda: nat(switch, V4, V4_OUT))
    takes("delay_stats_ms", switch.shown)
    takes("delay_delete_ms", lambda: switch.clear("fo0"))


def statistics_can_be_refused_and_lost(switch):
    nat(switch, V4, V4_OUT)
    size = len(V4.bytes())
    write("stats", "refused")
    switch.send("cable0", V4)
    expect(packets_of(switch.shown()) == (0, 0), "refused: tc knows nothing")
    write("stats", "on")
    expect(packets_of(switch.shown()) == (size, 1), "and learns it later")
    write("stats", "lost")
    switch.send("cable0", V4, V4)
    expect(packets_of(switch.shown()) == (size, 1), "lost: read, and told to nobody")
    write("stats", "on")
    switch.send("cable0", V4)
    expect(packets_of(switch.shown()) == (2 * size, 2), "for ever")
    expect(rules()[0]["packets"] == "4", "but the hardware had counted them")


def bytes_can_be_those_of_the_ip_packet(switch):
    write("count_l3", "Y")
    nat(switch, V4, V4_OUT)
    switch.send("cable0", V4.but(padding=9))
    expect(packets_of(switch.shown()) == (len(V4.bytes()) - 14, 1), "without Ethernet and padding")


def a_port_that_is_down_takes_nothing(switch):
    nat(switch, V4, V4_OUT)
    for device in ("cable1", "fo1"):
        run(f"ip link set {device} down")
        expect(switch.send("cable0", V4) == {}, "the frame is gone")
        other = "fo1" if device == "cable1" else "cable1"
        until(lambda end=other: "NO-CARRIER" in run(f"ip link show {end}"), f"{other} has no carrier")
        run(f"ip link set {device} up")
        switch.linked()
        switch.goes(V4, "cable1", V4_OUT)
    expect(counters()["link_down"] == 2, "counted")


def offload_off_takes_no_rules_and_stays_on_under_them(switch):
    nat(switch, V4, V4_OUT)
    subprocess.run(["ethtool", "-K", "fo0", "hw-tc-offload", "off"], capture_output=True, check=False)
    expect("hw-tc-offload: on" in run("ethtool -k fo0"), "not while there are rules")
    switch.clear("fo0")
    # The kernel keeps the wish that the driver refused, and asks a driver only about one that is new.
    run("ethtool -K fo0 hw-tc-offload on")
    run("ethtool -K fo0 hw-tc-offload off")
    said = switch.add(tuple_of(V4), to("fo1"), fails=True)
    expect("TC offload is disabled" in said, said)


def a_shared_block_has_a_rule_in_each_port(switch):
    for i in (2, 3):
        run(f"tc qdisc del dev fo{i} clsact")
        run(f"tc qdisc add dev fo{i} ingress_block 7 clsact")
    run(f"tc filter add block 7 prio 2 protocol ip handle 1 flower skip_sw {tuple_of(V4)}", edits(V4, V4_OUT), to("fo1"))
    expect(sorted(rule["in"] for rule in rules()) == ["fo2", "fo3"], "one rule, two places")
    expect("in_hw_count 2" in run("tc filter show block 7"), "tc counts them")
    for i in (2, 3):
        switch.goes(V4, "cable1", V4_OUT, enters=f"cable{i}")
    expect(packets_of(run("tc -s filter show block 7")) == (2 * len(V4.bytes()), 2), "and adds them up")
    run("tc qdisc del dev fo2 clsact")
    expect([rule["in"] for rule in rules()] == ["fo3"], "a port that leaves takes its own")


CASES = [
    a_full_table_says_so, an_ordered_error_comes_with_its_words_when_it_is_due, without_skip_sw_a_refusal_is_silent,
    each_ability_can_be_missing, one_direction_can_be_refused, unknown_orders_are_refused, each_operation_can_be_slow,
    statistics_can_be_refused_and_lost, bytes_can_be_those_of_the_ip_packet, a_port_that_is_down_takes_nothing,
    offload_off_takes_no_rules_and_stays_on_under_them, a_shared_block_has_a_rule_in_each_port,
]
# These leave the devices otherwise than they found them.
SPOIL = [offload_off_takes_no_rules_and_stays_on_under_them, a_shared_block_has_a_rule_in_each_port]
