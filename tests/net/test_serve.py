#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fo-demo serve and the verbs that ask it: test_serve.py FO_DEMO

The backend is soft, with port numbers for devices, so that no privilege is needed; what kernel backends show by the
same verbs is tested where these kernels are. Each case has a server of its own.
"""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

FO_DEMO = sys.argv[1]
PATIENCE = 60  # seconds until something counts as hanging
LAN = "7,mac=02:00:00:00:00:01,peer=02:00:00:00:00:02"
WAN = "8,mac=02:00:00:00:00:03,peer=02:00:00:00:00:04"
TUPLE = ["-p", "tcp", "-s", "10.0.1.2", "-d", "198.51.100.9", "--sport", "5001", "--dport", "443"]
NAT = ["--reply-dst", "203.0.113.5", "--reply-port-dst", "6001"]
ANSWER = ["-p", "tcp", "-s", "198.51.100.9", "-d", "203.0.113.5", "--sport", "443", "--dport", "6001"]


class Server:
    """A running `fo-demo serve`."""

    def __init__(self, scratch, *args):
        self.path = os.path.join(scratch, "socket")
        self.process = subprocess.Popen(
            [FO_DEMO, "serve", "--backend", "soft", "--device", "7", "--device", "8", "--socket", self.path, *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.greeting = self.process.stdout.readline()
        assert "listening" in self.greeting, self.process.stderr.read()

    def ask(self, verb, *args):
        return subprocess.run([FO_DEMO, verb, "--socket", self.path, *args], capture_output=True, text=True,
                              timeout=PATIENCE)

    def done(self, verb, *args):
        run = self.ask(verb, *args)
        assert run.returncode == 0, f"{verb}: {run.stderr}"
        return run.stdout

    def answers(self, verb, *args):
        return [json.loads(line) for line in self.done(verb, "--json", *args).splitlines()]

    def add(self, *args):
        return self.answers("add", *TUPLE, *NAT, "--in", LAN, "--out", WAN, *args)[0]["flow"]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        assert status == 0, f"serve ended with {status}: {self.process.stderr.read()}"
        assert not os.path.exists(self.path), "the socket is left behind"


@contextlib.contextmanager
def server(scratch, *args):
    running = Server(scratch, *args)
    try:
        yield running
        running.end()
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def raw(path, data, answers):
    """Sends bytes as they are, and reads so many lines, or until the connection ends."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        lines = b""
        with contextlib.suppress(ConnectionResetError):
            while lines.count(b"\n") < answers:
                more = sock.recv(65536)
                if not more:
                    break
                lines += more
    return [json.loads(line) for line in lines.splitlines()]


def a_flow_is_added_listed_and_deleted(scratch):
    with server(scratch) as serve:
        flow = serve.add("--tag", "9", "--mark", "5", "--timeout", "30")
        assert flow["state"] == "active" and flow["tag"] == 9 and flow["mark"] == 5 and flow["timeout_ms"] == 30000
        assert flow["reply"]["dst"] == "203.0.113.5" and flow["reply"]["dport"] == 6001
        assert flow["original"]["src"] == "10.0.1.2" and flow["original"]["packets"] == 0
        assert serve.answers("list") == [{"flow": flow}]
        ended = serve.answers("del", *ANSWER)[0]["flow"]
        assert ended["id"] == flow["id"] and "final" in ended["counters"]
        assert serve.answers("list") == []


def both_ends_may_be_translated_where_both_are_said(scratch):
    with server(scratch) as serve:
        flow = serve.add("--reply-src", "192.0.2.7", "--reply-port-src", "8443")
        assert flow["reply"]["src"] == "192.0.2.7" and flow["reply"]["dst"] == "203.0.113.5", flow
        refused = serve.ask("add", *TUPLE, "--sport", "5002", "--reply-src", "192.0.2.7", "--reply-port-dst", "7", "--in", LAN,
                            "--out", WAN)
        assert refused.returncode == 1 and "(reason nat)" in refused.stderr, refused.stderr


