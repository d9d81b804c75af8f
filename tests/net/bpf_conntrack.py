#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bpf_conntrack.py FO_DEMO [CASE...]: backend bpf and the kernel's conntrack, on this machine's kernel.

What may leave the slow path and what may not, with the words; that conntrack does not forget what lives on the short cut;
that a flow ends when conntrack has forgotten it, or when an IPsec policy comes to mean it. The router is that of
bpf_programs.py. Needs root.
"""
import socket
import sys

import bpf_programs
import programs_net
from bpf_programs import Demo, Router
from programs_net import until


class Pair:
    """A connection from the client to the server; say() sends a packet one way, over and back is what conntrack wants."""

    def __init__(self, net, proto, port, family=4):
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        inet = socket.AF_INET if family == 4 else socket.AF_INET6
        self.net, self.proto, self.port, self.family = net, proto, port, family
        with net.entered("s"):
            self.server = socket.socket(inet, kind)
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.server.bind(("0.0.0.0" if family == 4 else "::", port))
        with net.entered("c"):
            self.client = socket.socket(inet, kind)
        self.client.settimeout(programs_net.PATIENCE)
        self.server.settimeout(programs_net.PATIENCE)
        if proto == "tcp":
            self.server.listen()
        self.client.connect((net.target[family], port))
        if proto == "tcp":
            self.peer, _ = self.server.accept()
            self.peer.settimeout(programs_net.PATIENCE)

    def over(self):
        self.client.send(b"over")
        if self.proto == "tcp":
            assert self.peer.recv(100)
        else:
            _, self.where = self.server.recvfrom(100)

    def back(self):
        if self.proto == "tcp":
            self.peer.send(b"back")
        else:
            self.server.sendto(b"back", self.where)
        assert self.client.recv(100)

    def talk(self):
        self.over()
        self.back()

    def entry(self):
        return until("conntrack has it", lambda: self.net.entries(self.port, self.family, self.proto))[0]

    def timeout(self):
        """Seconds that conntrack gives it still."""
        listed = self.net.run("r", "conntrack", "-L", "-f", f"ipv{self.family}", "-p", self.proto, "--reply-port-src", self.port)
        return int(listed.stdout.split()[2])

    def close(self):
        self.client.close()
        if self.proto == "tcp":
            self.peer.close()
        self.server.close()


def refused(demo, entry, proto, reason, words, field="tuple[0]"):
    said = demo.ask("add", *demo.words(entry, proto), check=False)
    assert said.returncode == 1 and f"(reason {reason}" in said.stderr, f"not refused for {reason}: {said.stdout}{said.stderr}"
    assert words in said.stderr, said.stderr
    assert field in said.stderr, said.stderr


def unknown_and_unanswered_are_refused(net, demo):
    nobody = ({"src": "10.91.1.2", "dst": "10.91.2.2", "sport": "7", "dport": "7"},
              {"src": "10.91.2.2", "dst": "10.91.2.1", "sport": "7", "dport": "7"}, set())
    refused(demo, nobody, "udp", "not-established", "no entry")
    pair = Pair(net, "udp", 7001)
    pair.over()
    refused(demo, pair.entry(), "udp", "not-established", "both ways")
    pair.back()
    demo.offload(pair.entry(), "udp")
    pair.close()


def handshakes_and_ends_are_refused(net, demo):
    for state, flags, reason, words in (("SYN_SENT", "UNSET", "not-established", "SYN_SENT"),
                                        ("SYN_RECV", "SEEN_REPLY", "not-established", "SYN_RECV"),
                                        ("ESTABLISHED", "SEEN_REPLY", "not-established", "both ways"),
                                        ("FIN_WAIT", "SEEN_REPLY,ASSURED", "closing", "FIN_WAIT"),
                                        ("TIME_WAIT", "SEEN_REPLY,ASSURED", "closing", "TIME_WAIT")):
        flags = [] if flags == "UNSET" else ["-u", flags]
        net.run("r", "conntrack", "-I", "-p", "tcp", "-s", "10.91.1.2", "-d", "10.91.2.2", "--sport", "7010", "--dport", "7011",
                "-r", "10.91.2.2", "-q", "10.91.2.1", "--reply-port-src", "7011", "--reply-port-dst", "7010", "--state", state,
                "-t", "100", *flags)
        refused(demo, net.entries(7011)[0], "tcp", reason, words)
        net.run("r", "conntrack", "-D", "-p", "tcp", "--reply-port-src", "7011")


def nat_that_is_not_conntracks_is_refused(net, demo):
    pair = Pair(net, "udp", 7020)
    pair.talk()
    original, reply, flags = pair.entry()
    refused(demo, (original, dict(reply, dst="10.91.2.77"), flags), "udp", "nat", "replies come from 10.91.2.2 7020", "tuple[1]")
    refused(demo, (original, dict(reply, dport="9"), flags), "udp", "nat", "the NAT is the kernel's", "tuple[1]")
    demo.offload(pair.entry(), "udp")
    pair.close()


def a_helper_is_refused(net, demo):
    net.run("r", "nft", """add ct helper inet world ftp { type "ftp" protocol tcp; }
        add chain inet world helpers { type filter hook prerouting priority -150; }
        add rule inet world helpers tcp dport 7030 ct helper set "ftp" """)
    pair = Pair(net, "tcp", 7030)
    pair.talk()
    refused(demo, pair.entry(), "tcp", "unsupported", "helper ftp")
    pair.close()


def addresses_that_nobody_offloads_are_refused(net, demo):
    for src, dst in (("10.91.1.2", "224.0.0.5"), ("10.91.1.2", "255.255.255.255"), ("169.254.1.1", "10.91.2.2"),
                     ("127.0.0.1", "10.91.2.2"), ("fe80::1", "fd91:2::2"), ("fd91:1::2", "ff02::1"), ("::1", "fd91:2::2"),
                     ("::ffff:10.0.0.1", "fd91:2::2")):
        entry = ({"src": src, "dst": dst, "sport": "1", "dport": "2"}, {"src": dst, "dst": src, "sport": "2", "dport": "1"}, set())
        refused(demo, entry, "udp", "address", "", "tuple[0]")


def a_side_without_an_ethernet_header_is_refused(net, demo):
    net.ip("r", "tuntap", "add", "dev", "tun9", "mode", "tun")
    pair = Pair(net, "udp", 7040)
    pair.talk()
    net.wan, plain = net.wan + ",l3=tun9", net.wan
    refused(demo, pair.entry(), "udp", "unsupported", "Ethernet header", "l3_dev")
    net.wan = plain
    demo.offload(pair.entry(), "udp")
    pair.close()


def time_is_extended_and_renewed(net, demo):
    pair = Pair(net, "udp", 7050)
    pair.talk()
    net.run("r", "sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=20", "net.netfilter.nf_conntrack_udp_timeout_stream=20")
    pair.talk()
    assert pair.timeout() <= 20, pair.timeout()
    flow = demo.offload(pair.entry(), "udp")
    assert pair.timeout() > 120, f"{pair.timeout()} s are less than the flow's own"
    # A packet that must take the slow path, which sets the time to what the sysctl says.
    pair.client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    pair.client.send(b"expires at the router")
    until("the slow path has set its own time", lambda: pair.timeout() <= 20)
    pair.client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)

    def renewed():
        pair.talk()
        return pair.timeout() > 120
    until("the time of a living flow is renewed", renewed)
    assert demo.flow(flow)["state"] == "active"
    pair.close()


def a_longer_time_is_left_alone(net, demo):
    pair = Pair(net, "tcp", 7060)
    pair.talk()
    before = pair.timeout()
    assert before > 1000, before
    demo.offload(pair.entry())
    assert pair.timeout() >= before - 60, pair.timeout()
    pair.close()


def a_forgotten_entry_ends_its_flow(net, demo):
    watch = net.start("r", demo.program, "watch", "--json", "--socket", demo.path)
    pair = Pair(net, "udp", 7070)
    pair.talk()
    flow = demo.offload(pair.entry(), "udp")
    net.run("r", "conntrack", "-D", "-p", "udp", "--reply-port-src", "7070")

    def ended():
        pair.talk()
        return not demo.flow(flow)
    until("the flow ends", ended)
    assert '"lost"' in read_until(watch, flow, "lost"), "told otherwise"
    # The slow path has it anew, and so may the short cut.
    pair.talk()
    demo.offload(pair.entry(), "udp")
    pair.close()
    watch.kill()


def read_until(watch, flow, word):
    while True:
        line = watch.stdout.readline()
        assert line, f"no event with {word} for {flow}"
        if f'"{flow}"' in line or f": {flow}" in line:
            if word in line:
                return line


def ipsec_policies_are_obeyed(net, demo):
    watch = net.start("r", demo.program, "watch", "--json", "--socket", demo.path)
    pair, other = Pair(net, "udp", 7080), Pair(net, "udp", 7081, 6)
    pair.talk()
    other.talk()
    tunnel = ["tmpl", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "mode", "tunnel"]
    # Replies, before the translation is undone, go to the router's own address.
    for selector, way in ((["src", "10.91.1.0/24", "dst", "10.91.2.0/24"], "out"), (["src", "10.91.2.2/32"], "fwd"),
                          (["src", "10.91.1.2", "dst", "10.91.2.2", "proto", "udp", "dport", "7080"], "fwd"),
                          (["dst", "10.91.2.1/32"], "in"), (["src", "10.91.2.1/32"], "out")):
        net.ip("r", "xfrm", "policy", "add", *selector, "dir", way, "priority", "10", *tunnel)
        refused(demo, pair.entry(), "udp", "unsupported", "IPsec policy", "tuple[")
        # One that lets it pass, and comes first.
        net.ip("r", "xfrm", "policy", "add", *selector[:2], "proto", "udp", "dir", way, "priority", "5", "action", "allow")
        net.ip("r", "xfrm", "policy", "flush")
    net.ip("r", "xfrm", "policy", "add", "src", "10.91.1.0/24", "dst", "10.91.2.0/24", "proto", "tcp", "dir", "out", *tunnel)
    net.ip("r", "xfrm", "policy", "add", "src", "10.91.1.0/24", "dir", "out", "priority", "9", *tunnel)
    net.ip("r", "xfrm", "policy", "add", "dst", "10.91.2.2/32", "dir", "out", "priority", "3", "action", "allow")
    flow = demo.offload(pair.entry(), "udp")
    kept = demo.offload(other.entry(), "udp")
    net.ip("r", "xfrm", "policy", "add", "src", "10.91.1.2", "dst", "10.91.2.2", "dir", "out", "priority", "1", *tunnel)
    until("the flow is handed back", lambda: not demo.flow(flow))
    assert "fallback" in read_until(watch, flow, "fallback")
    assert demo.flow(kept), "IPv6 went as well"
    net.ip("r", "xfrm", "policy", "flush")
    pair.close()
    other.close()
    watch.kill()


CASES = [unknown_and_unanswered_are_refused, handshakes_and_ends_are_refused, nat_that_is_not_conntracks_is_refused,
         a_helper_is_refused, addresses_that_nobody_offloads_are_refused, a_side_without_an_ethernet_header_is_refused,
         time_is_extended_and_renewed, a_longer_time_is_left_alone, a_forgotten_entry_ends_its_flow, ipsec_policies_are_obeyed]


def case_on(case):
    def run(net, program, scratch):
        demo = Demo(net, program, scratch)
        case(net, demo)
        demo.end()
    run.__name__ = case.__name__
    return lambda: Router("tc"), run


if __name__ == "__main__":
    sys.exit(bpf_programs.main([case_on(case) for case in CASES]))
