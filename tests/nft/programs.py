#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""programs.py BUILD [CASE...]: real programs through a router whose connections fo-demo offloads with backend nft.

Run in the lab: ./dev lab 6.12 tests/nft/programs.py BUILD. For each way to wire a router (programs_net.py) a connection of
curl is offloaded while it runs, and ends cleanly; then iperf3 (TCP, UDP) and netcat go by policy; IPv4 and IPv6. What is
on the short cut is told by a counter in the forward hook, which then stands still. Each case has a router of its own.
"""
import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import programs_net
from programs_net import until

PULSE = b"flow offload" * 600
UPLOAD = 3_000_000  # bytes by netcat
KNOWN_PORT = 45000  # of a client whose tuple is known in advance


class Answer(http.server.BaseHTTPRequestHandler):
    """/held: goes on until the server is told to let go."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionError):  # the client's exit status tells
            while not self.server.let_go.wait(0.01):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(PULSE), PULSE))
                self.server.pulses += 1
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server4(http.server.ThreadingHTTPServer):
    pulses, port, let_go = 0, 8000, None


class Server6(Server4):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def web_server(net, family):
    with net.entered("s"):
        server = (Server4 if family == 4 else Server6)(("0.0.0.0" if family == 4 else "::", Server4.port), Answer)
    server.let_go = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Demo:
    """fo-demo serve at the router."""

    def __init__(self, net, program, scratch):
        self.net, self.program, self.path = net, program, os.path.join(scratch, "socket")
        devices = [word for device in net.ports for word in ("--device", device)]
        self.process = net.start("r", program, "serve", "--backend", "nft", *devices, "--allow-sysctl", "--socket", self.path)
        self.greeting = self.process.stdout.readline()
        assert "listening" in self.greeting, self.greeting + self.process.stdout.read()

    def ask(self, *words, check=True):
        return programs_net.run(self.program, words[0], "--socket", self.path, *words[1:], check=check)

    def answers(self, *words):
        return [json.loads(line) for line in self.ask(words[0], "--json", *words[1:]).stdout.splitlines()]

    def flows(self, *words):
        return [answer["flow"] for answer in self.answers("list", *words)]

    def policy(self):
        """Whatever is established between the two sides."""
        return self.answers("policy", "add", "--in", self.net.lan, "--out", self.net.wan)[0]["policy"]["id"]

    def offload(self, entry, proto="tcp"):
        """Adds what conntrack shows, and waits until the kernel has taken it."""
        original, reply, _ = entry
        flow = self.answers("add", "-p", proto, "-s", original["src"], "-d", original["dst"], "--sport", original["sport"],
                            "--dport", original["dport"], "-r", reply["src"], "-q", reply["dst"], "--reply-port-src",
                            reply["sport"], "--reply-port-dst", reply["dport"], "--in", self.net.lan, "--out",
                            self.net.wan)[0]["flow"]
        until("the flow is on the short cut", lambda: any(f["id"] == flow["id"] for f in self.flows("--state", "active")))
        return flow["id"]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(programs_net.PATIENCE) == 0, self.process.stdout.read()
        listed = self.net.run("r", "nft", "list", "tables").stdout
        assert "flowoffload" not in listed, listed


# ---- what every router carries ----

def url(address, port):
    return f"http://[{address}]:{port}/held" if ":" in address else f"http://{address}:{port}/held"


def stands_still(net, pulses):
    """The slow path's counter, while a good many pulses go through. pulses() counts them."""
    began = pulses()
    until("traffic flows", lambda: pulses() >= began + 10)
    slow, began = net.slow(), pulses()
    until("traffic flows on", lambda: pulses() >= began + 100)
    assert net.slow() == slow, f"{net.slow() - slow} packets took the slow path"


def curl_is_offloaded_mid_connection(net, demo, family, scratch):
    path = os.path.join(scratch, f"held{family}")
    with web_server(net, family) as server:
        curl = net.start("c", "curl", "-sS", "-o", path, url(net.target[family], server.port))
        until("curl is answered", lambda: os.path.exists(path) and os.path.getsize(path) > 0 or curl.poll() is not None)
        entry = until("conntrack has it", lambda: net.entries(server.port, family))[0]
        before = net.slow()
        until("the slow path carries it", lambda: net.slow() > before + 10)
        flow = demo.offload(entry)
        stands_still(net, lambda: server.pulses)
        server.let_go.set()
        assert curl.wait(programs_net.PATIENCE) == 0, curl.stdout.read()
        assert os.path.getsize(path) == server.pulses * len(PULSE), "curl did not get all of it"
    # Up to 6.12 FIN is handed up; from 7 on it stays on the short cut, and conntrack never sees the connection end.
    if int(os.uname().release.split(".")[0]) < 7:
        until("the connection ends in TIME_WAIT", lambda: "TIME_WAIT" in net.entries(server.port, family)[0][2])
        until("the flow has ended", lambda: not any(f["id"] == flow for f in demo.flows()))


