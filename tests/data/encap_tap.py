#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A VLAN, QinQ or PPPoE session device in user space, for kernels built without one.

record.sh starts one on each end of a veth when the kernel has no such device type.
The host's own stack talks to the TAP (TUN for PPPoE) that this program creates; here
each frame only gains its tags or its PPPoE header on the way out to the port, and
loses them on the way in. What the port carries is what a real program said, in a real
encapsulation. There is no PPPoE discovery and no LCP: both ends are told the session.

It runs until a signal ends it. Frames with another encapsulation are left alone.
"""
import argparse
import errno
import fcntl
import os
import select
import socket
import struct

ETH_P_ALL = 0x0003
ETH_P_8021Q = 0x8100
ETH_P_8021AD = 0x88A8
ETH_P_PPPOE = 0x8864
PPP_PROTO = {4: 0x0021, 6: 0x0057}
ETH_HLEN = 14

SOL_PACKET = 263
PACKET_AUXDATA = 8
AUXDATA = struct.Struct("=IIIHHHH")
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def open_port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.bind((name, ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.setblocking(False)
    return port


def open_tap(name, kind):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = (IFF_TUN if kind == "pppoe" else IFF_TAP) | IFF_NO_PI
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return fd


def with_tag_restored(frame, control):
    """The kernel takes the outer tag out of a received frame; put it back."""
    for level, kind, data in control:
        if level != SOL_PACKET or kind != PACKET_AUXDATA:
            continue
        status, _, _, _, _, tci, tpid = AUXDATA.unpack_from(data)
        if not status & TP_STATUS_VLAN_VALID:
            continue
        if not status & TP_STATUS_VLAN_TPID_VALID:
            tpid = ETH_P_8021Q
        return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


class Tags:
    """802.1Q, alone or inside 802.1ad: the TAP is an Ethernet device."""

    def __init__(self, vids):
        tpids = [ETH_P_8021Q] if len(vids) == 1 else [ETH_P_8021AD, ETH_P_8021Q]
        self.tags = b"".join(struct.pack("!HH", *tag) for tag in zip(tpids, vids))

    def wrap(self, frame):
        return frame[:12] + self.tags + frame[12:]

    def unwrap(self, frame):
        end = 12 + len(self.tags)
        if frame[12:end] != self.tags or len(frame) < end + 2:
            return None
        return frame[:12] + frame[end:]


class Session:
    """A PPPoE session that is already up: the TUN carries bare IP packets."""

    def __init__(self, session, own_mac, peer_mac):
        self.session = session
        self.ethernet = peer_mac + own_mac + struct.pack("!H", ETH_P_PPPOE)
        self.answer = own_mac + peer_mac + struct.pack("!H", ETH_P_PPPOE)

    def wrap(self, packet):
        proto = PPP_PROTO.get(packet[0] >> 4)
        if proto is None:
            return None
        head = struct.pack("!BBHHH", 0x11, 0, self.session, len(packet) + 2, proto)
        return self.ethernet + head + packet

    def unwrap(self, frame):
        if frame[:ETH_HLEN] != self.answer or len(frame) < ETH_HLEN + 8:
            return None
        version, code, session, size, proto = struct.unpack_from("!BBHHH", frame, ETH_HLEN)
        if (version, code, session) != (0x11, 0, self.session):
            return None
        if proto not in PPP_PROTO.values() or not 2 <= size <= len(frame) - ETH_HLEN - 6:
            return None
        return frame[ETH_HLEN + 8:ETH_HLEN + 6 + size]


def from_port(port, tap, encap):
    frame, control, _, address = port.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    if address[2] == socket.PACKET_OUTGOING:
        return
    inner = encap.unwrap(with_tag_restored(frame, control))
    if inner:
        write_unless_down(lambda: os.write(tap, inner))


def from_tap(port, tap, encap):
    outer = encap.wrap(os.read(tap, 65536))
    if outer:
        write_unless_down(lambda: port.send(outer))


def write_unless_down(write):
    """A frame for a device that is not up (yet, or any more) is lost, as on a wire."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.EIO, errno.ENETDOWN):
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("tags", "pppoe"))
    parser.add_argument("--port", required=True, help="the veth that carries the encapsulation")
    parser.add_argument("--tap", required=True, help="the device to create")
    parser.add_argument("--vid", type=int, action="append", help="outer first, at most two")
    parser.add_argument("--session", type=int, help="PPPoE session")
    parser.add_argument("--macs", nargs=2, type=mac_bytes, help="PPPoE: own and peer's MAC")
    args = parser.parse_args()

    if args.kind == "tags":
        if not args.vid or len(args.vid) > 2:
            parser.error("tags needs one --vid or two")
        encap = Tags(args.vid)
    else:
        if not args.session or not args.macs:
            parser.error("pppoe needs --session and --macs")
        encap = Session(args.session, *args.macs)

    port = open_port(args.port)
    tap = open_tap(args.tap, args.kind)
    while True:
        ready, _, _ = select.select([port, tap], [], [])
        if port in ready:
            from_port(port, tap, encap)
        if tap in ready:
            from_tap(port, tap, encap)


if __name__ == "__main__":
    main()
