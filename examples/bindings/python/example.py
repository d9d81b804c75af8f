#!/usr/bin/env python3
"""One connection behind source NAT, from Python: a packet takes the short cut, counters and the last event follow.

    FLOWOFFLOAD_LIBRARY=path/to/libflowoffload.so ./example.py
"""
import socket
import struct

import flowoffload
from flowoffload import abi

LAN, WAN = 1, 2
ROUTER = "02:00:00:00:00:01"


def ones_sum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def udp_frame(dst_mac, src, sport, dst, dport, payload):
    """An Ethernet frame with IPv4 and UDP (without a UDP checksum)."""
    udp = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, flowoffload.UDP, 0,
                     socket.inet_aton(src), socket.inet_aton(dst))
    ip = ip[:10] + struct.pack(">H", ~ones_sum(ip) & 0xffff) + ip[12:]
    return bytes(flowoffload.mac(dst_mac)) + bytes.fromhex("020000000002") + b"\x08\x00" + ip + udp


def add_connection(table):
    lan = table.add_adj(LAN, own_mac=ROUTER, peer_mac="02:00:00:00:00:02")
    wan = table.add_adj(WAN, own_mac=ROUTER, peer_mac="02:00:00:00:00:03")
    original = flowoffload.make_tuple("192.168.1.2", 5000, "198.51.100.7", 53)
    reply = flowoffload.make_tuple("198.51.100.7", 53, "203.0.113.1", 40000)
    return table.add_flow(original, reply, lan, wan, nat=abi.FO_NAT_SRC, user=42)


def main():
    with flowoffload.Table(ports=[LAN, WAN], capacity=1000, workers=1) as table:
        flow = add_connection(table)
        worker = table.open_worker()
        verdict, = worker.run([udp_frame(ROUTER, "192.168.1.2", 5000, "198.51.100.7", 53, b"question")], in_port=LAN)
        source = socket.inet_ntoa(verdict.frame[26:30]), struct.unpack(">H", verdict.frame[34:36])[0]
        print(f"forwarded: {verdict.forwarded}, by port {verdict.out_port}, from {source[0]}:{source[1]}")
        print(f"counters: {table.flow_stats(flow).packets} packets, {table.flow_stats(flow).bytes} bytes")
        print(table.explain(flow).text)
        table.invalidate(port=WAN)
        table.sync()
        for event in table.poll():
            print(f"event: {event.kind} ({event.reason}), user {event.user}, {event.counters.packets} packets")


if __name__ == "__main__":
    main()
