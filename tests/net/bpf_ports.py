#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bpf_ports.py FO_DEMO [CASE...]: backend bpf and its devices: down, gone, or losing packets in silence.

The router is that of bpf_programs.py. Needs root.
"""
import sys

import bpf_programs
from bpf_conntrack import Pair, read_until, refused
from bpf_programs import Demo, Router
from programs_net import until


def watching(net, demo):
    watch = net.start("r", demo.program, "watch", "--json", "--socket", demo.path)
    return watch


def short_cut(net, demo, port):
    """A connection that is on the short cut, proven by the slow path's counter."""
    pair = Pair(net, "udp", port)
    pair.talk()
    flow = demo.offload(pair.entry(), "udp")
    slow = net.slow()
    for _ in range(20):
        pair.talk()
    assert net.slow() == slow, "the slow path saw it"
    return pair, flow


def talks(pair):
    pair.client.settimeout(0.2)
    pair.server.settimeout(0.2)
    try:
        pair.talk()
        return True
    except OSError:
        return False


def fails_and_comes_back(net, demo, fail, mend):
    watch = watching(net, demo)
    pair, flow = short_cut(net, demo, 7100)
    entry = pair.entry()
    fail()
    until("the flow ends", lambda: not demo.flow(flow))
    assert "egress-down" in read_until(watch, flow, "egress-down")
    refused(demo, entry, "udp", "egress-down", "is down, without a carrier, or gone", "adj[1]")
    mend()
    # Masquerading forgets its connections with their device: the next packet begins anew.
    until("the slow path carries it again", lambda: talks(pair))
    until("it is up again", lambda: demo.ask("add", *demo.words(pair.entry(), "udp"), check=False).returncode == 0)
    slow = net.slow()
    pair.talk()
    assert net.slow() == slow, "the slow path saw it"
    pair.close()
    watch.kill()


def a_device_set_down_ends_its_flows(net, demo):
    def mend():
        net.ip("r", "link", "set", "s0", "up")
        net.ip("r", "addr", "replace", "fd91:2::1/64", "dev", "s0", "nodad")
    fails_and_comes_back(net, demo, lambda: net.ip("r", "link", "set", "s0", "down"), mend)


def a_carrier_that_is_lost_ends_its_flows(net, demo):
    def mend():
        net.ip("s", "link", "set", "eth", "up")
        net.ip("s", "route", "replace", "default", "via", "10.91.2.1")
    fails_and_comes_back(net, demo, lambda: net.ip("s", "link", "set", "eth", "down"), mend)


def unreachables(net):
    """ICMP errors that the router's stack has sent."""
    return int(net.run("r", "nstat", "-asz", "IcmpOutDestUnreachs").stdout.split()[-2])


def a_device_that_is_gone_ends_its_flows(net, demo):
    watch = watching(net, demo)
    pair, flow = short_cut(net, demo, 7101)
    net.ip("r", "link", "del", "s0")
    until("the flow ends", lambda: not demo.flow(flow))
    assert "egress-down" in read_until(watch, flow, "egress-down")
    # No black hole: what comes now is the slow path's, which has no route any more.
    pair.client.send(b"where to?")
    until("the client is told", lambda: unreachables(net) > 0)
    pair.close()
    watch.kill()


def a_peer_that_loses_is_found(net, program, scratch):
    net.run("s", "ethtool", "-K", "eth", "gro", "off")
    demo = Demo(net, program, scratch)
    lost = [line for line in demo.said if "is lost" in line]
    assert len(lost) == 1 and "s0" in lost[0] and "gro on" in lost[0], demo.said
    pair = Pair(net, "udp", 7110)
    pair.talk()
    refused(demo, pair.entry(), "udp", "unsupported", "ethtool -K PEER gro on", "adj[1]")
    net.run("s", "ethtool", "-K", "eth", "gro", "on")
    until("it is found mended", lambda: demo.ask("add", *demo.words(pair.entry(), "udp"), check=False).returncode == 0)
    slow = net.slow()
    pair.talk()
    assert net.slow() == slow, "the slow path saw it"
    pair.close()
    demo.end()


def what_xdp_does_not_see_is_warned_of(net, program, scratch):
    demo = Demo(net, program, scratch)
    assert any("checksum" in line and "tx off" in line for line in demo.said), demo.said
    assert any("VLAN" in line and "rxvlan off" in line for line in demo.said), demo.said
    assert not any("is lost" in line for line in demo.said), demo.said
    demo.end()
    net.run("r", "ethtool", "-K", "c0", "rxvlan", "off")
    net.run("r", "ethtool", "-K", "s0", "rxvlan", "off")
    demo = Demo(net, program, scratch)
    assert not any("VLAN" in line for line in demo.said), demo.said
    demo.end()


def frames_in_several_buffers_are_warned_of(net, program, scratch):
    for who, device in (("r", "s0"), ("s", "eth")):
        net.ip(who, "link", "set", device, "mtu", "9000")
    demo = Demo(net, program, scratch)
    assert [line for line in demo.said if "9000" in line and "lower it" in line], demo.said
    demo.end()


def served(case):
    def run(net, program, scratch):
        case(net, Demo(net, program, scratch))
    run.__name__ = case.__name__
    return run


CASES = [("xdp", a_peer_that_loses_is_found), ("xdp", what_xdp_does_not_see_is_warned_of),
         ("xdp", frames_in_several_buffers_are_warned_of)] + [
             (attach, served(case)) for attach in ("tc", "xdp") for case in (
                 a_device_set_down_ends_its_flows, a_carrier_that_is_lost_ends_its_flows,
                 a_device_that_is_gone_ends_its_flows)]

if __name__ == "__main__":
    sys.exit(bpf_programs.main([bpf_programs.at(*case) for case in CASES]))
