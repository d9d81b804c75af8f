#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""programs.py BUILD [CASE...]: real programs through a router whose connections fo-demo offloads with backend nft.

Run in the lab: ./dev lab 6.12 tests/nft/programs.py BUILD. For each way to wire a router (programs_net.py) a connection of
curl is offloaded while it runs, and ends cleanly; then iperf3 (TCP, UDP) and netcat go by policy; IPv4 and IPv6. What is
on the short cut is told by a counter in the forward hook, which then stands still. Each case has a router of its own; CASE
is part of a name, such as "vlan". The last line counts: N passed, N failed, N skipped.
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
import threading

import programs_net
import programs_run
from programs_net import until

PULSE = b"flow offload" * 600
NC_PORT = 9000
STEADY = 300  # packets by which a program is judged while it is on the short cut
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
def web_server(net, family, answer=Answer):
    with net.entered("s"):
        server = (Server4 if family == 4 else Server6)(("0.0.0.0" if family == 4 else "::", Server4.port), answer)
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
    taken = "active"  # the state of a flow that is on the short cut

    def __init__(self, net, program, scratch, *options):
        """@options: of serve; by itself backend nft in software."""
        self.net, self.program, self.path = net, program, os.path.join(scratch, "socket")
        devices = [word for device in net.ports for word in ("--device", device)]
        self.process = net.start("r", program, "serve", *devices, "--socket", self.path,
                                 *(options or ("--backend", "nft", "--allow-sysctl")))
        self.said = []
        while not self.said or "warning:" in self.said[-1]:
            self.said.append(self.process.stdout.readline())
        assert "listening" in self.said[-1], "".join(self.said) + self.process.stdout.read()

    def ask(self, *words, check=True):
        return programs_net.run(self.program, words[0], "--socket", self.path, *words[1:], check=check)

    def answers(self, *words):
        return [json.loads(line) for line in self.ask(words[0], "--json", *words[1:]).stdout.splitlines()]

    def flows(self, *words):
        return [answer["flow"] for answer in self.answers("list", *words)]

    def policy(self):
        """Whatever is established between the two sides."""
        return self.answers("policy", "add", "--in", self.net.lan, "--out", self.net.wan)[0]["policy"]["id"]

    def words(self, entry, proto):
        """What conntrack shows, for the verb add."""
        original, reply, _ = entry
        return ["-p", proto, "-s", original["src"], "-d", original["dst"], "--sport", original["sport"], "--dport",
                original["dport"], "-r", reply["src"], "-q", reply["dst"], "--reply-port-src", reply["sport"],
                "--reply-port-dst", reply["dport"], "--in", self.net.lan, "--out", self.net.wan]

    def offload(self, entry, proto="tcp"):
        """Adds it, and waits until it is on the short cut."""
        flow = self.answers("add", *self.words(entry, proto))[0]["flow"]
        until("the flow is on the short cut", lambda: any(f["id"] == flow["id"] for f in self.flows("--state", self.taken)))
        return flow["id"]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(programs_net.PATIENCE) == 0, self.process.stdout.read()
        listed = self.net.run("r", "nft", "list", "tables").stdout
        assert "flowoffload" not in listed, listed


# ---- what every router carries ----

def url(address, port, path="held"):
    return f"http://[{address}]:{port}/{path}" if ":" in address else f"http://{address}:{port}/{path}"


def stands_still(net, pulses):
    """The slow path's counter, while a good many pulses go through. pulses() counts them."""
    began = pulses()
    until("traffic flows", lambda: pulses() >= began + 10)
    slow, began = net.slow(), pulses()
    until("traffic flows on", lambda: pulses() >= began + 100)
    assert net.slow() == slow, f"{net.slow() - slow} packets took the slow path"


def ends_orderly(net, port, family):
    """Up to 6.12 FIN is handed up; from 7 on it stays on the short cut, and conntrack never sees the connection end."""
    if int(os.uname().release.split(".")[0]) >= 7:
        return False
    until("conntrack sees the end", lambda: [flags for _, _, flags in net.entries(port, family) if flags & net.ends])
    return True


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
    if ends_orderly(net, server.port, family):
        until("the flow has ended", lambda: not any(f["id"] == flow for f in demo.flows()))


def offloaded(net, port, family, proto):
    """The connections to that port, when all of them are on the short cut."""
    entries = net.entries(port, family, proto)
    return entries if entries and all(net.short_cut in flags for _, _, flags in entries) else None


def iperf3(net, family, proto, seconds, port, *options, during=None):
    """One run at a slow pace, to its end; during(client) looks on meanwhile. Returns its report and what during() did."""
    pace = ["-u", "-l", "200", "-b", "320k"] if proto == "udp" else ["-l", "10K", "-b", "8M"]
    server = net.start("s", "iperf3", "-s", "-1", "--forceflush", "-p", port)
    until("iperf3 listens", lambda: "listening" in server.stdout.readline())
    client = net.start("c", "iperf3", "-c", net.target[family], "-p", port, "--json", "-t", seconds, *pace, *options)
    seen = during(client) if during else None
    report = client.communicate(timeout=programs_net.PATIENCE)[0]
    assert client.returncode == 0 and server.wait(programs_net.PATIENCE) == 0, report
    return json.loads(report)["end"], seen


