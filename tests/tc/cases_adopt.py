# SPDX-License-Identifier: BSD-2-Clause
"""cases_adopt.py - flows that outlive their server, and come back with the next one (`--persist`)."""
import contextlib
import random
import re
import signal
import socket
import threading
import time

from world import PATIENCE, counters, expect, filters, router, rows, rules, run, until, world

KILLS = 50
CROWD = 6


class Talk:
    """Somebody who sends over a connection that echoes, and wants each byte back, until stopped."""

    def __init__(self, sock):
        self.sock, self.sent, self.failed = sock, 0, None
        self.going = True
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()

    def talk(self):
        try:
            while self.going:
                text = random.randbytes(3000)
                self.sock.sendall(text)
                got = b""
                while len(got) < len(text):
                    got += self.sock.recv(65536)
                expect(got == text, "what was echoed is what was sent")
                self.sent += len(text)
        except (AssertionError, OSError) as error:
            self.failed = error

    def goes_on(self):
        before = self.sent
        until(lambda: self.sent > before + 30000 or self.failed, "the stream goes on")
        expect(not self.failed, f"the stream: {self.failed}")

    def stop(self):
        self.going = False
        self.thread.join()
        expect(not self.failed, f"the stream: {self.failed}")


class Crowd:
    """Some UDP connections."""

    def __init__(self, w):
        self.w, self.socks = w, []
        for _ in range(CROWD):
            with router.inside(w.namespaces["c"]):
                self.socks.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.socks[-1].bind(("10.0.1.2", 0))
            self.socks[-1].settimeout(PATIENCE)
        for sock in self.socks:
            self.ping(sock)
        self.entries = {int(entry[0][2]): entry for entry in w.entries("udp") if entry[0][3] == "5001"}
        expect(len(self.entries) == CROWD, self.entries)

    def ping(self, sock):
        sock.sendto(b"ping", ("10.0.2.2", 5001))
        _, sender = self.w.sock["s"].recvfrom(4096)
        self.w.sock["s"].sendto(b"pong", sender)
        sock.recvfrom(4096)

    def add(self, sport):
        """Ask the server for the flow of one of them; its answer, or None."""
        (src, dst, _, dport), (rsrc, rdst, rsport, rdport) = self.entries[sport]
        sides = {"in": {"dev": "fo0", "mac": router.MACS["fo0"], "peer": router.MACS["cable0"], "mtu": 1500},
                 "out": {"dev": "fo1", "mac": router.MACS["fo1"], "peer": router.MACS["cable1"], "mtu": 1500}}
        return self.w.request(
            verb="add", tag=sport, original={"proto": "udp", "src": src, "dst": dst, "sport": sport, "dport": int(dport)},
            reply={"src": rsrc, "dst": rdst, "sport": int(rsport), "dport": int(rdport)}, **sides)

    def close(self):
        for sock in self.socks:
            sock.close()


def what_stays(flow):
    """Of a flow all but what goes on counting."""
    return {name: {key: value for key, value in part.items() if key not in ("packets", "bytes", "last_seen_ms")}
            if isinstance(part, dict) else part for name, part in flow.items() if name != "counters"}


def by_id(flows):
    return {flow["id"]: flow for flow in flows}


def packets(flow):
    return [flow[direction].get("packets", 0) for direction in ("original", "reply")]


@contextlib.contextmanager
def talking(w):
    """A stream that is being talked over; both ends are gone afterwards."""
    sock, thread = w.stream("10.0.2.2")
    w.add("tcp", "-m", "9")
    talk = Talk(sock)
    try:
        yield talk
    finally:
        talk.going = False
        talk.thread.join()
        sock.close()
        thread.join()