def packets_forwarded(net):
    """By any path: what the router's devices have sent."""
    return sum(int(net.run("r", "cat", f"/sys/class/net/{port}/statistics/tx_packets").stdout) for port in net.ports)


@contextlib.contextmanager
def mostly_short_cut(net, what):
    slow, sent = net.slow(), packets_forwarded(net)
    yield
    slow, sent = net.slow() - slow, packets_forwarded(net) - sent
    assert sent > 200 and slow * 5 < sent, f"{what}: {slow} of {sent} packets took the slow path"


def iperf3_goes_by_policy(net, family, *options):
    server = net.start("s", "iperf3", "-s", "-1", "--forceflush")
    until("iperf3 listens", lambda: "listening" in server.stdout.readline())
    with mostly_short_cut(net, f"iperf3 {' '.join(options)}"):
        ran = net.run("c", "iperf3", "-c", net.target[family], "--json", *options)
    end = json.loads(ran.stdout)["end"]
    assert server.wait(programs_net.PATIENCE) == 0, server.stdout.read()
    if "-u" in options:
        assert end["sum"]["packets"] > 0 and end["sum"]["lost_percent"] < 50, end["sum"]
    else:
        assert end["sum_received"]["bytes"] > 0, end
    return end


def netcat_goes_by_policy(net, family, scratch):
    sent, got = (os.path.join(scratch, f"{name}{family}") for name in ("sent", "got"))
    pathlib.Path(sent).write_bytes(os.urandom(UPLOAD))
    with open(got, "wb") as output:
        listener = subprocess.Popen(net.inside("s", "nc", f"-{family}", "-l", "9000"), stdin=subprocess.DEVNULL, stdout=output)
        net.started.append(listener)
        until("nc listens", lambda: ":9000" in net.run("s", "ss", "-Hltn").stdout)
        with mostly_short_cut(net, "nc"), open(sent, "rb") as data:
            nc = subprocess.run(net.inside("c", "nc", "-N", net.target[family], "9000"), stdin=data, timeout=programs_net.PATIENCE,
                                check=False)
        assert nc.returncode == 0 and listener.wait(programs_net.PATIENCE) == 0
    assert pathlib.Path(got).read_bytes() == pathlib.Path(sent).read_bytes(), "nc delivered something else"


def carries(net, program, scratch):
    demo = Demo(net, program, scratch)
    for family in (4, 6):
        curl_is_offloaded_mid_connection(net, demo, family, scratch)
    policy = demo.policy()
    for family in (4, 6):
        iperf3_goes_by_policy(net, family, "-n", "30M")
        iperf3_goes_by_policy(net, family, "-u", "-b", "10M", "-n", "2M", "-l", "1200")
        netcat_goes_by_policy(net, family, scratch)
    demo.ask("policy", "del", "--id", policy)
    demo.end()


# ---- fo-demo on this backend ----

def agrees(net, demo, flow):
    """What fo-demo and conntrack say of a quiet flow; equal, or None."""
    listed = [f for f in demo.flows() if f["id"] == flow]
    entries = [entry for entry in net.entries(Server4.port) if entry[0]["sport"] == str(KNOWN_PORT)]
    if not listed or not entries or "OFFLOAD" not in entries[0][2] or listed[0]["state"] != "active":
        return None
    for direction, entry in (("original", entries[0][0]), ("reply", entries[0][1])):
        for name, value in entry.items():
            if str(listed[0][direction].get(name)) != value:
                return None
    return listed[0]


