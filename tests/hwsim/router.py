# SPDX-License-Identifier: BSD-2-Clause
"""router.py - client, router and server in namespaces, joined by the simulated switch; nf_flowtable offloads to it."""
import contextlib
import ctypes
import os
import pathlib
import re
import socket
import subprocess
import threading

from switch import PATIENCE, counters, expect, links_up, loaded, rules, run, until

HERE = pathlib.Path(__file__).resolve().parent
PPPOE = str(HERE.parent / "nft" / "programs_pppoe.py")
MACS = {"fo0": "02:00:00:00:00:01", "cable0": "02:00:00:00:00:02", "cable1": "02:00:00:00:00:03", "fo1": "02:00:00:00:00:04"}
TABLE = """
table inet hwsim {
	flowtable ft { hook ingress priority 0; devices = { fo0, fo1 }; flags offload; }
	counter slow { }
	chain forward {
		type filter hook forward priority 0;
		counter name slow
		meta l4proto { tcp, udp } ct state established flow add @ft
	}
	chain out { type nat hook postrouting priority 100; oifname != "fo0" masquerade; }
}
"""


@contextlib.contextmanager
def inside(namespace):
    """What is opened in here belongs to that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        expect(libc.setns(there, 0) == 0, "setns")
        yield
    finally:
        expect(libc.setns(here, 0) == 0, "setns back")
        os.close(there)
        os.close(here)


class Router:
    def __init__(self, module, personality, link="plain"):
        """@link: how the server is reached: plain, vlan, pppoe."""
        run("insmod", module, f"personality={personality}")
        self.namespaces = {who: f"hwsim{os.getpid()}{who}" for who in "crs"}
        self.sessions = []
        for name in self.namespaces.values():
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        for device, who in (("fo0", "r"), ("fo1", "r"), ("cable0", "c"), ("cable1", "s")):
            run(f"ip link set {device} netns {self.namespaces[who]}")
            self.ip(who, f"link set {device} address {MACS[device]} up")
        for device, who in (("fo0", "r"), ("fo1", "r"), ("cable0", "c"), ("cable1", "s")):
            links_up([device], ["-n", self.namespaces[who]])
        self.ip("c", "addr add 10.0.1.2/24 dev cable0")
        self.ip("r", "addr add 10.0.1.1/24 dev fo0")
        self.ip("c", "route add default via 10.0.1.1")
        self.ip("c", "addr add fd01::2/64 dev cable0 nodad")
        self.ip("r", "addr add fd01::1/64 dev fo0 nodad")
        self.ip("c", "-6 route add default via fd01::1")
        self.link(link)
        run("ip netns exec", self.namespaces["r"], "sysctl -qw net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1")
        subprocess.run(["ip", "netns", "exec", self.namespaces["r"], "nft", "-f", "-"], input=TABLE, text=True,
                       timeout=PATIENCE, check=True)
        self.sock = {}
        for who in "cs":
            with inside(self.namespaces[who]):
                self.sock[who] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock[who].settimeout(PATIENCE)
        self.sock["s"].bind(("10.0.2.2", 5001))

    def stream(self, address):
        """A TCP connection to a server that echoes; its socket."""
        with inside(self.namespaces["s"]):
            listener = socket.create_server((address, 5002), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        with inside(self.namespaces["c"]):
            sock = socket.create_connection((address, 5002), timeout=PATIENCE)
        served, peer = listener.accept()
        listener.close()
        expect(peer[0] in ("10.0.2.1", "fd02::1"), f"the server sees the router's address, not {peer}")

        def echo():
            with served:
                while data := served.recv(65536):
                    served.sendall(data)

        thread = threading.Thread(target=echo)
        thread.start()
        return sock, thread

    def wrong_checksums(self):
        """Packets of either end that were thrown away for their checksum."""
        total = 0
        for who in "cs":
            with inside(self.namespaces[who]), open("/proc/self/net/snmp", encoding="ascii") as file:
                lines = [line.split() for line in file]
            for names, values in zip(lines[::2], lines[1::2]):
                total += sum(int(value) for name, value in zip(names, values) if name == "InCsumErrors")
        return total

    def ip(self, who, words):
        return run(f"ip -n {self.namespaces[who]}", words)

    def link(self, kind):
        ends = {"r": "fo1", "s": "cable1"}
        if kind == "vlan":
            for who, device in ends.items():
                self.ip(who, f"link add link {device} name v7 type vlan id 7")
                ends[who] = "v7"
        if kind == "pppoe":
            for who, device in list(ends.items()):
                ends[who] = self.session(who, device, MACS["cable1" if who == "r" else "fo1"])
        for (who, device), address in zip(ends.items(), ("10.0.2.1", "10.0.2.2")):
            self.ip(who, f"link set {device} up")
            peer = "10.0.2.2" if address == "10.0.2.1" else "10.0.2.1"
            self.ip(who, f"addr add {address} peer {peer} dev {device}" if kind == "pppoe"
                    else f"addr add {address}/24 dev {device}")
        if kind != "pppoe":
            for (who, device), address in zip(ends.items(), ("fd02::1", "fd02::2")):
                self.ip(who, f"addr add {address}/64 dev {device} nodad")
            self.ip("s", "-6 route add default via fd02::1")
        if kind == "vlan":
            for who, device in ends.items():
                links_up([device], ["-n", self.namespaces[who]])
        self.ip("s", "route add 10.0.1.0/24 via 10.0.2.1")

    def session(self, who, device, peer):
        """The kernel's PPPoE without discovery; ends with this object."""
        process = subprocess.Popen(["ip", "netns", "exec", self.namespaces[who], "python3", PPPOE, device, peer, "9"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sessions.append(process)
        return process.stdout.readline().strip()

    def ping(self, text=b"ping"):
        """A packet there and one back; the server has to see the router's address."""
        self.sock["c"].sendto(text, ("10.0.2.2", 5001))
        data, sender = self.sock["s"].recvfrom(4096)
        expect(data == text and sender[0] == "10.0.2.1", f"the server got {data} from {sender}")
        self.sock["s"].sendto(b"pong" + text, sender)
        data, sender = self.sock["c"].recvfrom(4096)
        expect(data == b"pong" + text and sender == ("10.0.2.2", 5001), f"the client got {data} from {sender}")

    def slow_packets(self):
        return int(re.search(r"packets (\d+)", self.nft("list counter inet hwsim slow")).group(1))

    def nft(self, words):
        return run("ip netns exec", self.namespaces["r"], "nft", words)

    def offloaded(self):
        """Talk until both directions are in hardware; the rules."""
        def both():
            self.ping()
            found = rules()
            return found if len(found) == 2 else None
        return until(both, "two rules of the flowtable")

    def fast(self, times=10):
        """Every packet forwarded by hardware, none by the router's stack."""
        slow, fast = self.slow_packets(), counters()["forwarded"]
        for i in range(times):
            self.ping(b"%d" % i)
        expect(self.slow_packets() == slow, f"the router's stack saw {self.slow_packets() - slow} packets")
        expect(counters()["forwarded"] == fast + 2 * times, "the hardware forwarded them")

    def close(self):
        for sock in self.sock.values():
            sock.close()
        for process in self.sessions:
            process.stdin.close()
            process.wait(PATIENCE)
            process.stdout.close()
        for name in self.namespaces.values():
            run(f"ip netns del {name}")
        # Devices come back to this namespace when the others are gone, which the kernel does in its own time.
        until(lambda: not loaded() or all(os.path.exists(f"/sys/class/net/{device}") for device in MACS), "the devices are back")
