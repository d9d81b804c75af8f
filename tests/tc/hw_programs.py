#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real programs through the simulated switch, with the router's namespace as slow path; in the lab: hw_programs.py MODULE
BUILD [--case GLOB].

Several curls at once, each byte compared, and iperf3 (TCP and UDP, both ways at once), over IPv4 and IPv6, through the
routers of tests/nft/programs_net.py. Their connections are offloaded while they run, by backend tc: then a counter in the
forward hook stands still; when traffic stops, `fo-demo list`, `tc -s filter show` and `conntrack -L` say the same; the end
is clean. The same programs as for backend nft (tests/nft/programs.py) go by policy in its hardware mode. Closes with
`N passed, N failed, N skipped`.
"""
import argparse
import fnmatch
import functools
import os
import sys

import hw_net
import programs_net
import programs_run
from hw_files import DOWNLOADS, transfers
from programs import STEADY, Demo, Server4, carries, iperf3_on_the_short_cut, lost_without_offload
from programs_net import until

MOST_AT_END = 8  # packets of a connection's end that take the slow path


def answered(flags, proto):
    """UDP is assured when it has gone both ways by the slow path for two seconds: later than it is taken here."""
    return {"ESTABLISHED", "ASSURED"} <= flags if proto == "tcp" else "UNREPLIED" not in flags


class TcDemo(Demo):
    """fo-demo with backend tc; who names a connection is this program."""

    def __init__(self, net, program, scratch, *options):
        super().__init__(net, program, scratch, "--backend", "tc", "--accept-linger", *options)
        self.added = set()
        self.frames = net.in_hardware and "ip" not in options  # that is what is counted
        self.taken = "hardware" if net.in_hardware else "active"

    def takes(self, net, port, family, proto, most=None):
        """Adds what has come to be of the connections to that port; true when there are all."""
        entries = [(entry, kind) for kind in {"tcp", proto} for entry in net.entries(port, family, kind)
                   if answered(entry[2], kind)]
        for entry, kind in entries:
            name = (family, kind, entry[0]["src"], entry[0]["sport"], port)
            if name in self.added:
                continue
            added = self.ask("add", *self.words(entry, kind), check=False)
            if added.returncode != 0:
                assert "(reason closing)" in added.stderr, added.stderr  # the program ended meanwhile
                return False
            assert f"[{net.short_cut}]" in added.stdout, added.stdout
            self.added.add(name)
        return len(entries) >= most

    def end(self):
        super().end()
        assert not self.net.filters() and not self.net.in_switch(), f"left: {self.net.filters()} {self.net.in_switch()}"


# ---- What fo-demo, tc and conntrack say of flows while traffic stands still ----

def sides(flow, net):
    """(port where it enters, tuple, bytes of headers before IP) of both directions."""
    for direction, side in (("original", net.lan), ("reply", net.wan)):
        yield side.split(",")[0], flow[direction], hw_net.ETHERNET + hw_net.TAG * side.count("vlan=")


def disagreement(net, demo, family):
    """What they do not agree in, or None."""
    filters, flows = net.filters(), demo.flows()
    if len(filters) != 2 * len(flows):
        return f"{len(flows)} flows have {len(filters)} filters"
    for flow in flows:
        if flow["state"] != demo.taken or ("l2-mixed" in flow["counters"]) != demo.frames:
            return f"not as it ought to be: {flow}"
        for port, said, header in sides(flow, net):
            name = (port, said["proto"], said["src"], str(said["sport"]), said["dst"], str(said["dport"]))
            if name not in filters:
                return f"no filter is {name}: {filters}"
            size, packets = filters[name]
            wanted = packets, size - (header * packets if demo.frames else 0)
            if (said["packets"], said["bytes"]) != wanted:
                return f"{name}: fo-demo says {said}, tc {wanted}"
        if wrong := untracked(net, flow, family):
            return wrong
    return None


def untracked(net, flow, family):
    """What conntrack says otherwise of a flow."""
    proto = flow["original"]["proto"]
    for original, reply, flags in net.entries(flow["reply"]["sport"], family, proto):
        said = [{name: str(flow[way][name]) for name in ("src", "dst", "sport", "dport")} for way in ("original", "reply")]
        if said != [{name: entry[name] for name in said[0]} for entry in (original, reply)]:
            continue
        if answered(flags, proto) and not flags & {"OFFLOAD", "HW_OFFLOAD"}:
            return None
        return f"conntrack calls it {flags}: {flow}"
    return f"conntrack does not know {flow}"


def agreed(net, demo, family):
    last = [None]

    def agree():
        last[0] = disagreement(net, demo, family)
        return last[0] is None

    try:
        until("they agree", agree)
    except AssertionError as never:
        raise AssertionError(f"{never}: {last[0]}") from never


# ---- What every router carries ----

def ended(net, demo, family, port, finished):
    """All connections of TCP to that port, in conntrack, in the table and in the hardware. So many finished at least, the
    rest may have been reset, as iperf3 does with what it has not read; conntrack forgets those soon."""
    def over():
        states = [flags & {*net.ends, "CLOSE"} for _, _, flags in net.entries(port, family)]
        return all(states) and sum("CLOSE" not in state for state in states) >= finished

    until("conntrack saw the end", over)
    until("the flows have ended", lambda: not [f for f in demo.flows() if f["original"]["proto"] == "tcp"])


def curls_are_carried(net, demo, family, scratch):
    with transfers(net, family, scratch) as files:
        before = net.slow()
        files.step()
        assert net.slow() > before, "the slow path carries what is not offloaded"
        until("they are offloaded", lambda: demo.takes(net, Server4.port, family, "tcp", DOWNLOADS + 1))
        slow, fast = net.slow(), net.sent()
        files.step()
        assert net.slow() == slow, f"{net.slow() - slow} packets took the slow path"
        assert net.sent() > fast + STEADY, f"hardware forwarded {net.sent() - fast} packets"
        agreed(net, demo, family)
        files.step()
        files.end()
    ended(net, demo, family, Server4.port, DOWNLOADS + 1)
    slow = net.slow() - slow
    assert slow <= MOST_AT_END * (DOWNLOADS + 1), f"{slow} packets of the ends took the slow path"


def iperf3_is_carried(net, demo, family, proto):
    """Both ways at once: two connections, and the one that iperf3 controls them by."""
    late = sum(net.counted(who, "RcvbufErrors") for who in "cs")
    end, port = iperf3_on_the_short_cut(net, family, proto, functools.partial(demo.takes, most=3), "--bidir", seconds=12)
    late = sum(net.counted(who, "RcvbufErrors") for who in "cs") - late
    if proto == "tcp":
        assert end["sum_received"]["bytes"] > 0 and end["sum_received_bidir_reverse"]["bytes"] > 0, end
        ended(net, demo, family, port, 1)
        return
    for way in ("sum", "sum_bidir_reverse"):
        assert end[way]["packets"] > STEADY and end[way]["lost_packets"] <= late, (late, end[way])
    ended(net, demo, family, port, 1)
    # UDP has no end, so that its flows are there to be looked at.
    agreed(net, demo, family)
    demo.ask("del", "--all")
    assert not demo.flows() and not net.in_switch(), f"left: {demo.flows()} {net.in_switch()}"


def tc_carries(net, program, scratch):
    carries_by_tc(net, TcDemo(net, program, scratch), scratch)


def carries_by_tc(net, demo, scratch):
    for family in (4, 6):
        curls_are_carried(net, demo, family, scratch)
        iperf3_is_carried(net, demo, family, "tcp")
        iperf3_is_carried(net, demo, family, "udp")
    assert net.wrong_checksums() == 0, "every checksum is right"
    assert net.invalid() == 0, "every packet that came by the slow path was one of its connection"
    demo.end()


def tc_counts_ip_packets(net, program, scratch):
    """Hardware that counts them is believed to the byte."""
    hw_net.switch.write("count_l3", "Y")
    demo = TcDemo(net, program, scratch, "--tc-bytes", "ip")
    curls_are_carried(net, demo, 4, scratch)
    demo.end()


def tc_carries_in_software(net, program, scratch):
    """Through veths, which aggregate: without translation that does no harm."""
    demo = TcDemo(net, program, scratch, "--tc-software")
    carries_by_tc(net, demo, scratch)


def nft_carries(net, program, scratch):
    net.lan, net.wan = net.named
    demo = functools.partial(NftDemo, net, program, scratch)
    carries(net, demo, scratch)
    assert net.wrong_checksums() == 0, "every checksum is right"
    assert not net.in_switch(), f"left: {net.in_switch()}"


class NftDemo(Demo):
    """fo-demo with backend nft, in hardware."""

    def __init__(self, net, program, scratch):
        # Of a direction in a session nothing proves that hardware has it; here the switch's own counter does.
        self.taken = "partial" if "pppoe" in net.wan else "hardware"
        super().__init__(net, program, scratch, "--backend", "nft", "--hardware", "--accept-linger", "--kill-conntrack",
                         "--allow-sysctl")


# ---- The run ----

def wired(wiring, do):
    def case(net, program, scratch):
        wiring(net)
        net.wired()
        do(net, program, scratch)
    return case


def cases(module):
    """(name, what makes the router, what is done with it)."""
    for personality, profile in (("nic", "explicit"), ("ppe", "ppe")):
        make = functools.partial(hw_net.SwitchNet, module, personality)
        for wiring in programs_net.TOPOLOGIES:
            if wiring is not programs_net.pppoe:  # tc has no action for it
                yield f"tc/{profile}/{wiring.__name__}", make, wired(wiring, tc_carries)
            yield f"nft/{personality}/{wiring.__name__}", make, wired(wiring, nft_carries)
        if personality == "nic":
            yield "tc/explicit/ip_bytes", make, wired(programs_net.masquerade, tc_counts_ip_packets)
    yield "tc/software/routed", hw_net.TcNet, wired(programs_net.routed, tc_carries_in_software)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("build")
    parser.add_argument("--case", default="*")
    given = parser.parse_args()
    program = os.path.join(os.path.abspath(given.build), "examples", "fo-demo", "fo-demo")
    chosen = []
    for name, make, case in cases(os.path.abspath(given.module)):
        if fnmatch.fnmatch(name, given.case):
            case.__name__ = name
            chosen.append((make, case))
    programs_net.alone()
    return programs_run.run(chosen, program)


if __name__ == "__main__":
    sys.exit(main())