def killed_under_traffic_the_next_start_adopts(module, build):
    for link in ("plain", "vlan"):
        with world(module, build, link=link) as w:
            w.serve("--persist")
            w.ping()
            w.add("udp", "--tag", "7", "-t", "900")
            w.fast()
            with talking(w) as talk:
                talk.goes_on()
                slow, before = w.slow_packets(), by_id(w.flows())
                w.stop(signal.SIGKILL)
                talk.goes_on()
                said = w.serve_text("--persist")
                expect("2 flows adopted, 0 filters removed" in said, f"it says so: {said}")
                after = by_id(w.flows())
                talk.goes_on()
                talk.stop()
                until(lambda world=w: sorted(n for flow in world.flows() for n in packets(flow)) ==
                      sorted(int(rule["packets"]) for rule in rows(world)),
                      "counters are the hardware's, from the first packet on")
                w.fast()
                expect(w.slow_packets() == slow, f"the router saw {w.slow_packets() - slow} packets")
                w.ask("del", "--all")
                expect(rows(w) == [], f"a delete leaves no rule: {rows(w)}")
            expect(before.keys() == after.keys() and len(after) == 2, f"the same handles: {before} {after}")
            for number, flow in before.items():
                expect(what_stays(flow) == what_stays(after[number]), f"{flow} came back as {after[number]}")
                expect(all(now >= then for now, then in zip(packets(after[number]), packets(flow))),
                       f"counters go on: {flow} {after[number]}")
            w.stop()
            expect(rules() == [] and filters(w) == [], f"nothing is left: {rules()}")


def guarded():
    """Ports whose packets with the last TTL go to the host."""
    return [rule["in"] for rule in rules() if rule["do"] == "host"]


def a_clean_end_leaves_flows_too(module, build):
    with world(module, build) as w:
        w.serve("--persist")
        w.ping()
        w.add("udp")
        before = w.flows()
        guards = guarded()
        w.stop()
        expect(len(rows(w)) == 2, f"rules stay: {rules()}")
        expect(guards and guarded() == guards, f"and their guards: {rules()}")
        w.fast()
        w.serve("--persist")
        expect([what_stays(flow) for flow in w.flows()] == [what_stays(flow) for flow in before], "the flow is back")
        w.fast()
        expect(guarded() == guards, f"so are guards: {rules()}")
        w.stop()
        w.serve("--accept-linger")
        expect(w.flows() == [] and rows(w) == [], f"who does not adopt removes: {rules()}")
        w.add("udp")
        w.stop()
        w.serve("--persist")
        w.stop()
        expect(rules() == [] and filters(w) == [], f"without flows nothing stays: {rules()}")


def adopted_flows_age(module, build):
    with world(module, build) as w:
        w.serve("--persist")
        w.ping()
        w.add("udp", "-t", "20")
        w.fast()
        w.stop(signal.SIGKILL)
        w.serve("--persist")
        expect(len(w.flows()) == 1, "it is adopted")
        until(lambda: not w.flows(), "it idles")
        expect(rows(w) == [], f"and no rule is left: {rows(w)}")


def place_of(w, device):
    """Priority and handle of the filter of a flow at a device."""
    shown = run("ip netns exec", w.namespaces["r"], f"tc filter show dev {device} ingress")
    return re.search(r"protocol ip pref (50004) flower chain 0 handle (\S+)", shown).groups()


def half(w, device):
    prio, handle = place_of(w, device)
    run("ip netns exec", w.namespaces["r"],
        f"tc filter del dev {device} ingress protocol ip prio {prio} handle {handle} flower")


def what_is_not_whole_goes(module, build):
    def damages(w):
        yield "the original direction is gone", lambda: half(w, "fo0"), lambda: None
        yield "the reply direction is gone", lambda: half(w, "fo1"), lambda: None
        yield "conntrack has forgotten it", lambda: run(
            "ip netns exec", w.namespaces["r"], "conntrack -D -p udp"), w.ping
        yield "a port is down", lambda: w.ip("r", "link set fo1 down"), lambda: w.ip("r", "link set fo1 up")

    with world(module, build) as w:
        w.ping()
        for text, damage, mend in damages(w):
            w.serve("--persist")
            w.add("udp")
            w.stop(signal.SIGKILL)
            damage()
            said = w.serve_text("--persist")
            expect("0 flows adopted" in said and w.flows() == [] and rows(w) == [], f"{text}: {said} {rows(w)}")
            w.stop()
            expect(rules() == [], f"{text}: {rules()}")
            mend()
            until(lambda: "state UP" in w.ip("r", "link show fo1"), "the port is back")
            w.ping()


