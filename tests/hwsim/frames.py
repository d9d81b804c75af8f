# SPDX-License-Identifier: BSD-2-Clause
"""frames.py - frames as a sender would make them, every checksum from scratch, and what they should become.

A frame that was rewritten is described as a change of the one that was sent (`.but(ttl=63, ...)`), and both are written
out by the same code, which knows nothing of the hardware that is tested.
"""
import dataclasses
import socket
import struct

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
FRAGMENTED, LATER = 0x2000, 0x0010  # more fragments follow; offset 128

HOST_MAC = "02:00:00:00:00:01"
PEER_MAC = "02:00:00:00:00:02"
FAR_MAC = "02:00:00:00:00:03"
NEAR_MAC = "02:00:00:00:00:04"


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


@dataclasses.dataclass(frozen=True)
class Frame:
    dst_mac: str = HOST_MAC
    src_mac: str = PEER_MAC
    tags: tuple = ()  # (ethertype, TCI), outermost first
    session: int = None
    src: str = "10.0.1.2"
    dst: str = "10.0.2.2"
    proto: int = UDP
    sport: int = 7777
    dport: int = 5001
    ttl: int = 64
    tos: int = 0
    flags: int = ACK
    fragment: int = 0  # flags and offset of IPv4
    options: bytes = b""
    payload: bytes = b"what a packet carries"
    padding: int = 0
    l4_checksum: int = None  # instead of the right one
    l4_wrong_by: int = 0

    def but(self, **changes):
        return dataclasses.replace(self, **changes)

    @property
    def v6(self):
        return ":" in self.src

    def _l4(self):
        addresses = b"".join(socket.inet_pton(socket.AF_INET6 if self.v6 else socket.AF_INET, a)
                             for a in (self.src, self.dst))
        if self.proto == TCP:
            head = struct.pack(">HHIIBBHHH", self.sport, self.dport, 1000, 2000, 0x50, self.flags, 512, 0, 0)
            at = 16
        else:
            head = struct.pack(">HHHH", self.sport, self.dport, 8 + len(self.payload), 0)
            at = 6
        data = head + self.payload
        pseudo = addresses + struct.pack(">HBB", len(data), 0, self.proto)
        value = checksum(pseudo + data)
        if self.proto == UDP and value == 0:
            value = 0xffff
        value ^= self.l4_wrong_by
        if self.l4_checksum is not None:
            value = self.l4_checksum
        return data[:at] + struct.pack(">H", value) + data[at + 2:]

    def _l3(self):
        data = self._l4()
        if self.v6:
            head = struct.pack(">IHBB", 6 << 28 | self.tos << 20, len(data), self.proto, self.ttl)
            return head + socket.inet_pton(socket.AF_INET6, self.src) + socket.inet_pton(socket.AF_INET6, self.dst) + data
        size = 20 + len(self.options)
        head = struct.pack(">BBHHHBBH4s4s", 0x40 | size // 4, self.tos, size + len(data), 77, self.fragment, self.ttl,
                           self.proto, 0, socket.inet_aton(self.src), socket.inet_aton(self.dst)) + self.options
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + data

    def bytes(self):
        data = self._l3()
        ethertype = 0x86dd if self.v6 else 0x0800
        if self.session is not None:
            data = struct.pack(">HHHH", 0x1100, self.session, len(data) + 2, 0x57 if self.v6 else 0x21) + data
            ethertype = 0x8864
        head = mac(self.dst_mac) + mac(self.src_mac)
        for tpid, tci in self.tags:
            head += struct.pack(">HH", tpid, tci)
        return head + struct.pack(">H", ethertype) + data + bytes(self.padding)


V4 = Frame()
V6 = Frame(src="fd01::2", dst="fd02::2")
# What a router makes of them on the way to port 1: source NAT of address and port.
V4_OUT = V4.but(dst_mac=FAR_MAC, src_mac=NEAR_MAC, ttl=63, src="10.0.2.1", sport=40001)
V6_OUT = V6.but(dst_mac=FAR_MAC, src_mac=NEAR_MAC, ttl=63, src="fd02::1", sport=40001)
