# SPDX-License-Identifier: BSD-2-Clause
"""Captures and packets for test_replay.py: reads and writes pcap files, and reads frames down to the transport
header with code of its own, so that what fo-demo wrote is judged by somebody else."""
import struct

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D


def read_pcap(path):
    """List of (time in ns, bytes captured, length on the wire)."""
    with open(path, "rb") as f:
        data = f.read()
    magic, = struct.unpack_from("<I", data)
    scale = {MICRO: 1000, NANO: 1}[magic]
    frames, at = [], 24
    while at < len(data):
        seconds, part, captured, length = struct.unpack_from("<IIII", data, at)
        at += 16
        frames.append((seconds * 10**9 + part * scale, data[at:at + captured], length))
        at += captured
    return frames


def pcap_header(link_type=1):
    return struct.pack("<IHHiIII", NANO, 2, 4, 0, 0, 262144, link_type)


def write_pcap(path, frames, link_type=1):
    with open(path, "wb") as f:
        f.write(pcap_header(link_type))
        for time, data, length in frames:
            f.write(struct.pack("<IIII", time // 10**9, time % 10**9, len(data), length) + data)


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Packet:
    """family is 0 when the frame holds no IP packet that fills its headers."""

    def __init__(self, frame):
        self.family = 0
        at, ethertype = 14, int.from_bytes(frame[12:14], "big")
        while ethertype in (0x8100, 0x88A8):
            ethertype = int.from_bytes(frame[at + 2:at + 4], "big")
            at += 4
        if ethertype == 0x8864:
            ethertype = {0x21: 0x0800, 0x57: 0x86DD}.get(int.from_bytes(frame[at + 6:at + 8], "big"), 0)
            at += 8
        self.l2, ip = frame[:at], frame[at:]
        if ethertype == 0x0800 and len(ip) >= 20:
            self.take4(ip)
        elif ethertype == 0x86DD and len(ip) >= 40:
            self.take6(ip)

    def take4(self, ip):
        header = (ip[0] & 15) * 4
        total = int.from_bytes(ip[2:4], "big")
        self.family, self.length = 4, total
        self.ttl, self.proto, self.src, self.dst = ip[8], ip[9], ip[12:16], ip[16:20]
        self.header_good = ones_sum(ip[:header]) == 0xFFFF
        self.fragment = int.from_bytes(ip[6:8], "big") & 0x3FFF != 0
        self.l4 = ip[header:total]
        self.whole = len(ip) >= total

    def take6(self, ip):
        total = 40 + int.from_bytes(ip[4:6], "big")
        self.family, self.length = 6, total
        self.ttl, self.proto, self.src, self.dst = ip[7], ip[6], ip[8:24], ip[24:40]
        self.header_good = True
        self.l4 = ip[40:total]
        self.fragment = False
        while self.proto in (0, 43, 44, 60) and len(self.l4) >= 8:
            self.fragment = self.fragment or self.proto == 44
            step = 8 if self.proto == 44 else 8 + self.l4[1] * 8
            self.proto, self.l4 = self.l4[0], self.l4[step:]
        self.whole = len(ip) >= total

    def is_icmp_error(self):
        if self.proto == 1:
            return self.l4[0] in (3, 4, 5, 11, 12)
        return self.proto == 58 and self.l4[0] < 128

    def is_echo(self):
        return self.proto == 1 and self.l4[0] in (0, 8) or self.proto == 58 and self.l4[0] in (128, 129)

    def checksum(self):
        """'good', 'unfinished' (left to the network card), 'none' or 'bad'."""
        field = {6: 16, 17: 6, 1: 2, 58: 2}.get(self.proto)
        if field is None or self.fragment or not self.whole or len(self.l4) < field + 2:
            return "none"
        stored = int.from_bytes(self.l4[field:field + 2], "big")
        if self.proto == 17 and stored == 0:
            return "none"
        pseudo = b"" if self.proto == 1 else self.src + self.dst + struct.pack("!HH", len(self.l4), self.proto)
        if ones_sum(self.l4 + b"\0" * (len(self.l4) % 2) + pseudo) == 0xFFFF:
            return "good"
        return "unfinished" if pseudo and stored == ones_sum(pseudo) else "bad"

    def payload(self):
        """What no router may touch."""
        return self.l4[{6: 20, 17: 8, 1: 8, 58: 8}.get(self.proto, 0):]

    def ports(self):
        return self.l4[:4] if self.proto in (6, 17) else b""


A, B, C = (bytes.fromhex("0200000000" + last) for last in ("0a", "0b", "0c"))


def udp_frame(dst_mac, src_mac, src, dst, sport, dport, payload, tags=b"", checksum=True, padding=0):
    """An IPv4 UDP frame; src and dst are addresses of 4 bytes."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    if checksum:
        pseudo = src + dst + struct.pack("!HH", len(udp), 17)
        value = 0xFFFF - ones_sum(udp + b"\0" * (len(udp) % 2) + pseudo)
        udp = udp[:6] + struct.pack("!H", value or 0xFFFF) + udp[8:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0) + src + dst
    ip = ip[:10] + struct.pack("!H", 0xFFFF - ones_sum(ip)) + ip[12:]
    return dst_mac + src_mac + tags + b"\x08\x00" + ip + udp + b"\0" * padding


def conversation(rounds, macs=((B, A), (A, B)), gap_ns=10**6, start_ns=10**18, **options):
    """Requests of 10.1.0.1 and answers of 10.2.0.2. macs: (to, from) of requests, of answers."""
    client, server = bytes([10, 1, 0, 1]), bytes([10, 2, 0, 2])
    frames = []
    for number in range(rounds):
        for (to, sender), src, dst, sport, dport in ((macs[0], client, server, 4000, 5000),
                                                     (macs[1], server, client, 5000, 4000)):
            data = udp_frame(to, sender, src, dst, sport, dport, b"round %03d" % number, **options)
            frames.append((start_ns + len(frames) * gap_ns, data, len(data)))
    return frames
