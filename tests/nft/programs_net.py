# SPDX-License-Identifier: BSD-2-Clause
"""Routers for programs.py: client, router and server in network namespaces, one way of wiring them a function.

The client is 10.91.1.2 and fd91:1::2, the server 10.91.2.2 and fd91:2::2; the router counts in the forward hook, before
anybody's rules, what takes the slow path. What a Net starts ends with it, its namespaces too.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds until something counts as hanging
HERE = pathlib.Path(__file__).resolve().parent
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1


def run(*words, check=True, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
                          **options)
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}"
    return done


def until(what, true, pause_s=0.05):
    """Waits for true() to hand back something, looking every so often; that is returned."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(pause_s)
    return found


def alone():
    """From here on this program is a process of its own, in PID and mount namespaces whose /run nobody else sees. Network
    namespaces have their names there only, and temporary files their place: with the program all of it is gone, its
    processes too, and be it killed."""
    if LIBC.unshare(CLONE_NEWNS | CLONE_NEWPID) != 0:
        sys.exit(f"namespaces of its own: {os.strerror(ctypes.get_errno())}")
    alive, held = os.pipe()
    if child := os.fork():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(alive)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(held)
    os.set_blocking(alive, False)
    with contextlib.suppress(BlockingIOError):  # the parent lives
        os.read(alive, 1)
        sys.exit("ended at its beginning")
    os.close(alive)
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "proc", "proc", "/proc")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    tempfile.tempdir = "/run"


