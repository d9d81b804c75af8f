# SPDX-License-Identifier: BSD-2-Clause
"""world.py - a NAT router on the simulated switch, and `fo-demo serve --backend tc` in it: what tests/tc stands on."""
import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "hwsim"))

import router  # noqa: E402  pylint: disable=wrong-import-position
from switch import PATIENCE, counters, expect, loaded, rules, run, until, write  # noqa: E402,F401  pylint: disable=wrong-import-position

# As that of the simulated hardware's own tests, but nobody offloads here by itself.
router.TABLE = """
table inet hwsim {
	counter slow { }
	chain forward { type filter hook forward priority 0; ct state established; counter name slow; }
	chain out { type nat hook postrouting priority 100; oifname != "fo0" masquerade; }
}
"""


def file_until_done(file):
    for line in file:
        yield line
        if '"done"' in line:
            return


class World(router.Router):
    """The router with its namespaces, a socket path, and the server."""

    def __init__(self, module, build, personality="nic", link="plain"):
        super().__init__(module, personality, link)
        self.program = str(pathlib.Path(build).resolve() / "examples" / "fo-demo" / "fo-demo")
        self.path = f"/tmp/fo-tc-{self.namespaces['r']}"
        self.server = None
        self.tag = ",l3=v7,vlan=7" if link == "vlan" else ""

    def serve(self, *words, fails=False):
        """Start the server; with fails, what it said when it ended."""
        command = ["ip", "netns", "exec", self.namespaces["r"], self.program, "serve", "--backend", "tc", "--socket",
                   self.path, "-d", "fo0", "-d", "fo1", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = process.stdout.readline()
        if fails:
            process.wait(PATIENCE)
            process.stdout.close()
            return first
        expect("listening" in first, f"the server says {first}")
        self.server = process
        return first

    def serve_another(self):
        """A second server beside the first."""
        path, self.path = self.path, self.path + "b"
        try:
            return self.serve("--accept-linger", fails=True)
        finally:
            self.path = path

    def serve_text(self, *words):
        """What the table says of itself."""
        self.serve(*words)
        return self.server.stdout.readline()

    def stop_and_serve(self, *words, fails=False):
        self.stop()
        return self.serve(*words, fails=fails)

    def stop(self, how=signal.SIGTERM):
        if self.server:
            self.server.send_signal(how)
            self.server.wait(PATIENCE)
            self.server.stdout.close()
            self.server = None

    def ask(self, *words):
        """An answer of the server's."""
        return run(self.program, [str(word) for word in words], "--socket", self.path)

    def request(self, **words):
        """The same by the server's own protocol, without a process; None when the server is gone."""
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self.path)
                sock.sendall(json.dumps(words).encode() + b"\n")
                with sock.makefile() as file:
                    answers = [json.loads(line) for line in file_until_done(file)]
            except OSError:
                return None
        return answers if answers and "done" in answers[-1] else None

    def flows(self):
        return [json.loads(line)["flow"] for line in self.ask("list", "--json").splitlines()]

    def sides(self):
        macs = router.MACS
        return (f"fo0,mac={macs['fo0']},peer={macs['cable0']},mtu=1500", f"fo1{self.tag},mac={macs['fo1']},peer={macs['cable1']},mtu=1500")

    def entries(self, proto):
        """Both tuples of each connection of that protocol: source, destination, ports."""
        shown = run("ip netns exec", self.namespaces["r"], "conntrack -L -p", proto)
        found = re.findall(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)", shown)
        return list(zip(found[::2], found[1::2]))

    def entry(self, proto):
        """Both tuples of the only connection of that protocol, in fo-demo's words."""
        found = self.entries(proto)
        expect(len(found) == 1, found)
        (src, dst, sport, dport), (rsrc, rdst, rsport, rdport) = found[0]
        return ["-p", proto, "-s", src, "-d", dst, "--sport", sport, "--dport", dport, "-r", rsrc, "-q", rdst,
                "--reply-port-src", rsport, "--reply-port-dst", rdport]

    def add(self, proto, *words):
        inside, outside = self.sides()
        return self.ask("add", *self.entry(proto), "--in", inside, "--out", outside, *words)

    def refused(self, proto):
        inside, outside = self.sides()
        return run(self.program, "add", self.entry(proto), "--in", inside, "--out", outside, "--socket", self.path, fails=True)

    def close(self):
        self.stop()
        super().close()


@contextlib.contextmanager
def world(module, build, personality="nic", link="plain"):
    made = World(module, build, personality, link)
    try:
        yield made
    finally:
        made.close()
        if loaded():
            run("rmmod fo_hwsim")


def filters(w):
    """Lines of flower filters at the router's ports."""
    shown = [run("ip netns exec", w.namespaces["r"], f"tc filter show dev {dev} ingress") for dev in ("fo0", "fo1")]
    return [line for text in shown for line in text.splitlines() if " handle " in line]


def rows(w):
    """Rules of flows in the hardware: guards are not."""
    return [rule for rule in rules() if rule["do"] == "forward"] if w else []