def the_list_reads_as_conntracks(scratch):
    with server(scratch) as serve:
        serve.add()
        serve.answers("add", "-p", "icmpv6", "-s", "2001:db8::1", "-d", "2001:db8:1::2", "--icmp-id", "77", "--in", LAN,
                      "--out", WAN)
        run = serve.ask("list")
        lines = run.stdout.splitlines()
        assert lines[0].startswith(
            "tcp      6 src=10.0.1.2 dst=198.51.100.9 sport=5001 dport=443 packets=0 bytes=0 src=198.51.100.9 "
            "dst=203.0.113.5 sport=443 dport=6001 packets=0 bytes=0 [OFFLOAD] mark=0 zone=0 tag=0 id=0x"), lines[0]
        assert lines[1].startswith("icmpv6   58 src=2001:db8::1 dst=2001:db8:1::2 id=77 "), lines[1]
        assert run.stderr == "fo-demo: 2 flows have been shown.\n"


def refusals_name_field_and_reason(scratch):
    with server(scratch) as serve:
        serve.add()
        twice = serve.ask("add", *TUPLE, *NAT, "--in", LAN, "--out", WAN)
        assert twice.returncode == 1 and "(reason exists)" in twice.stderr, twice.stderr
        nowhere = serve.ask("add", *TUPLE, "--in", LAN, "--out", "9,mac=02:00:00:00:00:03,peer=02:00:00:00:00:04")
        assert nowhere.returncode == 1 and "(reason port)" in nowhere.stderr, nowhere.stderr
        family = serve.ask("add", "-p", "tcp", "-s", "10.0.0.1", "-d", "2001:db8::1", "--in", LAN, "--out", WAN)
        assert family.returncode == 1 and "of one family" in family.stderr, family.stderr
        gone = serve.ask("del", "--id", "0x123400000001")
        assert gone.returncode == 1 and "(reason stale)" in gone.stderr, gone.stderr


def explain_tells_why(scratch):
    with server(scratch) as serve:
        flow = serve.add()
        found = serve.answers("explain", *TUPLE)[0]["explanation"]
        assert found["state"] == "active" and found["id"] == flow["id"] and found["text"]
        unknown = serve.answers("explain", "-p", "udp", "-s", "10.0.1.2", "-d", "198.51.100.9", "--sport", "1",
                                "--dport", "2")[0]["explanation"]
        assert unknown["state"] == "none" and unknown["reason"] == "no-flow"
        assert "[NOT OFFLOADED]" in serve.done("explain", *TUPLE[:-1], "444")


def watch_sees_the_end_of_a_flow(scratch):
    with server(scratch) as serve:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(serve.path)
            # The answer to the second request shows that the first has been taken.
            sock.sendall(b'{"verb": "stats"}\n{"verb": "watch"}\n')
            stream = sock.makefile()
            assert "stats" in json.loads(stream.readline()) and json.loads(stream.readline()) == {"done": 0}
            flow = serve.add("--tag", "4")
            serve.done("del", "--tag", "4")
            event = json.loads(stream.readline())["event"]
            assert event["kind"] == "invalidated" and event["flow"]["id"] == flow["id"]
            assert "final" in event["flow"]["counters"] and event["flow"]["original"]["src"] == "10.0.1.2"
            # One that is over at once: the delete's answer has the last counters, and who watches sees them too.
            flow = serve.add()
            ended = serve.answers("del", *TUPLE)[0]["flow"]
            event = json.loads(stream.readline())["event"]
            assert (event["kind"], event["reason"]) == ("deleted", "deleted"), event
            assert event["flow"] == ended and ended["id"] == flow["id"] and "final" in ended["counters"], (event, ended)


