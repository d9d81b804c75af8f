# SPDX-License-Identifier: BSD-2-Clause
"""hw_files.py - files fetched and sent by curl, several at once, in steps: what has not been let go is not sent, so that
traffic stops where hw_programs.py wants to look. Every byte is compared.
"""
import contextlib
import os
import pathlib
import subprocess
import threading

import programs
from programs import url
from programs_net import PATIENCE, until

STEPS = (40_000, 300_000, 20_000)  # bytes: by the slow path, by hardware alone, and the end
DOWNLOADS = 3


class Steps(programs.Answer):
    """GET /N: a file in steps. PUT /up: takes what comes."""

    def do_GET(self):
        data = self.server.transfers.down[int(self.path[1:])]
        self.send_response(200)
        self.send_header("Content-Length", len(data))
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client's exit status tells
            for step, size in enumerate(STEPS):
                self.server.transfers.gates[step].wait()
                self.wfile.write(data[:size])
                data = data[size:]

    def do_PUT(self):
        while size := int(self.rfile.readline(), 16):
            self.server.transfers.got += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.send_response(200)
        self.send_header("Content-Length", 0)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True


class Transfers:
    """All of them, step by step."""

    def __init__(self, net, family, scratch, server):
        server.transfers, self.sent = self, 0
        self.down = [os.urandom(sum(STEPS)) for _ in range(DOWNLOADS)]
        self.up, self.got = os.urandom(sum(STEPS)), b""
        self.gates = [threading.Event() for _ in STEPS]
        self.paths = [os.path.join(scratch, f"file{family}-{number}") for number in range(DOWNLOADS)]
        target, port = net.target[family], programs.Server4.port
        fetch = [word for number, path in enumerate(self.paths) for word in ("-o", path, url(target, port, number))]
        self.fetching = net.start("c", "curl", "-sS", "--no-progress-meter", "-N", "--parallel", "--parallel-immediate", *fetch)
        self.sending = net.start("c", "curl", "-sS", "-N", "-T", "-", "-H", "Expect:", url(target, port, "up"),
                                 stdin=subprocess.PIPE, text=False)

    def step(self):
        """The next step of each, to its last byte."""
        done = sum(gate.is_set() for gate in self.gates)
        self.gates[done].set()
        self.sending.stdin.write(self.up[self.sent:self.sent + STEPS[done]])
        self.sending.stdin.flush()
        self.sent += STEPS[done]
        until("it arrives", lambda: self.ended() or self.arrived())
        assert not self.ended() or done + 1 == len(STEPS), self.fetching.stdout.read()

    def ended(self):
        return self.fetching.poll() is not None

    def arrived(self):
        sizes = [os.path.getsize(path) if os.path.exists(path) else 0 for path in self.paths]
        return all(size == self.sent for size in (*sizes, len(self.got)))

    def end(self):
        self.sending.stdin.close()
        for curl in (self.fetching, self.sending):
            assert curl.wait(PATIENCE) == 0, curl.stdout.read()
        assert [pathlib.Path(path).read_bytes() for path in self.paths] == self.down, "curl fetched something else"
        assert self.got == self.up, "curl sent something else"


@contextlib.contextmanager
def transfers(net, family, scratch):
    with programs.web_server(net, family, Steps) as server:
        made = Transfers(net, family, scratch, server)
        try:
            yield made
        finally:
            for gate in made.gates:
                gate.set()