def slow_once_offloaded(net, on_short_cut, client):
    """How many packets took the slow path while STEADY went by any, once on_short_cut(); None when the program ended
    before so many."""
    def ended():
        return client.poll() is not None

    until("iperf3 is on the short cut", lambda: ended() or on_short_cut())
    slow, sent = net.slow(), net.sent()
    until("traffic flows", lambda: ended() or net.sent() >= sent + STEADY)
    slow = net.slow() - slow
    return None if ended() else slow


def iperf3_on_the_short_cut(net, family, proto, on_short_cut, *options, seconds=4):
    """Its report, and the port it had. The longer, the slower this machine is at looking on. Each run has a port, and so
    conntrack entries, of its own."""
    slow, port = None, 5300 if proto == "udp" else 5400
    while slow is None:
        assert seconds < 60, "iperf3 never was on the short cut while it ran"
        end, slow = iperf3(net, family, proto, seconds, port, *options, during=lambda client: slow_once_offloaded(
            net, lambda: on_short_cut(net, port, family, proto), client))
        seconds, port = seconds * 2, port + 1
    assert slow == 0, f"iperf3 over IPv{family} {proto}: {slow} packets took the slow path while on the short cut"
    return end, port - 1


def iperf3_goes_by_policy(net, family, proto, most_lost=None):
    end, _ = iperf3_on_the_short_cut(net, family, proto, offloaded)
    if proto == "udp":
        assert end["sum"]["packets"] > STEADY and end["sum"]["lost_packets"] <= most_lost, (most_lost, end["sum"])
    else:
        assert end["sum_received"]["bytes"] > 0, end


def lost_without_offload(net, family):
    """The same UDP by the slow path."""
    return iperf3(net, family, "udp", 4, 5200)[0]["sum"]["lost_packets"]


def netcat_goes_by_policy(net, family, scratch):
    """Lines one at a time, each there before the next one goes, so that they are packets of their own."""
    got, lines = os.path.join(scratch, f"got{family}"), 0
    with open(got, "wb") as output:
        listener = net.start("s", "nc", f"-{family}", "-l", NC_PORT, stdin=subprocess.DEVNULL, stdout=output, stderr=None)
    until("nc listens", lambda: f":{NC_PORT}" in net.run("s", "ss", "-Hltn").stdout)
    nc = net.start("c", "nc", "-N", net.target[family], NC_PORT, stdin=subprocess.PIPE, stdout=None, stderr=None, text=False)

    def say(how_many):
        nonlocal lines
        for _ in range(how_many):
            nc.stdin.write(b"%063d\n" % lines)
            nc.stdin.flush()
            lines += 1
            until("the line arrives", lambda: os.path.getsize(got) == lines * 64, 0.002)

    say(10)
    until("nc is on the short cut", lambda: offloaded(net, NC_PORT, family, "tcp") or say(1))
    slow = net.slow()
    say(100)
    slow = net.slow() - slow
    assert slow == 0, f"nc over IPv{family}: {slow} packets took the slow path while on the short cut"
    nc.stdin.close()
    assert nc.wait(programs_net.PATIENCE) == 0 and listener.wait(programs_net.PATIENCE) == 0
    assert pathlib.Path(got).read_bytes() == b"".join(b"%063d\n" % number for number in range(lines)), "nc delivered something else"
    ends_orderly(net, NC_PORT, family)


def carries(net, start, scratch):
    """@start: makes the server."""
    lost = {family: lost_without_offload(net, family) for family in (4, 6)}
    demo = start()
    for family in (4, 6):
        curl_is_offloaded_mid_connection(net, demo, family, scratch)
    policy = demo.policy()
    for family in (4, 6):
        iperf3_goes_by_policy(net, family, "tcp")
        iperf3_goes_by_policy(net, family, "udp", lost[family])
        until("the table knows it", lambda there=net.target[family]: any(flow["original"]["dst"] == there for flow in demo.flows()))
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


# ---- what a run leaves ----

ONE_THAT_STAYS = """import programs_net, sys
programs_net.alone()
net = programs_net.Net()
net.start("r", "sleep", "4711")
print("up", flush=True)
sys.stdin.read()"""


def a_killed_run_leaves_nothing(net, *_):
    before = programs_net.run("ip", "netns", "list").stdout
    run = subprocess.Popen([sys.executable, "-c", ONE_THAT_STAYS], cwd=programs_net.HERE, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    net.started.append(run)

    def sleeping():
        return "sleep 4711" in programs_net.run("ps", "-eo", "args").stdout

    assert run.stdout.readline() == "up\n"
    until("it has begun", sleeping)
    run.kill()
    until("its processes are gone", lambda: not sleeping())
    assert programs_net.run("ip", "netns", "list").stdout == before


# ---- the run ----

def topology_case(topology):
    def case(net, program, scratch):
        topology(net)
        carries(net, lambda: Demo(net, program, scratch), scratch)
    case.__name__ = f"programs_through_{topology.__name__}"
    return case


CASES = [a_killed_run_leaves_nothing, fo_demo_agrees_with_conntrack_and_nft, policies_are_listed_and_take,
         *(topology_case(topology) for topology in programs_net.TOPOLOGIES)]


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
    chosen = [case for case in CASES if not sys.argv[2:] or any(word in case.__name__ for word in sys.argv[2:])]
    if not chosen:
        sys.exit(f"no such case; there are: {' '.join(case.__name__ for case in CASES)}")
    programs_net.alone()
    if why := unsupported(program):
        print(f"skip: {why}\n0 passed, 0 failed, {len(chosen)} skipped")
        return 77
    return programs_run.run([(programs_net.Net, case) for case in chosen], program)


if __name__ == "__main__":
    sys.exit(main())
