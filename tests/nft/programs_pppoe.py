#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""programs_pppoe.py DEVICE PEER_MAC SESSION: one end of a PPPoE session of the kernel's, without discovery and LCP.

Prints the PPP device's name; the session ends with its standard input.
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys

AF_PPPOX = 24
PPPIOCGCHAN, PPPIOCATTCHAN, PPPIOCCONNECT = 0x80047437, 0x40047438, 0x4004743A
PPPIOCNEWUNIT, PPPIOCSNPMODE = 0xC004743E, 0x4008744B
PPP_IP, PPP_IPV6, NPMODE_PASS = 0x21, 0x57, 0


def connected(device, peer, session):
    """A socket of the session: struct sockaddr_pppox is packed."""
    libc = ctypes.CDLL(None, use_errno=True)
    sock = socket.socket(AF_PPPOX, socket.SOCK_STREAM, 0)
    address = struct.pack("=HI", AF_PPPOX, 0) + struct.pack(">H", session) + bytes.fromhex(peer.replace(":", "")) + \
        struct.pack("16s", device.encode())
    if libc.connect(sock.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), "PPPoE: " + os.strerror(ctypes.get_errno()))
    return sock


def main():
    device, peer, session = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sock = connected(device, peer, session)
    channel_number = fcntl.ioctl(sock, PPPIOCGCHAN, struct.pack("i", 0))
    channel, unit = (os.open("/dev/ppp", os.O_RDWR) for _ in range(2))
    fcntl.ioctl(channel, PPPIOCATTCHAN, channel_number)
    number = fcntl.ioctl(unit, PPPIOCNEWUNIT, struct.pack("i", -1))
    fcntl.ioctl(channel, PPPIOCCONNECT, number)
    for protocol in (PPP_IP, PPP_IPV6):
        fcntl.ioctl(unit, PPPIOCSNPMODE, struct.pack("ii", protocol, NPMODE_PASS))
    print(f"ppp{struct.unpack('i', number)[0]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