class Net:
    short_cut = "OFFLOAD"  # as conntrack calls it
    ends = {"TIME_WAIT"}  # ... when FIN came from both

    def __init__(self):
        self.names, self.started = {}, []
        for who in "crsw":  # client, router, server, a switch
            self.names[who] = f"fonftp{os.getpid()}{who}"
            run("ip", "netns", "add", self.names[who])
            self.ip(who, "link", "set", "lo", "up")
        # How fo-demo is told of both sides, and where the client finds the server, by family.
        self.ports, self.lan, self.wan = ["c0", "s0"], "c0", "s0"
        self.target = {4: "10.91.2.2", 6: "fd91:2::2"}

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        for name in self.names.values():
            run("ip", "netns", "del", name, check=False)

    def run(self, who, *words, check=True, **options):
        with self.entered(who):
            return run(*words, check=check, **options)

    def start(self, who, *words, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        with self.entered(who):
            process = subprocess.Popen([str(word) for word in words], **options)
        self.started.append(process)
        return process

    def ip(self, who, *words):
        return run("ip", "-n", self.names[who], *words)

    @contextlib.contextmanager
    def entered(self, who):
        """Sockets and processes made by this thread meanwhile are that namespace's; /sys is not."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        away = os.open(f"/run/netns/{self.names[who]}", os.O_RDONLY)
        try:
            assert LIBC.setns(away, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            yield
        finally:
            assert LIBC.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            os.close(home)
            os.close(away)

    # ---- building blocks ----

    def cable(self, one, device, other, peer):
        run("ip", "link", "add", device, "netns", self.names[one], "type", "veth", "peer", "name", peer, "netns",
            self.names[other])
        self.ip(one, "link", "set", device, "up")
        self.ip(other, "link", "set", peer, "up")

    def side(self, who, device, router_device, net):
        """Addresses and routes of one side; the devices are there."""
        for end, name, host in ((who, device, 2), ("r", router_device, 1)):
            self.ip(end, "link", "set", name, "up")
            self.ip(end, "addr", "add", f"10.91.{net}.{host}/24", "dev", name)
            self.ip(end, "addr", "add", f"fd91:{net}::{host}/64", "dev", name, "nodad")
        self.ip(who, "route", "add", "default", "via", f"10.91.{net}.1")
        self.ip(who, "-6", "route", "add", "default", "via", f"fd91:{net}::1")

    def rules(self, nat=""):
        self.run("r", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.ipv4.conf.all.send_redirects=0")
        self.run("r", "nft", "-f", "-", input=f"""table inet world {{
            counter slow {{ }}
            chain forward {{ type filter hook forward priority -300; counter name slow; }}
            chain mss {{ type filter hook forward priority 0; tcp flags syn tcp option maxseg size set rt mtu; }}
            {nat}
        }}""")

    def picture(self):
        """What the router knows, for who reads of a failure."""
        said = [self.run("r", *words, check=False).stdout for words in (
            ["conntrack", "-L"], ["conntrack", "-L", "-f", "ipv6"], ["nft", "list", "ruleset"], ["ip", "-s", "-br", "link"])]
        return "\n".join("     " + line for text in said for line in text.splitlines())

    def address(self, who, device):
        """Its MAC address; None: it has none."""
        return json.loads(self.run(who, "ip", "-j", "link", "show", device).stdout)[0].get("address")

    def sent(self):
        """Packets that the router's ports have sent."""
        with self.entered("r"):
            lines = pathlib.Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()
        counted = {name.strip(): numbers.split() for name, _, numbers in (line.partition(":") for line in lines)}
        return sum(int(counted[port][9]) for port in self.ports)

    def slow(self):
        """Packets that took the slow path since the beginning."""
        words = self.run("r", "nft", "list", "counter", "inet", "world", "slow").stdout.split()
        return int(words[words.index("packets") + 1])

    def entries(self, port, family=4, proto="tcp"):
        """Conntrack's entries to that port of the server as it listens: [(original, reply, flags)]."""
        listed = self.run("r", "conntrack", "-L", "-f", f"ipv{family}", "-p", proto, "--reply-port-src", port, check=False)
        return [parse(line) for line in listed.stdout.splitlines() if line.startswith(proto)]


def parse(line):
    """A line of conntrack -L."""
    tuples, flags = [], set()
    for word in line.split():
        key, is_pair, value = word.partition("=")
        if is_pair and key == "src":
            tuples.append({})
        if is_pair and tuples and key in ("src", "dst", "sport", "dport", "packets", "bytes"):
            tuples[-1][key] = value
        elif not is_pair:
            flags.add(word.strip("[]"))
    return tuples[0], tuples[1], flags


# ---- ways to wire a router ----

MASQUERADE = 'chain post { type nat hook postrouting priority 100; oifname "%s" masquerade; }'


def masquerade(net):
    net.cable("r", "c0", "c", "eth")
    net.cable("r", "s0", "s", "eth")
    net.side("c", "eth", "c0", 1)
    net.side("s", "eth", "s0", 2)
    net.rules(MASQUERADE % "s0")


def routed(net):
    """No NAT."""
    masquerade(net)
    net.run("r", "nft", "flush chain inet world post")


def dnat(net):
    """The client knows only the router."""
    masquerade(net)
    net.run("r", "nft", """add chain inet world pre { type nat hook prerouting priority -100; }
        add rule inet world pre ip daddr 10.91.1.1 dnat ip to 10.91.2.2
        add rule inet world pre ip6 daddr fd91:1::1 dnat ip6 to fd91:2::2""")
    net.target = {4: "10.91.1.1", 6: "fd91:1::1"}


def hairpin(net):
    """Client and server share the LAN; the client uses the router's public address."""
    net.ip("w", "link", "add", "br0", "type", "bridge")
    net.ip("w", "link", "set", "br0", "up")
    for who, device in (("r", "c0"), ("c", "eth"), ("s", "eth")):
        net.cable(who, device, "w", f"to-{who}")
        net.ip("w", "link", "set", f"to-{who}", "master", "br0")
    net.side("c", "eth", "c0", 1)
    net.ip("s", "addr", "add", "10.91.1.3/24", "dev", "eth")
    net.ip("s", "addr", "add", "fd91:1::3/64", "dev", "eth", "nodad")
    net.ip("s", "route", "add", "default", "via", "10.91.1.1")
    net.ip("s", "-6", "route", "add", "default", "via", "fd91:1::1")
    net.ip("r", "addr", "add", "10.91.9.1/32", "dev", "lo")
    net.ip("r", "addr", "add", "fd91:9::1/128", "dev", "lo")
    net.rules(MASQUERADE % "c0" + """
        chain pre { type nat hook prerouting priority -100;
            ip daddr 10.91.9.1 dnat ip to 10.91.1.3
            ip6 daddr fd91:9::1 dnat ip6 to fd91:1::3
        }""")
    net.ports, net.wan, net.target = ["c0"], "c0", {4: "10.91.9.1", 6: "fd91:9::1"}


def vlan(net):
    """The client's side is VLAN 10."""
    net.cable("r", "c0", "c", "eth")
    net.cable("r", "s0", "s", "eth")
    net.ip("r", "link", "add", "link", "c0", "name", "c0.10", "type", "vlan", "id", "10")
    net.ip("c", "link", "add", "link", "eth", "name", "eth.10", "type", "vlan", "id", "10")
    net.side("c", "eth.10", "c0.10", 1)
    net.side("s", "eth", "s0", 2)
    net.rules(MASQUERADE % "s0")
    net.lan = "c0,l3=c0.10,vlan=10"


def bridge(net):
    """The router's LAN is a bridge, the client at one of its ports."""
    net.cable("r", "c0", "c", "eth")
    net.cable("r", "s0", "s", "eth")
    net.ip("r", "link", "add", "br-lan", "type", "bridge")
    net.ip("r", "link", "set", "c0", "master", "br-lan")
    net.side("c", "eth", "br-lan", 1)
    net.side("s", "eth", "s0", 2)
    net.rules(MASQUERADE % "s0")
    net.lan = "c0,l3=br-lan"


def pppoe(net):
    """The server is reached by a PPPoE session."""
    net.cable("r", "c0", "c", "eth")
    net.cable("r", "s0", "s", "eth")
    mac = {}
    for who, device in (("r", "s0"), ("s", "eth")):
        mac[who] = net.address(who, device)
    for who, device, peer in (("r", "s0", "s"), ("s", "eth", "r")):
        session = net.start(who, HERE / "programs_pppoe.py", device, mac[peer], 77, stdin=subprocess.PIPE)
        name = session.stdout.readline().strip()
        assert name == "ppp0", name + session.stdout.read()
        net.ip(who, "link", "set", name, "mtu", "1492", "up")
    net.side("c", "eth", "c0", 1)
    for who, host, peer in (("r", 1, 2), ("s", 2, 1)):
        net.ip(who, "addr", "add", f"10.91.2.{host}", "peer", f"10.91.2.{peer}", "dev", "ppp0")
        net.ip(who, "addr", "add", f"fd91:2::{host}", "peer", f"fd91:2::{peer}", "dev", "ppp0", "nodad")
        if who == "s":
            net.ip(who, "route", "add", "default", "dev", "ppp0")
            net.ip(who, "-6", "route", "add", "default", "dev", "ppp0")
    net.rules(MASQUERADE % "ppp0")
    net.wan = "s0,l3=ppp0,pppoe=77"


TOPOLOGIES = [masquerade, routed, dnat, hairpin, vlan, bridge, pppoe]