def watch_prints_events_as_they_come(scratch):
    with server(scratch) as serve:
        watch = subprocess.Popen([FO_DEMO, "watch", "--socket", serve.path], stdout=subprocess.PIPE)
        try:
            flow, seen = None, ""
            end = time.monotonic() + PATIENCE
            os.set_blocking(watch.stdout.fileno(), False)
            # Until the watcher is connected, what happens is not for it.
            while "[invalidated]" not in seen and time.monotonic() < end:
                flow = serve.add()
                serve.done("del", "--all")
                with contextlib.suppress(BlockingIOError):
                    seen += os.read(watch.stdout.fileno(), 65536).decode()
            assert "[invalidated]" in seen and f"id={flow['id'][:4]}" in seen, seen
        finally:
            watch.kill()
            watch.wait()


def stats_count_what_was_done(scratch):
    with server(scratch, "--capacity", "100") as serve:
        serve.add()
        serve.ask("add", *TUPLE, *NAT, "--in", LAN, "--out", WAN)
        serve.done("del", *TUPLE)
        stats = serve.answers("stats")[0]["stats"]
        assert (stats["added"], stats["refused"], stats["flows"], stats["capacity"]) == (1, 1, 0, 100), stats
        assert stats["adjacencies"] == 2 and stats["ended"]["deleted-at-once"] == 1
        assert "adjacencies          2" in serve.done("stats")


def encapsulations_make_other_sides(scratch):
    with server(scratch) as serve:
        serve.add()
        serve.answers("add", *TUPLE[:-1], "444", "--in", LAN + ",svlan=100,vlan=10,pppoe=7,mtu=1492", "--out", WAN)
        assert serve.answers("stats")[0]["stats"]["adjacencies"] == 3
        wrong = serve.ask("add", *TUPLE[:-1], "445", "--in", LAN + ",pppoe=7,vlan=10", "--out", WAN)
        assert wrong.returncode == 1 and "encap" in wrong.stderr, wrong.stderr


def hostile_requests_are_answered_or_cut_off(scratch):
    requests = [b"nonsense", b"[]", b"null", b"{}", b'{"verb": 1}', b'{"verb": "add"}', b"[" * 4000, b'{"verb": "add", "original": []}',
                b'{"verb": "add", "original": {"proto": "tcp", "src": "1.2.3.4", "dst": "1.2.3.5", "sport": -1}}',
                b'{"verb": "add", "original": {"proto": "tcp", "src": "1.2.3.4", "dst": "1.2.3.5", "sport": 65536}}',
                b'{"verb": "add", "original": {"proto": "icmp", "src": "::1", "dst": "::2"}}',
                b'{"verb": "del", "id": "zz"}', b'{"verb": "explain", "original": {"proto": "tcp"}}',
                b'{"verb": "list", "state": "none"}', b'{"verb": "policy"}', b'{"verb": "policy", "what": "add", "src": "/"}', b'{"verb": "list", "dev": "no-such-device"}',
                b'{"verb": "add", "original": {"proto": "tcp", "src": "10.0.0.1", "dst": "10.0.0.2"}, "in": {"dev": "7", "encap": 3}}']
    with server(scratch) as serve:
        for request in requests:
            answers = raw(serve.path, request + b"\n", 2)
            assert "error" in answers[0] and answers[0]["error"]["text"] and answers[1] == {"done": 1}, (request, answers)
        answers = raw(serve.path, b"\n".join(requests) + b"\n", 2 * len(requests))
        assert len(answers) == 2 * len(requests)
        assert raw(serve.path, b"x" * 200000, 1) == [], "a line without end is answered"
        assert serve.answers("stats")[0]["stats"]["added"] == 0


def many_clients_and_one_that_never_reads(scratch):
    with server(scratch) as serve, contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket(socket.AF_UNIX))
        deaf.connect(serve.path)
        deaf.sendall(b'{"verb": "stats"}\n' * 2000)
        for _ in range(40):  # more than it serves at a time: the rest is turned away, nobody else is hurt
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(serve.path)
        refused = serve.ask("stats")
        assert refused.returncode == 1 and "broke off" in refused.stderr, refused.stderr
        stack.close()
        end = time.monotonic() + PATIENCE
        while serve.ask("stats").returncode != 0:
            assert time.monotonic() < end, "places are not given back"


