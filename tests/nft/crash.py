#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""crash.py BUILD [ROUNDS [SEED]]: fo-demo serve, killed at any moment, leaves nothing behind, and traffic goes on.

Run in the lab: ./dev lab 6.12 tests/nft/crash.py BUILD. One connection of curl lives through all rounds. In each, a server
takes it by policy while flows are added, deleted and invalidated as fast as it answers; after a number of answers, and
somewhere into the requests that follow, it is killed. Where, a seed decides.
"""
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

import programs
import programs_net
from programs_net import until

MOST_ANSWERS = 60
LATEST_S = 0.3  # after the last answer that is waited for; refreshes come every 250 ms


def requests(net, dice):
    """Lines that go on for ever: adds of what is to come, deletes, refreshes."""
    lan, wan = {"dev": net.lan}, {"dev": net.wan}
    while True:
        flow = {"proto": dice.choice(["tcp", "udp"]), "src": "10.91.1.2", "dst": "10.91.2.2", "sport": dice.randrange(2000, 2200),
                "dport": 9}
        kind = dice.random()
        if kind < 0.55:
            yield {"verb": "add", "original": flow, "in": lan, "out": wan, "tag": dice.randrange(8)}
        elif kind < 0.85:
            yield {"verb": "del", "original": flow}
        else:
            yield {"verb": "del", "tag": dice.randrange(8)}


class Connection:
    """Requests down the socket, whether or not anybody reads them any more."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(programs_net.PATIENCE)
        self.sock.connect(path)
        self.stream = self.sock.makefile()

    def send(self, request):
        self.sock.sendall(programs.json.dumps(request).encode() + b"\n")

    def answered(self):
        while "done" not in programs.json.loads(self.stream.readline()):
            pass

    def close(self):
        self.stream.close()
        self.sock.close()


def trouble(net, demo, dice):
    """Kills the server in the middle of its work; whether the connection was on the short cut then."""
    talk = Connection(demo.path)
    lines = requests(net, dice)
    for _ in range(dice.randrange(MOST_ANSWERS)):
        talk.send(next(lines))
        talk.answered()
    active = bool(demo.flows("--state", "active")) if dice.random() < 0.5 else None
    end = time.monotonic() + dice.random() * LATEST_S
    talk.sock.setblocking(False)
    try:
        while time.monotonic() < end:
            talk.send(next(lines))
    except BlockingIOError:
        pass  # it has more to do than it ever will
    demo.process.kill()
    demo.process.wait()
    talk.close()
    return active


def one_round(net, program, scratch, dice, server):
    demo = programs.Demo(net, program, scratch)
    demo.policy()
    if dice.random() < 0.5:
        until("the connection is on the short cut", lambda: demo.flows("--state", "active"))
    active = trouble(net, demo, dice)
    left = net.run("r", "nft", "list", "ruleset").stdout
    assert "flowoffload" not in left and "flowtable" not in left, left
    slow, pulses = net.slow(), server.pulses
    until("the slow path carries the connection", lambda: net.slow() >= slow + 20)
    assert server.pulses > pulses, "nothing was sent"
    return active


def rounds(net, program, scratch, how_many, seed):
    programs_net.masquerade(net)
    path = os.path.join(scratch, "held")
    with programs.web_server(net, 4) as server:
        curl = net.start("c", "curl", "-sS", "-o", path, programs.url(net.target[4], server.port))
        until("curl is answered", lambda: os.path.exists(path) and os.path.getsize(path) > 0 or curl.poll() is not None)
        seen = 0
        for number in range(how_many):
            seen += bool(one_round(net, program, scratch, random.Random(f"{seed} {number}"), server))
            assert curl.poll() is None, curl.stdout.read()
            if number % 10 == 9:
                print(f"     {number + 1} servers killed", flush=True)
        server.let_go.set()
        assert curl.wait(programs_net.PATIENCE) == 0, curl.stdout.read()
    assert os.path.getsize(path) == server.pulses * len(programs.PULSE), "curl did not get all of it"
    assert seen or how_many < 20, "the connection never was on the short cut"
    return seen


def main():
    program = os.path.join(os.path.abspath(sys.argv[1]), "examples", "fo-demo", "fo-demo")
    how_many = int(sys.argv[2]) if sys.argv[2:] else 50
    seed = sys.argv[3] if sys.argv[3:] else "1"
    programs_net.alone()
    net = programs_net.Net()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            seen = rounds(net, program, scratch, how_many, seed)
        print(f"ok   {how_many} servers killed, seed {seed}; in {seen} rounds the connection was seen on the short cut just before")
        print("1 passed, 0 failed, 0 skipped")
        return 0
    except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError, LookupError) as wrong:
        print(f"FAIL seed {seed}: {type(wrong).__name__} {wrong}\n0 passed, 1 failed, 0 skipped")
        return 1
    finally:
        net.close()


if __name__ == "__main__":
    sys.exit(main())
