# SPDX-License-Identifier: BSD-2-Clause
"""switch.py - the simulated switch under test: the module in and out, its files, rules of tc, frames in and out.

Frames are sent and seen by packet sockets on both ends of the ports. One processor runs it all, so that what was sent
before a marker was seen, or not, when the marker arrives: nothing is ever waited for in vain.
"""
import errno
import os
import re
import socket
import struct
import subprocess
import time

DEBUG = "/sys/kernel/debug/fo_hwsim/"
PATIENCE = 120  # seconds; ends what hangs
MARKER = 0x88b5
DEFAULTS = {"capacity": 65536, "guards": 0x1f, "count_l3": "N", "fail": 0, "refuse": "\n", "stats": "on", "delay_add_ms": 0,
            "delay_delete_ms": 0, "delay_stats_ms": 0}
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
ETH_P_ALL = 3
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NLMSGERR_ATTR_MSG = 270, 10, 11, 1
RTM_NEWTFILTER, NEW_FILTER = 44, 0x605  # request, acknowledge, create, exclusively
CLSACT_INGRESS, SKIP_SW, TC_ACT_SHOT = 0xfffffff2, 2, 2


def run(*words, fails=False):
    """A command that has to succeed, or, with fails, has to fail; returns what it said."""
    words = [word for part in words for word in (part.split() if isinstance(part, str) else part)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = done.stdout + done.stderr
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}: {said}")
    return said


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def until(condition, text):
    """Wait for what the kernel does by itself."""
    limit = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        expect(time.monotonic() < limit, f"never came about: {text}")
        time.sleep(0.02)


def read(name):
    with open(DEBUG + name, encoding="ascii") as file:
        return file.read()


def write(name, text):
    with open(DEBUG + name, "w", encoding="ascii") as file:
        file.write(str(text))


def loaded():
    return os.path.exists("/sys/module/fo_hwsim")


def counters():
    return {name: int(value) for name, value in (line.split() for line in read("counters").splitlines())}


def rules():
    """What is in the hardware: one dictionary a rule; words that come more than once are joined."""
    found = []
    for line in read("rules").splitlines():
        rule = {}
        for name, value in (word.split("=", 1) for word in line.split()):
            rule[name] = f"{rule[name]} {value}" if name in rule else value
        found.append(rule)
    return found


def links_up(devices, namespace=()):
    def up():
        found = run("ip", namespace, "-br link")
        return all(re.search(rf"^{device}(@\S+)?\s+UP\s", found, re.M) for device in devices)
    until(up, f"links of {devices}")