def a_connection_that_ended_meanwhile_is_not_adopted(module, build):
    with world(module, build) as w:
        w.serve("--persist")
        sock, thread = w.stream("10.0.2.2")
        w.add("tcp")
        sock.sendall(b"hello")
        expect(sock.recv(5) == b"hello", "it is echoed")
        w.stop(signal.SIGKILL)
        sock.close()
        thread.join()
        w.serve("--persist")
        expect(w.flows() == [] and rows(w) == [], f"it goes: {rows(w)}")


def is_whole(w, crowd):
    """What the server has is in hardware, both directions of it and no more, and forwards there; all else passes."""
    flows = w.flows()
    expect(len(rows(w)) == 2 * len(flows), f"{len(flows)} flows, but {rows(w)}")
    mine = {flow["original"]["sport"] for flow in flows}
    expect(all(flow["tag"] == flow["original"]["sport"] and flow["state"] == "hardware" for flow in flows), flows)
    for sock in crowd.socks:
        fast = counters()["forwarded"]
        crowd.ping(sock)
        expect(counters()["forwarded"] - fast == (2 if sock.getsockname()[1] in mine else 0), f"{sock} of {mine}")
    return len(flows)


def churn(w, crowd, moments):
    """Flows come and go until the server is gone."""
    ports = list(crowd.entries)
    while True:
        flows = w.request(verb="list")
        if flows is None:
            return
        there = {answer["flow"]["original"]["sport"]: answer["flow"]["id"] for answer in flows if "flow" in answer}
        for sport in moments.sample(ports, len(ports) // 2):
            answer = w.request(verb="del", id=there.pop(sport)) if sport in there else crowd.add(sport)
            if answer is None:
                return


def killed_at_random_moments_the_next_start_adopts_what_is_whole(module, build):
    """Both filters of an add or a delete are one request, which a kill does not cut; who finds halves is what_is_not_whole_goes."""
    moments = random.Random(2)
    adopted = removed = 0
    with world(module, build) as w:
        crowd = Crowd(w)
        try:
            for _ in range(KILLS):
                said = w.serve_text("--persist")
                found = re.search(r"(\d+) flows adopted, (\d+) filters removed", said)
                expect(is_whole(w, crowd) == (int(found.group(1)) if found else 0), f"as it says: {said}")
                adopted += int(found.group(1)) if found else 0
                removed += int(found.group(2)) if found else 0
                busy = threading.Thread(target=churn, args=(w, crowd, random.Random(moments.random())))
                busy.start()
                time.sleep(moments.random() / 2)
                w.stop(signal.SIGKILL)
                busy.join()
            print(f"     {KILLS} kills: {adopted} flows adopted, {removed} filters removed", flush=True)
            expect(adopted > KILLS, "of all kills most have to leave flows, else this shows nothing")
            w.serve("--persist")
            is_whole(w, crowd)
            w.ask("del", "--all")
            w.stop()
            expect(rules() == [] and filters(w) == [], f"nothing is left after {KILLS} kills: {rules()} {filters(w)}")
        finally:
            crowd.close()


CASES = [killed_under_traffic_the_next_start_adopts, a_clean_end_leaves_flows_too, adopted_flows_age,
         what_is_not_whole_goes, a_connection_that_ended_meanwhile_is_not_adopted,
         killed_at_random_moments_the_next_start_adopts_what_is_whole]
