# SPDX-License-Identifier: BSD-2-Clause
"""cases_life.py - the module comes and goes: under load, with its devices elsewhere, with parameters that are none."""
import errno
import os
import signal
import socket
import subprocess

from cases_flower import nat
from frames import V4, V4_OUT
from router import Router
from switch import ETH_P_ALL, Switch, batch, counters, edits, expect, packets_of, run, to, tuple_of, until


def flood(device, frames):
    """A process that sends until its device is gone or it is ended; its id."""
    child = os.fork()
    if child:
        return child
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((device, ETH_P_ALL))
        while True:
            for frame in frames:
                try:
                    sock.send(frame)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
    finally:
        os._exit(0)


def churn():
    """A process that adds, shows and deletes rules of fo0 as fast as it can; a group of its own."""
    add = f"filter add dev fo0 ingress prio 4 protocol ip handle 77 flower skip_sw {tuple_of(V4.but(sport=2))} " + \
        f"{edits(V4.but(sport=2), V4_OUT)} {to('fo1')}"
    script = f"while :; do tc {add}; tc -s filter show dev fo0 ingress; tc filter del dev fo0 ingress prio 4; done"
    return subprocess.Popen(["bash", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)


def the_module_goes_under_load(module):
    for _ in range(3):
        switch = Switch(module, ports=2)
        nat(switch, V4, V4_OUT)
        for tap in switch.taps.values():
            tap.sock.close()
        frames = [V4.bytes(), V4.but(sport=1).bytes(), V4.but(ttl=1).bytes()]
        children = [flood(device, frames) for device in ("cable0", "cable1", "fo1")]
        adder = churn()
        until(lambda: counters()["forwarded"] > 500 and counters()["deleted"] > 2, "a load")
        run("rmmod fo_hwsim")
        os.killpg(adder.pid, signal.SIGKILL)
        adder.wait()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        expect(not any(name.startswith("cable") for name in os.listdir("/sys/class/net")), "no device is left")


def the_module_goes_under_flows_in_namespaces(module):
    for personality in ("nic", "ppe"):
        router = Router(module, personality)
        router.offloaded()
        router.fast()
        run("rmmod fo_hwsim")
        expect("fo0" not in router.ip("r", "-br link"), "its devices are gone from every namespace")
        for sock in router.sock.values():
            sock.close()
        for name in router.namespaces.values():
            run(f"ip netns del {name}")


def a_namespace_that_ends_gives_its_devices_back(module):
    run("insmod", module)
    for _ in range(3):
        run("ip netns add hwsimgone")
        for device in ("fo0", "cable1"):
            run(f"ip link set {device} netns hwsimgone")
        run("ip -n hwsimgone link set fo0 up")
        run("tc -n hwsimgone qdisc add dev fo0 clsact")
        run(f"tc -n hwsimgone filter add dev fo0 ingress prio 1 protocol ip flower skip_sw {tuple_of(V4)} action drop")
        expect(counters()["rules"] == 1, "a rule in there")
        run("ip netns del hwsimgone")
        until(lambda: os.path.exists("/sys/class/net/fo0") and os.path.exists("/sys/class/net/cable1"), "they are back")
    run("rmmod fo_hwsim")


def many_rules_are_found_and_counted(module):
    """Ten thousand, as the library's own tests will want them."""
    switch = Switch(module, ports=2)
    count = 10000
    batch("tc", [f"filter add dev fo0 ingress prio 2 protocol ip handle {i + 1} flower skip_sw ip_proto udp "
                 f"src_ip 10.0.1.2 dst_ip 10.0.2.2 src_port {i + 1} dst_port 5001 action mirred egress redirect dev fo1"
                 for i in range(count)])
    expect(counters()["rules"] == count, "all in hardware")
    for port in (1, 5000, count):
        switch.goes(V4.but(sport=port), "cable1", V4.but(sport=port))
    shown = run("tc -s filter get dev fo0 ingress prio 2 protocol ip handle 5000 flower")
    expect(packets_of(shown) == (len(V4.bytes()), 1), shown)
    switch.clear("fo0")
    expect(counters()["deleted"] == count, "all deleted")
    switch.close()


def nonsense_is_refused_at_the_door(module):
    for words in ("ports=1", "ports=17", "personality=npu"):
        said = run(f"insmod {module} {words}", fails=True)
        expect("Invalid parameters" in said, said)
        expect(not os.path.exists("/sys/class/net/fo0"), "nothing is left")


def both_limits_of_ports_work(module):
    for ports in (2, 16):
        switch = Switch(module, ports=ports)
        switch.add(tuple_of(V4), edits(V4, V4_OUT) + " " + to(f"fo{ports - 1}"))
        switch.goes(V4, f"cable{ports - 1}", V4_OUT)
        switch.close()


CASES = [
    the_module_goes_under_load, the_module_goes_under_flows_in_namespaces, a_namespace_that_ends_gives_its_devices_back,
    many_rules_are_found_and_counted, nonsense_is_refused_at_the_door, both_limits_of_ports_work,
]
