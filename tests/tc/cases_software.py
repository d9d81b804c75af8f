# SPDX-License-Identifier: BSD-2-Clause
"""cases_software.py - filters that no hardware takes (skip_hw): the kernel's software forwards, and says so."""
from world import counters, expect, filters, run, until, world


def talk(w, seen):
    """A packet there and one back; the server sees this address."""
    w.sock["c"].sendto(b"there", ("10.0.2.2", 5001))
    data, sender = w.sock["s"].recvfrom(64)
    expect((data, sender[0]) == (b"there", seen), f"the server got {data} from {sender}")
    w.sock["s"].sendto(b"back", sender)
    expect(w.sock["c"].recvfrom(64) == (b"back", ("10.0.2.2", 5001)), "and its answer arrives")


def translation_is_refused_in_software(module, build):
    with world(module, build) as w:
        expect("in software, without NAT" in w.serve_text("--accept-linger", "--tc-software"), "it is said at once")
        talk(w, "10.0.2.1")
        said = w.refused("udp")
        expect("backend tc cannot do snat" in said and "(reason unsupported)" in said, said)
        expect(not w.flows() and not filters(w), "nothing is left of it")


def software_forwards_and_is_not_called_hardware(module, build):
    with world(module, build) as w:
        w.nft("flush chain inet hwsim out")
        expect("in software" in w.serve_text("--accept-linger", "--tc-software"), "it says so")
        talk(w, "10.0.1.2")
        said = w.add("udp")
        expect("[OFFLOAD]" in said and "HW_OFFLOAD" not in said, said)
        shown = run("ip netns exec", w.namespaces["r"], "tc filter show dev fo0 ingress")
        expect("skip_hw" in shown and "not_in_hw" in shown and counters()["added"] == 0, shown)
        slow = w.slow_packets()
        for _ in range(10):
            talk(w, "10.0.1.2")
        expect(w.slow_packets() == slow, f"forwarding saw {w.slow_packets() - slow} packets")
        until(lambda: "packets=10 bytes=330 " in w.ask("list") and "packets=10 bytes=320 " in w.ask("list"),
              "IP bytes, each direction by itself")
        expect(w.flows()[0]["counters"] == ["gro-aggregated"], "bytes are of aggregates, where there are some")
        expect(w.wrong_checksums() == 0, "every checksum was right")
        w.stop()
        expect(not filters(w), "the server took everything back")


CASES = [translation_is_refused_in_software, software_forwards_and_is_not_called_hardware]