def fo_demo_agrees_with_conntrack_and_nft(net, program, scratch):
    programs_net.masquerade(net)
    demo = Demo(net, program, scratch)
    watch = net.start("r", program, "watch", "--json", "--socket", demo.path)
    with web_server(net, 4) as server:
        fetch = ["curl", "-sS", "-o", "/dev/null", url(net.target[4], server.port)]
        other = net.start("c", *fetch)
        entry = until("conntrack has it", lambda: net.entries(server.port))[0][0]
        refused = demo.ask("add", "-p", "tcp", "-s", entry["src"], "-d", entry["dst"], "--sport", entry["sport"], "--dport",
                           entry["dport"], "--in", net.lan, "--out", net.wan, check=False)
        assert refused.returncode == 1 and "(reason nat)" in refused.stderr, "masquerading was not noticed: " + refused.stderr
        tuple4 = ["-p", "tcp", "-s", "10.91.1.2", "-d", "10.91.2.2", "--sport", KNOWN_PORT, "--dport", server.port]
        none = demo.answers("explain", *tuple4)[0]["explanation"]
        assert none["state"] == "none" and none["text"], none
        # Before its first packet, so that nothing was counted without it.
        flow = demo.answers("add", *tuple4, "-q", "10.91.2.1", "--in", net.lan, "--out", net.wan)[0]["flow"]
        assert flow["state"] == "armed", flow
        flow = flow["id"]
        curl = net.start("c", *fetch, "--local-port", KNOWN_PORT)
        until("the flow is on the short cut", lambda: demo.flows("--state", "active"))
        other.kill()
        stands_still(net, lambda: server.pulses)
        ruleset = net.run("r", "nft", "list", "ruleset").stdout
        for text in ("flowtable", "devices = { c0, s0 }", "flow add @", "10.91.1.2 . 10.91.2.2"):
            assert text in ruleset, f"'{text}' is not in {ruleset}"
        # A stopped reader makes the connection fall silent, so that both count the same.
        curl.send_signal(signal.SIGSTOP)
        shown = until("fo-demo's counters are conntrack's", lambda: agrees(net, demo, flow))
        assert "includes-slow" in shown["counters"], shown
        curl.send_signal(signal.SIGCONT)
        found = demo.answers("explain", "--id", flow)[0]["explanation"]
        assert found["state"] == "active" and found["text"], found
        text = demo.ask("list").stdout
        assert "[OFFLOAD]" in text and "src=10.91.1.2 dst=10.91.2.2" in text, text
        demo.ask("del", *tuple4)
        slow = net.slow()
        until("the slow path carries it again", lambda: net.slow() > slow + 100)
        server.let_go.set()
        assert curl.wait(programs_net.PATIENCE) == 0
    stats = demo.answers("stats")[0]["stats"]
    assert stats["backend"] == "nft" and stats["added"] == 1 and stats["refused"] == 1, stats
    kinds = []
    while "deleted" not in kinds:
        kinds.append(json.loads(watch.stdout.readline())["event"]["kind"])
    assert "state" in kinds, kinds
    watch.kill()
    demo.end()


def policies_are_listed_and_take(net, program, scratch):
    programs_net.masquerade(net)
    demo = Demo(net, program, scratch)
    made = demo.answers("policy", "add", "--in", net.lan, "--out", net.wan, "-p", "tcp", "-s", "10.91.1.0/24", "-d", "10.91.2.2",
                        "--dport", "8000-8001", "--tag", "7")[0]["policy"]
    assert demo.answers("policy", "list") == [{"policy": made}]
    assert (made["src"], made["dst"], made["dport"], made["in"]["dev"]) == ("10.91.1.0/24", "10.91.2.2/32", "8000-8001", "c0"), made
    assert demo.ask("policy", "list").stdout.startswith("tcp      ipv4 in=c0 out=s0 src=10.91.1.0/24 dst=10.91.2.2/32 dport=8000-8001")
    with web_server(net, 4) as server:
        curl = net.start("c", "curl", "-sS", "-o", "/dev/null", url(net.target[4], server.port))
        flow = until("the policy has taken it", lambda: demo.flows("--state", "active"))[0]
        assert flow["tag"] == 7 and flow["original"]["dport"] == 8000, flow
        stands_still(net, lambda: server.pulses)
        demo.ask("policy", "del", "--id", made["id"])
        assert demo.answers("policy", "list") == []
        slow = net.slow()
        until("the slow path carries it again", lambda: net.slow() > slow + 100)
        server.let_go.set()
        assert curl.wait(programs_net.PATIENCE) == 0
    demo.end()


# ---- the run ----

def topology_case(topology):
    def case(net, program, scratch):
        topology(net)
        carries(net, program, scratch)
    case.__name__ = f"programs_through_{topology.__name__}"
    return case


CASES = [fo_demo_agrees_with_conntrack_and_nft, policies_are_listed_and_take,
         *(topology_case(topology) for topology in programs_net.TOPOLOGIES)]


def passes(case, program):
    with tempfile.TemporaryDirectory() as scratch:
        net = programs_net.Net()
        try:
            case(net, program, scratch)
            return True
        except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError, LookupError) as wrong:
            print(f"     {type(wrong).__name__} {wrong}")
            return False
        finally:
            net.close()


def unsupported(program):
    """Why this kernel cannot, in the backend's words; None: it can, or ought to."""
    net = programs_net.Net()
    try:
        programs_net.masquerade(net)
        said = net.start("r", program, "serve", "--backend", "nft", "-d", "c0", "-d", "s0", "--allow-sysctl", "--socket",
                         f"/run/{net.names['r']}.sock").stdout.readline().strip()
        return said if "(reason unsupported" in said else None
    finally:
        net.close()


def main():
    program = os.path.join(os.path.abspath(sys.argv[1]), "examples", "fo-demo", "fo-demo")
    chosen = [case for case in CASES if not sys.argv[2:] or case.__name__ in sys.argv[2:]]
    if why := unsupported(program):
        print(f"skip: {why}\n0 passed, 0 failed, {len(chosen)} skipped")
        return 77
    passed = 0
    for case in chosen:
        began = time.monotonic()
        ok = passes(case, program)
        passed += ok
        print(f"{'ok  ' if ok else 'FAIL'} {case.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{passed} passed, {len(chosen) - passed} failed, 0 skipped")
    return 0 if passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
