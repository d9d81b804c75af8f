#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""nft_router.py BUILD [ROUNDS]: TCP through the router of tests/nft, offloaded by policy and not, in turns; JSON lines.

CPU time is that of the whole system, ends included, over the packets that the router's devices sent; the ends and the
processors are the same in both, so the difference is the router's.
"""
import json
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "nft"))
import programs  # noqa: E402
import programs_net  # noqa: E402

AMOUNT = "150M"


def busy_ns():
    """User, nice, system, interrupts of all processors."""
    with open("/proc/stat", encoding="ascii") as stat:
        times = [int(word) for word in stat.readline().split()[1:8]]
    return (times[0] + times[1] + times[2] + times[5] + times[6]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def measure(net):
    server = net.start("s", "iperf3", "-s", "-1", "--forceflush")
    programs_net.until("iperf3 listens", lambda: "listening" in server.stdout.readline())
    slow, sent, busy = net.slow(), net.sent(), busy_ns()
    ran = net.run("c", "iperf3", "-c", net.target[4], "--json", "-n", AMOUNT, "-M", "1000")
    busy, sent, slow = busy_ns() - busy, net.sent() - sent, net.slow() - slow
    assert server.wait(programs_net.PATIENCE) == 0
    received = json.loads(ran.stdout)["end"]["sum_received"]
    return received["bits_per_second"] / 1e6, busy / sent, slow / sent


def line(case, who, figure, unit):
    print(json.dumps({"bench": "nft", "case": case, "n": 0, "who": who, "figure": round(figure, 3), "unit": unit}), flush=True)


def main():
    program = os.path.join(os.path.abspath(sys.argv[1]), "examples", "fo-demo", "fo-demo")
    rounds = int(sys.argv[2]) if sys.argv[2:] else 4
    programs_net.alone()
    net = programs_net.Net()
    figures = {"slow path": [], "flowoffload": []}
    try:
        programs_net.masquerade(net)
        # Frames of wire size: with aggregates of 64 KB the router has next to nothing to do.
        for who in "cs":
            net.run(who, "ethtool", "-K", "eth", "tso", "off", "gso", "off", "gro", "off")
        for number in range(rounds):
            for who in sorted(figures, reverse=bool(number % 2)):
                with tempfile.TemporaryDirectory() as scratch:
                    demo = programs.Demo(net, program, scratch) if who == "flowoffload" else None
                    if demo:
                        demo.policy()
                    figures[who].append(measure(net))
                    if demo:
                        demo.end()
    finally:
        net.close()
    for who, found in figures.items():
        for case, unit, column in (("rate", "Mbit/s", 0), ("packet-cpu", "ns", 1), ("slow-share", "share", 2)):
            line(case, who, statistics.median(one[column] for one in found), unit)


if __name__ == "__main__":
    main()