def a_left_over_socket_is_replaced_and_a_living_one_is_not(scratch):
    with server(scratch) as serve:
        second = subprocess.run([FO_DEMO, "serve", "-b", "soft", "-d", "7", "--socket", serve.path],
                                capture_output=True, text=True, timeout=PATIENCE)
        assert second.returncode == 1 and "another fo-demo serves there" in second.stderr, second.stderr
        assert serve.ask("stats").returncode == 0
    killed = Server(scratch)
    killed.process.kill()
    killed.process.wait()
    assert os.path.exists(killed.path)
    with server(scratch) as serve:
        assert serve.ask("stats").returncode == 0


def a_policy_is_refused_where_the_backend_has_none(scratch):
    with server(scratch) as serve:
        refused = serve.ask("policy", "add", "--in", LAN, "--out", WAN, "-p", "tcp", "-d", "10.0.0.0/8", "--dport", "1-99")
        assert refused.returncode == 1 and "(reason unsupported)" in refused.stderr, refused.stderr
        assert serve.answers("policy", "list") == []
        stale = serve.ask("policy", "del", "--id", "0x100000001")
        assert stale.returncode == 1 and stale.stderr, stale.stderr
        for args, text in [(["-d", "10.0.0.0/33"], "no prefix"), (["-d", "10.0.0.0/"], "no prefix"), (["-s", "lan"], "no prefix"),
                           (["-f", "ipv6", "-s", "10.0.0.0/8"], "family"), (["-p", "sctp"], "neither tcp nor udp"),
                           (["--dport", "9-1"], "no ports"), (["--dport", "0"], "no ports"), (["--sport", "1-65536"], "no ports"),
                           (["--sport", "1-"], "no ports"), (["--sport", "-1"], "no ports")]:
            wrong = serve.ask("policy", "add", "--in", LAN, "--out", WAN, *args)
            assert wrong.returncode == 1 and text in wrong.stderr, (args, wrong.stderr)


def wrong_command_lines_are_refused(scratch):
    missing = os.path.join(scratch, "none")
    for args, text in [(["serve"], "--device"), (["serve", "-d", "no-such-device", "-b", "soft"], "no device"),
                       (["serve", "-d", "7", "-b", "nonsense"], "nonsense"), (["serve", "-d", "7", "more"], "too many"),
                       (["list", "--socket", missing], "is 'fo-demo serve' running"), (["del"], "say which"),
                       (["del", "--sport", "x"], "whole number"), (["list", "--in", "7"], "takes no --in"),
                       (["add", "--in", "7,colour=red"], "no 'colour='"), (["watch", "more"], "too many"), (["policy"], "say what to do"), (["policy", "flush"], "say what to do"),
                       (["policy", "add", "--mark", "1"], "takes no --mark"), (["policy", "list", "more"], "too many"),
                       (["serve", "-d", "7", "--netns", "../x"], "no name"), (["stats", "--nonsense"], "")]:
        run = subprocess.run([FO_DEMO, *args], capture_output=True, text=True, timeout=PATIENCE)
        assert run.returncode in (1, 2) and text in run.stderr and run.stdout == "", (args, run.returncode, run.stderr)


CASES = [a_flow_is_added_listed_and_deleted, both_ends_may_be_translated_where_both_are_said,
         the_list_reads_as_conntracks, refusals_name_field_and_reason,
         explain_tells_why, watch_sees_the_end_of_a_flow, watch_prints_events_as_they_come, stats_count_what_was_done,
         encapsulations_make_other_sides, hostile_requests_are_answered_or_cut_off, many_clients_and_one_that_never_reads,
         a_left_over_socket_is_replaced_and_a_living_one_is_not,
         a_policy_is_refused_where_the_backend_has_none, wrong_command_lines_are_refused]


def main():
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                case(scratch)
            except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError, IndexError) as wrong:
                failed += 1
                print(f"FAILED {case.__name__}: {type(wrong).__name__} {wrong}")
    print(f"{len(CASES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
