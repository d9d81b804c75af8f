# SPDX-License-Identifier: BSD-2-Clause
"""cases_blocks.py - ports that share one block of filters, in which others have theirs."""
import signal

from world import expect, rows, rules, run, world

FOREIGN = "prio 7 protocol ip flower ip_proto icmp src_ip 192.0.2.9 action drop"


def tc(w, words):
    return run("ip netns exec", w.namespaces["r"], "tc", words)


def share(w):
    """Both ports in block 7, and a filter of others there; what tc shows then."""
    for port in ("fo0", "fo1"):
        tc(w, f"qdisc add dev {port} ingress_block 7 clsact")
    tc(w, f"filter add block 7 {FOREIGN}")
    return tc(w, "filter show block 7")


def filters_name_their_device_in_a_shared_block(module, build):
    with world(module, build) as w:
        before = share(w)
        w.serve("--accept-linger")
        w.ping()
        expect("[HW_OFFLOAD]" in w.add("udp"), "it says so")
        expect(sorted(row["in"] for row in rows(w)) == ["fo0", "fo1"], f"a rule a direction: {rules()}")
        shown = tc(w, "filter show block 7")
        expect(shown.count("indev fo0") == 2 and shown.count("indev fo1") == 2, f"guards and flows name it: {shown}")
        w.fast()
        said = w.serve_another()
        expect("another table" in said, f"a second owner is refused: {said}")
        w.ask("del", "--all")
        expect(rows(w) == [], f"no rule is left: {rows(w)}")
        w.add("udp")
        w.stop()
        expect(tc(w, "filter show block 7") == before, "filters of others stay, ours go")
        expect("ingress_block 7" in tc(w, "qdisc show dev fo0"), "so does the qdisc")


def a_killed_server_leaves_a_shared_block_to_be_cleaned(module, build):
    with world(module, build) as w:
        before = share(w)
        for clean in (False, True):
            w.serve("--accept-linger")
            w.ping()
            w.add("udp")
            w.stop(signal.SIGKILL)
            w.fast()
            if clean:
                run("ip netns exec", w.namespaces["r"], w.program, "clean -d fo0 -d fo1")
            else:
                w.serve("--accept-linger")
                w.stop()
            expect(tc(w, "filter show block 7") == before, f"filters of others stay, ours go: {tc(w, 'filter show block 7')}")


def hardware_that_cannot_tell_ports_apart_is_refused(module, build):
    with world(module, build, "ppe") as w:
        before = share(w)
        said = w.serve("--accept-linger", fails=True)
        expect("unsupported" in said, said)
        expect(tc(w, "filter show block 7") == before, "nothing is left")


CASES = [filters_name_their_device_in_a_shared_block, a_killed_server_leaves_a_shared_block_to_be_cleaned,
         hardware_that_cannot_tell_ports_apart_is_refused]
