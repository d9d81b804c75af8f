#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fo-demo replay over captures: test_replay.py FO_DEMO CAPTURES_DIR

What goes by the fast path is compared with what the slow path makes of the same capture, byte for byte: two
implementations that share no code. What both write is judged by a third (test_replay_pcap.py). Broken captures
have to be refused with a message, and mutilated packets have to be accounted for.
"""
import collections
import glob
import ipaddress
import json
import os
import random
import subprocess
import sys
import tempfile

from test_replay_pcap import A, B, C, Packet, conversation, pcap_header, read_pcap, write_pcap

FO_DEMO, DATA = sys.argv[1], sys.argv[2]
NAT4, NAT6 = "203.0.113.9", "2001:db8:ffff::9"
NAT = ["--nat", NAT4, "--nat6", NAT6]
PATIENCE = 120  # seconds until a run counts as hanging


def fo_demo(*args, stdin=None):
    return subprocess.run([FO_DEMO, *args], capture_output=True, text=True, stdin=stdin, timeout=PATIENCE)


def replay(capture, *args):
    run = fo_demo("replay", "--json", capture, *args)
    assert run.returncode == 0, f"exit status {run.returncode}: {run.stderr}"
    report = json.loads(run.stdout)
    packets, slow = report["packets"], report["slow_path"]
    assert report["accounted_for"] and report["complete"]
    assert packets["total"] == packets["short_cut"] + packets["slow_path"] + packets["unparseable"]
    assert packets["slow_path"] == slow["forwarded"] + slow["local"] + slow["dropped"]
    assert sum(packets["passed_by_reason"].values()) == packets["total"] - packets["short_cut"]
    return report


def judge(out_frame, inputs, nat):
    """One written frame against the recorded one that it came from: the next with its time and payload."""
    time, data, _ = out_frame
    out = Packet(data)
    assert out.family and out.header_good, "IPv4 header checksum"
    came = None
    while came is None:
        assert inputs, "a frame that was not recorded, or out of order"
        in_time, in_data, _ = inputs.pop(0)
        recorded = Packet(in_data)
        if in_time == time and recorded.family and recorded.payload() == out.payload():
            came = recorded
    assert out.ttl == came.ttl - 1, "TTL"
    assert out.l2 == came.l2, "Ethernet header, tags or PPPoE"
    assert len(data) - len(out.l2) == out.length, "not trimmed to the IP length"
    assert out.checksum() == came.checksum() != "bad", f"checksum: {came.checksum()} became {out.checksum()}"
    assert out.dst == came.dst, "destination"
    if nat and not out.is_icmp_error() and out.src != came.src:
        assert out.src == ipaddress.ip_address(NAT4 if out.family == 4 else NAT6).packed, "source"
        return True
    assert out.src == came.src, "source"
    assert out.is_icmp_error() or out.ports() == came.ports(), "ports"
    return False


def check_written(capture, written, report, nat):
    frames, inputs = read_pcap(written), read_pcap(capture)
    assert len(frames) == report["packets"]["short_cut"] + report["slow_path"]["forwarded"]
    translated = 0
    for number, frame in enumerate(frames, 1):
        try:
            translated += judge(frame, inputs, nat)
        except AssertionError as wrong:
            raise AssertionError(f"frame {number} written: {wrong}") from None
    assert bool(translated) == nat, f"{translated} frames translated"


def longest_talk(capture):
    """Packets of the longest conversation that could be offloaded."""
    packets = [Packet(data) for _, data, _ in read_pcap(capture)]
    return max(collections.Counter(frozenset(((p.src, p.ports()[:2]), (p.dst, p.ports()[2:])))
                                   for p in packets if p.family and not p.fragment and (p.ports() or p.is_echo())).values())


def same_bytes_by_both_paths(capture, scratch):
    """Fast path and slow path write the same; it is right; and it does not depend on the burst."""
    for nat in (False, True):
        written = os.path.join(scratch, "fast.pcap")
        slow_written = os.path.join(scratch, "slow.pcap")
        options = NAT if nat else []
        report = replay(capture, "-w", written, "--burst", "1", *options)
        connections = report["connections"]
        assert connections["refused"] == 0, connections["refused_by_reason"]
        assert connections["offloaded"] >= connections["established"] > 0, connections
        # A question and its answer are over before there is anything to short-cut.
        talk = longest_talk(capture)
        assert report["packets"]["short_cut"] > 0 or talk <= 2, f"nothing of {talk} packets took the short cut"
        check_written(capture, written, report, nat)
        slow = replay(capture, "-w", slow_written, "--no-offload", *options)
        assert slow["packets"]["short_cut"] == 0
        assert read_pcap(written) == read_pcap(slow_written), "the two paths differ"
        for burst in ("7", "32", "1024"):
            replay(capture, "-w", slow_written, "--burst", burst, *options)
            assert read_pcap(written) == read_pcap(slow_written), f"burst {burst} differs"


def loops_continue_the_time(capture, scratch):
    once, thrice = os.path.join(scratch, "once.pcap"), os.path.join(scratch, "thrice.pcap")
    replay(capture, "-w", once)
    report = replay(capture, "-w", thrice, "--loop", "3")
    recorded = read_pcap(capture)
    assert report["packets"]["total"] == 3 * len(recorded)
    times = [time for time, _, _ in read_pcap(thrice)]
    assert times == sorted(times) or [t for t, _, _ in recorded] != sorted(t for t, _, _ in recorded)
    assert times[:len(read_pcap(once))] == [time for time, _, _ in read_pcap(once)]


def cut_off_frames_are_routed_all_the_same(capture, scratch):
    """A snapshot length of 96 bytes: only headers are there, as in most captures of strangers."""
    snapped = os.path.join(scratch, "snapped.pcap")
    written = os.path.join(scratch, "out.pcap")
    write_pcap(snapped, [(t, data[:96], length) for t, data, length in read_pcap(capture)])
    whole, short = replay(capture, *NAT), replay(snapped, "-w", written, *NAT)
    # Whether a checksum is unfinished cannot always be told from a part of the packet: all else is the same.
    for report in (whole, short):
        del report["speed"], report["capture"], report["packets"]["unfinished_checksum"]
    assert whole == short
    for _, data, length in read_pcap(written):
        packet = Packet(data)
        assert length == len(packet.l2) + packet.length


def limit_stops(capture, _):
    assert replay(capture, "--limit", "5", "--loop", "2")["packets"]["total"] == 5


def mutilated_packets_are_accounted_for(capture, scratch):
    dice = random.Random(os.path.basename(capture))
    bad = os.path.join(scratch, "bad.pcap")
    for _ in range(8):
        frames = []
        for time, data, length in read_pcap(capture):
            data = bytearray(data)
            for _ in range(dice.choice((0, 0, 1, 3))):
                data[dice.randrange(min(len(data), 80))] = dice.randrange(256)
            if dice.random() < 0.1:
                data = data[:dice.randrange(len(data))]
            frames.append((time + dice.choice((0, 0, 0, -10**10, 10**12)), bytes(data),
                           dice.choice((length, len(data), 0, 2**32 - 1))))
        write_pcap(bad, frames)
        assert replay(bad, *NAT, "--loop", "2")["packets"]["total"] == 2 * len(frames)


def made_up(scratch, frames, *args):
    capture, written = os.path.join(scratch, "made-up.pcap"), os.path.join(scratch, "out.pcap")
    write_pcap(capture, frames)
    report = replay(capture, "-w", written, *args)
    assert report["packets"]["unparseable"] == 0
    return report, capture, written


def padding_is_trimmed_and_checksum_zero_stays(_capture, scratch):
    for options in ({"padding": 18}, {"checksum": False}, {"padding": 1, "checksum": False}):
        for nat in (False, True):
            report, capture, written = made_up(scratch, conversation(20, **options), "--burst", "1",
                                               *(NAT if nat else []))
            check_written(capture, written, report, nat)
            assert report["packets"]["short_cut"] >= 37, report


def a_gateway_may_answer_from_another_address(_capture, scratch):
    """VRRP: requests go to B, answers come from C: so do those that are short-cut. Both directions are short-cut all the same."""
    report, _, written = made_up(scratch, conversation(50, macs=((B, A), (A, C))), "--burst", "1")
    flow, = report["largest_flows"]
    assert flow["packets"][0] >= 48 and flow["packets"][1] >= 48, flow
    assert all(data[:12] in (C + A, A + B) for _, data, _ in read_pcap(written)[2:])


def priority_tags_stay_on_the_slow_path(_capture, scratch):
    report, capture, written = made_up(scratch, conversation(20, tags=b"\x81\x00\xa0\x00"))
    assert report["packets"]["short_cut"] == 0 and report["connections"]["refused"] > 0
    check_written(capture, written, report, False)


def an_idle_connection_expires_and_comes_back(_capture, scratch):
    later = 10**18 + 3600 * 10**9
    frames = conversation(10) + conversation(10, start_ns=later)
    report, _, _ = made_up(scratch, frames)
    assert report["connections"]["offloaded"] == 2
    assert report["connections"]["ended_by_event"] == {"expired": 1, "invalidated": 1}


def the_clock_does_not_go_back(_capture, scratch):
    frames = conversation(10) + conversation(10, start_ns=10**17)
    report, _, _ = made_up(scratch, frames, "--loop", "3")
    assert report["packets"]["total"] == 120
    assert report["packets"]["short_cut"] >= 50


def refused(words, status, *args, stdin=None):
    run = fo_demo(*args, stdin=stdin)
    assert run.returncode == status, f"{args}: exit status {run.returncode}, not {status}: {run.stderr}"
    assert words in run.stderr, f"{args}: no '{words}' in: {run.stderr}"
    assert run.stderr.startswith("fo-demo: "), run.stderr
    return run


def broken_captures_are_refused(capture, scratch):
    def made(name, contents):
        path = os.path.join(scratch, name)
        with open(path, "wb") as f:
            f.write(contents)
        return path

    with open(capture, "rb") as f:
        good = f.read()
    refused("No such file", 1, "replay", os.path.join(scratch, "none.pcap"))
    refused("directory", 1, "replay", scratch)
    refused("pcap", 1, "replay", made("empty.pcap", b""))
    refused("pcap", 1, "replay", made("text.pcap", b"not a capture at all, but long enough to be one"))
    refused("any", 1, "replay", made("sll.pcap", pcap_header(113)))
    refused("Ethernet", 1, "replay", made("wlan.pcap", pcap_header(127)))
    cut = made("cut.pcap", good[:-7])
    run = refused("truncated", 1, "replay", "--json", cut)
    report = json.loads(run.stdout)
    assert report["accounted_for"] and not report["complete"]
    assert report["packets"]["total"] == len(read_pcap(capture)) - 1
    nothing = replay(made("header.pcap", pcap_header()), "--loop", "5")
    assert nothing["packets"]["total"] == 0


def outputs_that_cannot_be_written_are_refused(capture, scratch):
    copy = os.path.join(scratch, "copy.pcap")
    frames = read_pcap(capture)
    write_pcap(copy, frames)
    refused("being read", 1, "replay", copy, "-w", copy)
    assert read_pcap(copy) == frames
    refused("No such file", 1, "replay", copy, "-w", os.path.join(scratch, "no", "where.pcap"))
    refused("report", 1, "replay", copy, "-w", "-")
    if os.path.exists("/dev/full"):
        refused("No space", 1, "replay", copy, "-w", "/dev/full")


def wrong_command_lines_are_refused(capture, _):
    refused("name a capture", 2, "replay")
    refused("one capture", 2, "replay", capture, capture)
    refused("--burst", 2, "replay", capture, "--burst", "0")
    refused("--burst", 2, "replay", capture, "--burst", "-1")
    refused("--loop", 2, "replay", capture, "--loop", "many")
    refused("--loop", 2, "replay", "-", "--loop", "2")
    refused("--nat", 2, "replay", capture, "--nat", "1.2.3")
    refused("--nat", 2, "replay", capture, "--nat", "127.0.0.1")
    refused("--nat6", 2, "replay", capture, "--nat6", "203.0.113.9")
    refused("--flows", 2, "bench", "--flows", "0")
    refused("--family", 2, "bench", "--family", "5")
    refused("no verb", 2, "replya")
    refused("--nonsense", 2, "probe", "--nonsense")
    for verb in ("replay", "probe", "bench", "router"):
        run = fo_demo(verb, "--help")
        assert run.returncode == 0 and run.stdout.startswith(f"usage: fo-demo {verb}"), run
        assert fo_demo("help", verb).stdout == run.stdout


def standard_input_is_read(capture, _):
    with open(capture, "rb") as f:
        run = fo_demo("replay", "--json", "-", stdin=f)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["packets"] == replay(capture)["packets"]


def text_report_says_the_same(capture, _):
    run = fo_demo("replay", capture)
    assert run.returncode == 0, run.stderr
    packets = replay(capture)["packets"]
    assert (f"Accounted for: {packets['total']} packets = {packets['short_cut']} short-cut + "
            f"{packets['slow_path']} slow path + {packets['unparseable']} unparseable\n") in run.stdout


def probe_knows_the_soft_backend(_capture, _scratch):
    run = fo_demo("probe", "--json")
    assert run.returncode == 0, run.stderr
    soft, = [b for b in json.loads(run.stdout)["backends"] if b["name"] == "soft"]
    assert soft["usable"] and {"ipv4", "ipv6", "worker"} <= set(soft["can"])


def bench_checks_every_flow(_capture, _scratch):
    for options in (["--family", "4"], ["--family", "6"], ["--family", "4", "--nat"], ["--family", "6", "--nat"]):
        run = fo_demo("bench", "--json", "--flows", "2000", "--seconds", "1", *options)
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["checked_packets"] == 4000


EACH = [same_bytes_by_both_paths, loops_continue_the_time, cut_off_frames_are_routed_all_the_same,
        mutilated_packets_are_accounted_for]
ONCE = [padding_is_trimmed_and_checksum_zero_stays, a_gateway_may_answer_from_another_address,
        priority_tags_stay_on_the_slow_path, an_idle_connection_expires_and_comes_back,
        the_clock_does_not_go_back, limit_stops, broken_captures_are_refused, outputs_that_cannot_be_written_are_refused,
        wrong_command_lines_are_refused, standard_input_is_read, text_report_says_the_same,
        probe_knows_the_soft_backend, bench_checks_every_flow]


def main():
    captures = sorted(glob.glob(os.path.join(DATA, "*.pcap")))
    if not captures:
        sys.exit(f"{DATA}: no captures")
    cases = [(case, capture) for case in EACH for capture in captures]
    cases += [(case, captures[0]) for case in ONCE]
    failed = 0
    for case, capture in cases:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                case(capture, scratch)
            except (AssertionError, subprocess.TimeoutExpired, ValueError) as wrong:
                failed += 1
                print(f"FAILED {case.__name__} ({os.path.basename(capture)}): {wrong}")
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
