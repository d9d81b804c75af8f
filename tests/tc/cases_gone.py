# SPDX-License-Identifier: BSD-2-Clause
"""cases_gone.py - the module goes, and the devices with it, while flows carry traffic and others come and go."""
import json
import os
import re
import signal
import socket
import subprocess
import threading

from router import inside
from switch import PATIENCE
from world import counters, expect, run, until, world, write

STAY, CHURN = 6, 4  # connections
ENDS = {"egress-down", "lost"}  # how a flow may end here


class Load:
    """Connections of UDP to the server: the first ones stay, and carry traffic; the others are added and deleted all the
    time. What the server answered, and what it told of its own accord."""

    def __init__(self, w):
        self.w, self.reasons, self.added, self.senders, self.events = w, [], 0, [], []
        self.ports = [line.split(":")[0] for device in ("fo0", "fo1") for line in w.ip("r", f"-o link show {device}").splitlines()]
        self.pairs = [self.pair(5100 + number) for number in range(STAY + CHURN)]
        self.entries = {}
        for line in run("ip netns exec", w.namespaces["r"], "conntrack -L -p udp").splitlines():
            found = re.findall(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)", line)
            if len(found) == 2:
                self.entries[int(found[0][3])] = found
        self.watch = subprocess.Popen([w.program, "watch", "--json", "--socket", w.path], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True)
        self.hearing = threading.Thread(target=self.hear)
        self.hearing.start()
        self.over = threading.Event()
        self.churn = threading.Thread(target=self.come_and_go)

    def pair(self, port):
        """A client and a server that have talked."""
        with inside(self.w.namespaces["c"]):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with inside(self.w.namespaces["s"]):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (client, server):
            sock.settimeout(PATIENCE)
        server.bind(("10.0.2.2", port))
        client.connect(("10.0.2.2", port))
        client.send(b"there")
        data, where = server.recvfrom(64)
        server.sendto(b"back", where)
        expect((data, client.recv(64)) == (b"there", b"back"), "they talk")
        return client, server

    def hear(self):
        for line in self.watch.stdout:
            self.events.append(json.loads(line)["event"])

    def request(self, port):
        """Ports by number: a name is looked up by fo-demo, and it is the library that is to be asked."""
        def end(number, side):
            words = dict(word.split("=") for word in side.split(",")[1:])
            return {"dev": self.ports[number], "mac": words["mac"], "peer": words["peer"], "mtu": 1500}

        sides = self.w.sides()
        (src, dst, sport, dport), (rsrc, rdst, rsport, rdport) = self.entries[port]
        return {"verb": "add", "in": end(0, sides[0]), "out": end(1, sides[1]), "tag": port,
                "original": {"proto": "udp", "src": src, "dst": dst, "sport": int(sport), "dport": int(dport)},
                "reply": {"proto": "udp", "src": rsrc, "dst": rdst, "sport": int(rsport), "dport": int(rdport)}}

    def talk(self, sock, stream, request):
        """What the server answers to one request."""
        sock.sendall(json.dumps(request).encode() + b"\n")
        answers = []
        while not answers or "done" not in answers[-1]:
            line = stream.readline()
            expect(line, "the server has gone")
            answers.append(json.loads(line))
        return answers

    def connected(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(self.w.path)
        return sock, sock.makefile()

    def add_those_that_stay(self):
        sock, stream = self.connected()
        with sock, stream:
            answers = [self.talk(sock, stream, self.request(5100 + number))[0] for number in range(STAY)]
        return {answer["flow"]["id"] for answer in answers}

    def come_and_go(self):
        sock, stream = self.connected()
        with sock, stream:
            while not self.over.is_set():
                for port in range(5100 + STAY, 5100 + STAY + CHURN):
                    answer = self.talk(sock, stream, self.request(port))[0]
                    if "error" in answer:
                        self.reasons.append(answer["error"]["reason"])
                    else:
                        self.added += 1
                for port in range(5100 + STAY, 5100 + STAY + CHURN):
                    self.talk(sock, stream, {"verb": "del", "tag": port})

    def flood(self):
        """Processes that send both ways without end."""
        for client, server in self.pairs[:STAY:2]:
            target = self.entries[server.getsockname()[1]][1]
            for sock, where in ((client, None), (server, (target[1], int(target[3])))):
                child = os.fork()
                if not child:
                    send_for_ever(sock, where)
                self.senders.append(child)

    def end(self):
        for child in self.senders:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self.senders = []
        self.over.set()
        if self.churn.is_alive():
            self.churn.join(PATIENCE)
        self.watch.kill()
        self.watch.wait()
        self.hearing.join(PATIENCE)
        self.watch.stdout.close()
        for pair in self.pairs:
            for sock in pair:
                sock.close()


def send_for_ever(sock, where):
    """In a process of its own, which gives way to those that have work to do; what cannot be sent is not."""
    try:
        os.nice(19)
        sock.setblocking(False)
        while True:
            try:
                sock.sendto(b"load", where) if where else sock.send(b"load")
            except OSError:
                pass
    finally:
        os._exit(0)


def ends_of(events, ids):
    """The events that ended these flows: (id, reason)."""
    return sorted((event["flow"]["id"], event["reason"]) for event in events
                  if event["kind"] in ("invalidated", "lost") and event["flow"]["id"] in ids)


def goes(module, build, personality, delay_ms, *options):
    with world(module, build, personality) as w:
        w.serve("--accept-linger", *options)
        load = Load(w)
        try:
            ids = load.add_those_that_stay()
            until(lambda: len([flow for flow in w.flows() if flow["state"] == "hardware"]) == STAY, "all in hardware")
            load.flood()
            load.churn.start()
            until(lambda: counters()["forwarded"] > 1000 and load.added > 2 * CHURN, "a load")
            write("delay_add_ms", delay_ms)
            before = load.added
            until(lambda: load.added > before, "adds that take long")
            run("rmmod fo_hwsim")
            until(lambda: sum(reason in ENDS for reason in load.reasons) > 3 * CHURN, "adds are refused, and the server goes on")
            load.over.set()
            load.churn.join(PATIENCE)
            # A delete waits for the thread that is in the driver for its add, and the next add for the delete.
            expect(set(load.reasons) <= ENDS | {"key-closing"}, f"adds are refused for what has happened: {set(load.reasons)}")
            until(lambda: not w.flows(), "no flow is left")
            ended = until(lambda: len(found := ends_of(load.events, ids)) >= STAY and found, "each flow's end is told")
            expect([flow for flow, _ in ended] == sorted(ids), f"... once: {ended}")
            expect({reason for _, reason in ended} <= ENDS, f"... with its reason: {ended}")
            expect(json.loads(w.ask("stats", "--json"))["stats"]["flows"] == 0, "nothing is left in the table")
            server = w.server
            w.stop()
            expect(server.returncode == 0, f"it is stopped: {server.returncode}")
        finally:
            load.end()


def the_module_goes_under_load(module, build):
    goes(module, build, "nic", 0)
    goes(module, build, "ppe", 20)


def the_module_goes_while_threads_are_in_the_driver(module, build):
    goes(module, build, "nic", 200, "--tc-threads", "2")


CASES = [the_module_goes_under_load, the_module_goes_while_threads_are_in_the_driver]
