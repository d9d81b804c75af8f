#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bpf_programs.py FO_DEMO [CASE...]: real programs through a router whose connections fo-demo offloads with backend bpf.

Masquerading by nft is the slow path, on this machine's own kernel, with conntrack's window check on (be-liberal 0). A
connection of curl or iperf3 is offloaded while it runs, and ends cleanly; TCP and UDP, IPv4 and IPv6, at TC and at native
XDP. What took the short cut is told by a counter in the forward hook, which then stands still. The wiring is that of
tests/nft/programs_net.py. Needs root.
"""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "nft"))
import programs  # noqa: E402
import programs_net  # noqa: E402
import programs_run  # noqa: E402
from programs import Server4, stands_still, url, web_server  # noqa: E402
from programs_net import until  # noqa: E402

IPERF_PORT = 5201


class Router(programs_net.Net):
    """Masquerades from c0 to s0."""

    def __init__(self, attach):
        super().__init__()
        self.attach = attach
        programs_net.masquerade(self)
        self.run("r", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=0")
        if attach == "xdp":
            # What preflight would warn of: a veth drops what is redirected to it unless its peer takes it, and XDP
            # sees no checksum that the sender left to its device.
            for who in "cs":
                self.run(who, "ethtool", "-K", "eth", "gro", "on", "tx", "off")
        self.lan, self.wan = (f"{port},mac={self.address('r', port)},peer={self.address(who, 'eth')}"
                              for port, who in (("c0", "c"), ("s0", "s")))


class Demo(programs.Demo):
    """fo-demo serve at the router."""

    def __init__(self, net, program, scratch, *options):
        super().__init__(net, program, scratch, "--backend", "bpf", "--bpf-attach", net.attach, *options)

    def offload(self, entry, proto="tcp"):
        flow = self.answers("add", *self.words(entry, proto))[0]["flow"]
        assert flow["state"] == "active", flow
        return flow["id"]

    def flow(self, ident):
        return next((flow for flow in self.flows() if flow["id"] == ident), None)


def curl_is_offloaded_mid_connection(net, demo, family, scratch):
    programs.curl_is_offloaded_mid_connection(net, demo, family, scratch)
    until("the connection ends in TIME_WAIT", lambda: "TIME_WAIT" in net.entries(Server4.port, family)[0][2])
    until("the flow has ended", lambda: not demo.flows())


def iperf3_is_offloaded_mid_connection(net, demo, family, *options):
    proto = "udp" if "-u" in options else "tcp"
    server = net.start("s", "iperf3", "-s", "-1", "--forceflush")
    until("iperf3 listens", lambda: "listening" in server.stdout.readline())
    client = net.start("c", "iperf3", "-c", net.target[family], "--json", *options)
    # TCP has two: the one that iperf3 controls the other by came first.
    entries = until("conntrack has its connections", lambda: ready(net, family, proto))
    until("the slow path carries it", lambda: net.slow() > 100)
    flows = [demo.offload(entry, proto) for entry in entries]
    until("the short cut alone carries it", lambda: carries_alone(net, demo, flows))
    out, _ = client.communicate(timeout=programs_net.PATIENCE)
    assert client.returncode == 0, out
    end = json.loads(out)["end"]
    assert server.wait(programs_net.PATIENCE) == 0, server.stdout.read()
    if proto == "udp":
        assert end["sum"]["packets"] > 0 and end["sum"]["lost_percent"] < 5, end["sum"]
        return
    assert end["sum_received"]["bytes"] > 0, end
    until("its connections end in TIME_WAIT",
          lambda: all("TIME_WAIT" in entry[2] for entry in net.entries(IPERF_PORT, family)))
    until("the flows have ended", lambda: not any(demo.flow(flow) for flow in flows))


def carries_alone(net, demo, flows):
    """200 packets, and none by the slow path meanwhile. What was in its queues at the offload comes out later, on a busy
    machine much later."""
    slow, began = net.slow(), forwarded(demo, flows)
    until("packets are counted", lambda: forwarded(demo, flows) > began + 200)
    return net.slow() == slow


def ready(net, family, proto):
    entries = [entry for entry in net.entries(IPERF_PORT, family, proto)
               if "ASSURED" in entry[2] and (proto == "udp" or "ESTABLISHED" in entry[2])]
    return entries if len(entries) == (1 if proto == "udp" else 2) else None


def forwarded(demo, flows):
    return sum(demo.flow(flow)[way]["packets"] for flow in flows for way in ("original", "reply"))


# ---- fo-demo on this backend ----

def carries(family):
    def case(net, program, scratch):
        demo = Demo(net, program, scratch)
        curl_is_offloaded_mid_connection(net, demo, family, scratch)
        iperf3_is_offloaded_mid_connection(net, demo, family, "-t", "6")
        net.run("r", "conntrack", "-F")
        iperf3_is_offloaded_mid_connection(net, demo, family, "-u", "-b", "2M", "-t", "6", "-l", "1200")
        demo.end()
    case.__name__ = f"programs_over_ipv{family}"
    return case


def fo_demo_tells_what_happens(net, program, scratch):
    demo = Demo(net, program, scratch)
    watch = net.start("r", program, "watch", "--json", "--socket", demo.path)
    with web_server(net, 4) as server:
        curl = net.start("c", "curl", "-sS", "-o", "/dev/null", url(net.target[4], Server4.port))
        entry = until("conntrack has it", lambda: [e for e in net.entries(Server4.port) if "ASSURED" in e[2]])[0]
        key = demo.words(entry, "tcp")[:10]
        none = demo.answers("explain", *key)[0]["explanation"]
        assert none["state"] == "none" and "no-flow" in none["text"], none
        flow = demo.offload(entry)
        stands_still(net, lambda: server.pulses)
        found = demo.answers("explain", "--id", flow)[0]["explanation"]
        assert found["state"] == "active" and "no-flow" in found["text"], found
        assert ("tcx" if net.attach == "tc" else "XDP") in found["text"], found
        server.let_go.set()
        assert curl.wait(programs_net.PATIENCE) == 0, curl.stdout.read()
    until("the flow has ended", lambda: not demo.flow(flow))
    text = demo.answers("explain", *key)[0]["explanation"]["text"]
    assert "tcp-fin" in text, text
    while json.loads(line := watch.stdout.readline())["event"]["kind"] not in ("closed", "ended"):
        assert line
    stats = demo.answers("stats")[0]["stats"]
    assert stats["backend"] == "bpf" and stats["added"] == 1, stats
    demo.end()


CASES = [carries(4), carries(6), fo_demo_tells_what_happens]


# ---- the run ----

def unsupported(program):
    """Why this kernel cannot, in the backend's words; None: it can, or ought to."""
    if os.geteuid() != 0:
        return "needs root"
    net = Router("tc")
    try:
        said = net.start("r", program, "serve", "--backend", "bpf", "-d", "c0", "-d", "s0", "--socket",
                         f"/run/{net.names['r']}.sock").stdout.readline().strip()
        return said if "(reason unsupported" in said or "(reason no-backend" in said else None
    finally:
        net.close()


def main(cases):
    program = os.path.abspath(sys.argv[1])
    chosen = [(make, case) for make, case in cases if not sys.argv[2:] or case.__name__ in sys.argv[2:]]
    if os.geteuid() == 0:
        programs_net.alone()
    if why := unsupported(program):
        print(f"skip: {why}\n0 passed, 0 failed, {len(chosen)} skipped")
        return 77
    return programs_run.run(chosen, program)


def at(attach, case):
    def run(net, program, scratch):
        case(net, program, scratch)
    run.__name__ = f"{case.__name__}_at_{attach}"
    return lambda: Router(attach), run


if __name__ == "__main__":
    sys.exit(main([at(attach, case) for attach in ("tc", "xdp") for case in CASES]))
