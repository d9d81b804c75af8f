# SPDX-License-Identifier: BSD-2-Clause
"""cases_flowtable.py - nf_flowtable with `flags offload`: what it puts into the hardware, and what it leaves there."""
import contextlib
import errno
import socket

from router import Router
from switch import counters, expect, read, rules, run, until, write


@contextlib.contextmanager
def router(module, personality, link="plain"):
    made = Router(module, personality, link)
    try:
        yield made
    finally:
        made.close()


def left():
    """The module goes; what was never deleted is told."""
    found = counters()
    run("rmmod fo_hwsim")
    return found["added"] - found["deleted"] - found["flushed"]


def a_connection_is_in_hardware_and_the_router_sees_nothing(module):
    with router(module, "nic") as r:
        found = r.offloaded()
        expect({rule["from"] for rule in found} == {"flowtable"} and {rule["in"] for rule in found} == {"fo0", "fo1"},
               f"one rule a direction: {found}")
        r.fast()
        shown = run("ip netns exec", r.namespaces["r"], "conntrack -L -p udp")
        expect("[HW_OFFLOAD]" in shown, shown)
    expect(left() == 0, "nothing is left")


def a_nic_forgets_the_flows_of_a_table_that_goes(module):
    with router(module, "nic") as r:
        r.offloaded()
        r.nft("delete table inet hwsim")
        until(lambda: not rules(), "the rules are gone")
        missed = counters()["missed"]
        with contextlib.suppress(AssertionError):  # without NAT the server sees another address
            r.ping()
        expect(counters()["missed"] > missed, "the next packet goes to the host")
    expect(left() == 0, "nothing is left")


def a_ppe_keeps_the_flows_of_a_table_that_goes(module):
    with router(module, "ppe") as r:
        r.offloaded()
        r.fast()
        r.nft("delete table inet hwsim")
        expect(len(rules()) == 2 and counters()["flushed"] == 0, "the rules are still there")
        forwarded = counters()["forwarded"]
        r.ping()
        expect(counters()["forwarded"] == forwarded + 2, "and forward")
        with contextlib.suppress(OSError):
            write("personality", "nic")
        expect(read("personality") == "ppe\n", "it is not empty")
    expect(left() == 2, "until the module goes")


def flows_end_when_their_connection_is_forgotten(module):
    with router(module, "ppe") as r:
        r.offloaded()
        run("ip netns exec", r.namespaces["r"], "conntrack -D -p udp")
        until(lambda: not rules(), "the rules are deleted")
    expect(left() == 0, "nothing is left")


def a_refusal_leaves_the_flow_to_software(module):
    with router(module, "nic") as r:
        write("fail", f"{errno.EOPNOTSUPP} 0 1000")
        until(lambda: r.ping() or "[OFFLOAD]" in run("ip netns exec", r.namespaces["r"], "conntrack -L -p udp"),
              "offloaded in software")
        until(lambda: r.ping() or counters()["refused"] >= 2, "refused twice")
        expect(rules() == [], "nothing in hardware")
    left()


def one_direction_may_be_missing(module):
    with router(module, "nic") as r:
        write("refuse", "in1")
        until(lambda: r.ping() or len(rules()) == 1, "one direction")
        expect(rules()[0]["in"] == "fo0", f"the other: {rules()}")
        r.ping()
    expect(left() == 0, "nothing is left")


def tags_are_pushed_and_popped(module):
    for personality in ("nic", "ppe"):
        with router(module, personality, "vlan") as r:
            found = {rule["in"]: rule for rule in r.offloaded()}
            expect(found["fo0"].get("push") == "8100:7" and found["fo1"]["pops"] == "1", f"a tag there, none back: {found}")
            r.fast()
        left()


def sessions_are_entered_and_left(module):
    for personality in ("nic", "ppe"):
        with router(module, personality, "pppoe") as r:
            found = {rule["in"]: rule for rule in r.offloaded()}
            expect(found["fo0"].get("push_session") == "9", f"a session there: {found}")
            r.fast()
        left()


def exchange(sock, data):
    """Send it and get it back."""
    got = b""
    sock.sendall(data)
    while len(got) < len(data):
        piece = sock.recv(65536)
        expect(piece, "the connection ended early")
        got += piece
    expect(got == data, "other bytes came back")


def streams_arrive_whole_and_end(module):
    """TCP of the kernel's own at both ends, with NAT: every byte, every checksum, and nothing for the router's stack."""
    for personality in ("nic", "ppe"):
        with router(module, personality) as r:
            for address in ("10.0.2.2", "fd02::2"):
                sock, thread = r.stream(address)
                with sock:
                    until(lambda s=sock: exchange(s, b"x") or len(rules()) == 2, f"{address}: two rules")
                    slow, fast = r.slow_packets(), counters()["forwarded"]
                    for i in range(20):
                        exchange(sock, bytes([i]) * 20000)
                    expect(r.slow_packets() == slow, f"the router's stack saw {r.slow_packets() - slow} packets")
                    expect(counters()["forwarded"] - fast > 2 * 20 * 20000 / 1460, "the hardware forwarded them")
                    sock.shutdown(socket.SHUT_WR)
                    expect(sock.recv(1) == b"", "the end comes through")
                thread.join()
                run("ip netns exec", r.namespaces["r"], "conntrack -F")
                until(lambda: not rules(), "the rules are gone")
            expect(r.wrong_checksums() == 0, f"{r.wrong_checksums()} checksums were wrong")
        expect(left() == 0, "nothing is left")


CASES = [
    a_connection_is_in_hardware_and_the_router_sees_nothing, a_nic_forgets_the_flows_of_a_table_that_goes,
    a_ppe_keeps_the_flows_of_a_table_that_goes, flows_end_when_their_connection_is_forgotten,
    a_refusal_leaves_the_flow_to_software, one_direction_may_be_missing, tags_are_pushed_and_popped,
    sessions_are_entered_and_left, streams_arrive_whole_and_end,
]