def batch(tool, lines):
    """Many commands of ip or tc by one process: in the lab starting one is what takes long."""
    if lines:
        done = subprocess.run([tool, "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True,
                              timeout=PATIENCE * 5, check=False)
        expect(done.returncode == 0, f"{tool}: {done.stderr[-2000:]}")


class Tap:
    """What arrives at a device, with its tags where they were."""

    def __init__(self, device):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((device, ETH_P_ALL))

    def next(self, wait):
        self.sock.settimeout(PATIENCE if wait else 0)
        try:
            data, extra, _, _ = self.sock.recvmsg(65536, 256)
        except (BlockingIOError, socket.timeout):
            return None
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            # Said once, of a device that was shut; what arrived before is still there.
            return self.next(wait)
        for level, kind, value in extra:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                if status & 0x10:
                    data = data[:12] + struct.pack(">HH", tpid if status & 0x40 else 0x8100, tci) + data[12:]
        return data


class Switch:
    """The module loaded, all ends up in this namespace and silent but for what is sent here."""

    def __init__(self, module, personality="nic", ports=4):
        self.ports = ports
        self.markers = 0
        self.handles = 0
        run("insmod", module, f"ports={ports}", f"personality={personality}")
        self.devices = [f"{kind}{i}" for i in range(ports) for kind in ("fo", "cable")]
        # Cables carry more than a host takes, so that what is too long can be sent.
        batch("ip", [f"link set {device} mtu {3000 if 'cable' in device else 1500} arp off up" for device in self.devices])
        batch("tc", [f"qdisc add dev fo{i} clsact" for i in range(ports)])
        self.linked()
        self.taps = {device: Tap(device) for device in self.devices}

    def linked(self):
        """A link that came up carries frames when the kernel has taken note."""
        links_up(self.devices)

    def reset(self, personality):
        """As it was loaded, for the next case; what the last one left in the hardware has to be deletable."""
        for name, text in DEFAULTS.items():
            write(name, text)
        self.clear(*{rule["in"] for rule in rules()})
        self.balanced()
        write("personality", personality)
        write("counters", "0")

    @staticmethod
    def balanced():
        left = counters()
        expect(left["rules"] == 0 and left["added"] == left["deleted"] + left["flushed"], f"rules were left: {left}")

    def close(self):
        """Nothing may be left in the hardware that the kernel has not taken back."""
        for tap in self.taps.values():
            tap.sock.close()
        for i in range(self.ports):
            subprocess.run(["tc", "qdisc", "del", "dev", f"fo{i}", "clsact"], capture_output=True, check=False)
        self.balanced()
        run("rmmod fo_hwsim")

    def send(self, device, *frames):
        """Send frames and see where they come out: {device: [bytes, ...]}."""
        peer = device.replace("cable", "fo") if "cable" in device else device.replace("fo", "cable")
        for frame in frames:
            self.taps[device].sock.send(frame if isinstance(frame, bytes) else frame.bytes())
        self.markers += 1
        marker = bytes(12) + struct.pack(">HI", MARKER, self.markers)
        self.taps[device].sock.send(marker + bytes(42))
        seen = {}
        while True:
            data = self.taps[peer].next(wait=True)
            expect(data is not None, f"the marker sent on {device} never came to {peer}")
            if data[:18] == marker:
                break
            seen.setdefault(peer, []).append(data)
        for other in self.devices:
            while other != peer and (data := self.taps[other].next(wait=False)) is not None:
                seen.setdefault(other, []).append(data)
        return seen

    def goes(self, sent, device, wanted, enters="cable0"):
        """One frame has to come out at this device, as wanted and nowhere else."""
        seen = self.send(enters, sent)
        bytes_wanted = wanted if isinstance(wanted, bytes) else wanted.bytes()
        expect(seen == {device: [bytes_wanted]},
               f"wanted at {device} {bytes_wanted.hex()}, seen " +
               str({name: [data.hex() for data in datas] for name, datas in seen.items()}))

    def add(self, match, actions, dev="fo0", protocol="ip", prio=2, flags="skip_sw", fails=False):
        self.handles += 1
        return run(f"tc filter add dev {dev} ingress prio {prio} protocol {protocol} handle {self.handles} flower {flags}",
                   match, actions, fails=fails)

    @staticmethod
    def refusal(dev="fo0"):
        """What the kernel answers to a rule: (errno, words). tc tells only one of them."""
        def attr(kind, data):
            return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)

        gact = attr(1, b"gact\0") + attr(2, attr(2, struct.pack("IIiii", 0, 0, TC_ACT_SHOT, 0, 0)))
        options = attr(8, struct.pack(">H", 0x0800)) + attr(9, b"\x11") + attr(22, struct.pack("I", SKIP_SW)) + \
            attr(3, attr(1, gact))
        body = struct.pack("BxxxiIII", 0, socket.if_nametoindex(dev), 0, CLSACT_INGRESS, 9 << 16 | socket.htons(0x0800)) + \
            attr(1, b"flower\0") + attr(2, options)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
            sock.settimeout(PATIENCE)
            sock.send(struct.pack("IHHII", 16 + len(body), RTM_NEWTFILTER, NEW_FILTER, 1, 0) + body)
            answer = sock.recv(4096)
        error, rest, words = struct.unpack("i", answer[16:20])[0], answer[36:], ""
        while len(rest) >= 4:
            size, kind = struct.unpack("HH", rest[:4])
            if kind == NLMSGERR_ATTR_MSG:
                words = rest[4:size].rstrip(b"\0").decode()
            rest = rest[max(4, size + -size % 4):]
        return -error, words

    @staticmethod
    def shown(dev="fo0"):
        return run(f"tc -s filter show dev {dev} ingress")

    @staticmethod
    def clear(*devices):
        """All rules of these ports."""
        batch("tc", [f"filter del dev {dev} ingress" for dev in devices])


def tuple_of(frame):
    """The keys of a connection; tags and session need more."""
    proto = {6: "tcp", 17: "udp"}[frame.proto]
    return f"ip_proto {proto} src_ip {frame.src} dst_ip {frame.dst} src_port {frame.sport} dst_port {frame.dport}"


def edits(before, after, ttl=True):
    """pedit and csum, for what two frames differ in."""
    l3, l4 = "ip6" if before.v6 else "ip", {6: "tcp", 17: "udp"}[before.proto]
    words = [f"munge eth dst set {after.dst_mac} munge eth src set {after.src_mac}"]
    if ttl:
        words.append("munge ip6 hoplimit add 0xff" if before.v6 else "munge ip ttl add 0xff")
    for name, layer, field in (("src", l3, "src"), ("dst", l3, "dst"), ("sport", l4, "sport"), ("dport", l4, "dport")):
        if getattr(before, name) != getattr(after, name):
            words.append(f"munge {layer} {field} set {getattr(after, name)}")
    if before.tos != after.tos:
        words.append(f"munge {'ip6 traffic_class' if before.v6 else 'ip tos'} set {after.tos}")
    return f"action pedit ex {' '.join(words)} pipe action csum {'' if before.v6 else 'ip and '}{l4} pipe"


def to(device):
    return f"action mirred egress redirect dev {device}"


def packets_of(text, kind="hw"):
    """What tc -s says a rule's last action counted in hardware: (bytes, packets)."""
    found = re.findall(rf"Sent {'hardware ' if kind == 'hw' else ''}(\d+) bytes (\d+) pkt", text)
    return tuple(int(value) for value in found[-1]) if found else (0, 0)
