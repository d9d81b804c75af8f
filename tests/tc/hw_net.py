# SPDX-License-Identifier: BSD-2-Clause
"""Routers whose ports are those of the simulated switch, for hw_programs.py: wired as tests/nft/programs_net.py says, told
of to fo-demo with the MACs of both ends; and what tc and the hardware themselves say of flows.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / name) for name in ("hwsim", "nft")]
import programs_net  # noqa: E402
import switch  # noqa: E402
from switch import packets_of  # noqa: E402

ETHERNET, TAG = 14, 4


class TcNet(programs_net.Net):
    """Cabled by veths, whose flows are the kernel's software."""
    in_hardware = False
    ends = {"TIME_WAIT", "LAST_ACK"}  # the last acknowledgement may take the short cut

    def __init__(self):
        super().__init__()
        self.named = None  # both sides as the wiring has them

    def wired(self):
        """fo-demo is told of both sides all that tc has to be told."""
        # The kernel tracks connections where a rule asks about them.
        self.run("r", "nft", "add rule inet world mss ct state invalid counter")
        self.named = self.lan, self.wan
        self.lan, self.wan = self.with_macs(self.lan, "c"), self.with_macs(self.wan, "s")

    def with_macs(self, side, far):
        """The bridge's own address where there is one, else the port's: a session has none."""
        port, l3_device = side.split(",")[0], re.search("l3=([^,]+)", side)
        own = l3_device and self.address("r", l3_device[1]) or self.address("r", port)
        return f"{side},mac={own},peer={self.address(far, 'eth')},mtu=1500"

    def filters(self):
        """Filters of flows as tc shows them: by port and what they say of a packet, (bytes, packets)."""
        found = {}
        for port in self.ports:
            shown = self.run("r", "tc", "-s", "filter", "show", "dev", port, "ingress").stdout
            for text in re.split(r"^filter ", shown, flags=re.M):
                keys = dict(re.findall(r"^  (ip_proto|src_ip|dst_ip|src_port|dst_port) (\S+)$", text, re.M))
                if len(keys) < 5:
                    continue
                words = {"skip_sw", "in_hw"} if self.in_hardware else {"skip_hw", "not_in_hw"}
                assert words <= set(text.split()), f"not {words}: {text}"
                name = (port, keys["ip_proto"], keys["src_ip"], keys["src_port"], keys["dst_ip"], keys["dst_port"])
                assert name not in found, f"twice: {name}"
                found[name] = packets_of(text, "hw" if self.in_hardware else "")
        return found

    def sent(self):
        """Packets that filters have sent."""
        return sum(packets for _, packets in self.filters().values())

    def in_switch(self):
        """Rules of flows in the hardware."""
        return []

    def invalid(self):
        """Packets that conntrack could make nothing of."""
        shown = self.run("r", "nft", "list chain inet world mss").stdout
        return int(re.search(r"invalid counter packets (\d+)", shown)[1])

    def wrong_checksums(self):
        """Packets that client, server and router threw away for their checksum."""
        return sum(self.counted(who, "InCsumErrors") for who in "crs")

    def counted(self, who, name):
        """All that a namespace counts by that name in IP, ICMP, TCP, UDP and their likes for IPv6."""
        with self.entered(who):
            lines = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp").read_text("ascii").splitlines()]
            six = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp6").read_text("ascii").splitlines()]
        total = sum(int(value) for key, value in six if key.endswith(name))
        for names, values in zip(lines[::2], lines[1::2]):
            total += sum(int(value) for key, value in zip(names, values) if key == name)
        return total


class SwitchNet(TcNet):
    """What the router is cabled by is a port of the switch; other cables are as ever."""
    in_hardware = True
    short_cut = "HW_OFFLOAD"

    def __init__(self, module, personality):
        switch.run("insmod", module, f"personality={personality}")
        super().__init__()
        self.cabled = []

    def cable(self, one, device, other, peer):
        if "r" not in (one, other):
            super().cable(one, device, other, peer)
            return
        port = len(self.cabled) // 2
        for who, name in ((one, device), (other, peer)):
            kind = "fo" if who == "r" else "cable"
            programs_net.run("ip", "link", "set", f"{kind}{port}", "netns", self.names[who], "name", name)
            self.ip(who, "link", "set", name, "up")
            self.cabled.append((who, name))

    def wired(self):
        for who, name in self.cabled:
            switch.links_up([name], ["-n", self.names[who]])
        super().wired()

    def close(self):
        super().close()
        switch.run("rmmod fo_hwsim")

    def sent(self):
        """Packets forwarded by the hardware alone."""
        return switch.counters()["forwarded"]

    def in_switch(self):
        """Guards are not of a flow."""
        return [rule for rule in switch.rules() if rule["do"] == "forward"]
