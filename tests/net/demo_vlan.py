#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A host on a VLAN without a VLAN device: tagged ARP and UDP by hand, for demo-test.sh.

usage: demo_vlan.py echo ADDRESS PORT
       demo_vlan.py ask INTERFACE VID OWN_ADDRESS GATEWAY SERVER PORT COUNT

"ask" resolves the gateway, sends COUNT datagrams in tagged frames, each after the answer to the one before, and
checks each answer's tag, addresses, checksums and bytes. "echo" answers whatever comes, until it is ended.
"""
import socket
import struct
import sys

AUXDATA = 8
SOL_PACKET = 263
VLAN_VALID = 0x10


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(address, port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, int(port)))
    while True:
        data, sender = server.recvfrom(4096)
        server.sendto(data, sender)


class Host:
    def __init__(self, interface, vid, address):
        self.vid = int(vid)
        self.address = socket.inet_aton(address)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(SOL_PACKET, AUXDATA, 1)
        self.socket.bind((interface, 0))
        self.socket.settimeout(10)
        self.mac = self.socket.getsockname()[4]

    def send(self, to, kind, payload):
        self.socket.send(to + self.mac + struct.pack("!HHH", 0x8100, self.vid, kind) + payload)

    def receive(self, kind):
        """The next payload of that kind sent to us with our tag."""
        while True:
            frame, control, _, sender = self.socket.recvmsg(4096, 64)
            if sender[2] == socket.PACKET_OUTGOING or frame[:6] != self.mac:
                continue
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", control[0][2][:20])
            if status & VLAN_VALID and tci & 0xFFF == self.vid and frame[12:14] == struct.pack("!H", kind):
                return frame[14:]

    def resolve(self, address):
        target = socket.inet_aton(address)
        question = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, self.mac, self.address, b"", target)
        self.send(b"\xff" * 6, 0x806, question)
        while True:
            answer = self.receive(0x806)
            if answer[6:8] == b"\0\2" and answer[14:18] == target:
                return answer[8:14]

    def ask(self, gateway, server, port, text):
        """One datagram and its answer."""
        to = socket.inet_aton(server)
        udp = struct.pack("!HHHH", 4321, port, 8 + len(text), 0) + text
        pseudo = self.address + to + struct.pack("!HH", 17, len(udp))
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, self.address, to)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        self.send(gateway, 0x800, header + udp)
        while True:
            packet = self.receive(0x800)
            if packet[9] == 17 and packet[12:16] == to:
                break
        length = struct.unpack("!H", packet[2:4])[0]
        datagram = packet[20:length]
        pseudo = to + self.address + struct.pack("!HH", 17, len(datagram))
        return (packet[16:20] == self.address and checksum(packet[:20]) == 0 and packet[8] == 63
                and checksum(pseudo + datagram) == 0 and datagram[8:] == text
                and datagram[:4] == struct.pack("!HH", port, 4321))


def main():
    if sys.argv[1] == "echo":
        echo(*sys.argv[2:])
    interface, vid, address, gateway, server, port, count = sys.argv[2:]
    host = Host(interface, vid, address)
    mac = host.resolve(gateway)
    wrong = [i for i in range(int(count)) if not host.ask(mac, server, int(port), bytes(range(i % 256)) * 3)]
    if wrong:
        print(f"answers that are not what they should be: {wrong}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
