#!/bin/bash
# shellcheck disable=SC2154,SC2034 # the names of demo_net.sh
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh - the main job of libflowoffload on real traffic: `./dev demo` calls it with the build directory.
#
# A client and a server in namespaces of their own, fo-demo as the NAT router between them, curl and iperf3
# through it: once with the fast path and once without. Less than a minute. Where no namespace may be made, it
# says so and replays captures instead.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=${1:?usage: demo.sh BUILD_DIR}
fo_demo=$(readlink -f "$build/examples/fo-demo/fo-demo")
[ -x "$fo_demo" ] || {
	echo "demo: $build/examples/fo-demo/fo-demo is not built (it needs libpcap-dev and libjson-c-dev)" >&2
	exit 1
}
# shellcheck source=tests/net/demo_net.sh
. "$here/demo_net.sh"

replay_instead() {
	local name
	rm -rf "$work"
	for name in http4 http6; do
		echo
		echo "== fo-demo replay $name.pcap --nat $wan4"
		"$fo_demo" replay "$here/../data/$name.pcap" --nat "$wan4"
	done
}

missing() {
	local program
	for program in iperf3 curl ethtool python3 ss; do
		command -v "$program" >/dev/null || {
			echo "$program is missing"
			return 0
		}
	done
	return 1
}

if ! why=$(may_make_namespaces) || why=$(missing); then
	echo "demo: $why: replaying captures instead of real traffic"
	replay_instead
	exit
fi

step() { printf '%-58s' "$*"; }

fetch_both() {
	step "curl, 20 MB over IPv4 (NAT)"
	fetch "$server4"
	echo "sha256 equal, the server saw $(last_visitor)"
	step "curl, 20 MB over IPv6 (routed)"
	fetch "[$server6]"
	echo "sha256 equal, the server saw $(last_visitor)"
}

measure() { # measure NAME TITLE ROUTER_OPTIONS... - TCP both ways through a router of its own
	local name=$1 title=$2
	shift 2
	[ -n "$router_pid" ] || start_router "$name" "$@"
	step "iperf3 TCP IPv4 up, $title"
	traffic "$name-tcp4" 2 -c "$server4"
	echo "$(rate "$name-tcp4") Mbit/s"
	step "iperf3 TCP IPv6 down, $title"
	traffic "$name-tcp6" 2 -c "$server6" -R
	echo "$(rate "$name-tcp6") Mbit/s"
}

datagrams() {
	step "iperf3 UDP IPv4, 1400 bytes, 300 Mbit/s offered"
	traffic udp4 1 -c "$server4" -u -b 300M -l 1400
	echo "$(rate udp4) Mbit/s arrived"
	step "iperf3 UDP IPv6 down, 1400 bytes, 300 Mbit/s offered"
	traffic udp6 1 -c "$server6" -u -b 300M -l 1400 -R
	echo "$(rate udp6) Mbit/s arrived"
}

summary() {
	python3 - "$work" <<'PYTHON'
import json, sys
work = sys.argv[1]
def load(name):
    return json.load(open(f"{work}/{name}.json"))
def rate(name, family):
    end = json.load(open(f"{work}/{name}-tcp{family}.iperf"))["end"]
    return end["sum_received"]["bits_per_second"] / 1e6
first = load("gso")
fast, slow = first["fast_path"], first["slow_path"]
print("\n== the first router: who carried what")
print(f"  frames received           {first['frames']:>12,}")
print(f"  short-cut                 {first['short_cut']:>12,}  {first['short_cut'] / first['frames']:.1%}, "
      f"{fast['bytes']:,} bytes of IP")
print(f"  slow path                 {first['slow']:>12,}")
print(f"  ARP, ND, not for it       {first['neighbour'] + first['not_ours'] + first['truncated']:>12,}")
print(f"  all accounted for         {'yes' if first['all_accounted'] else 'NO':>12}")
print("  why the fast path passed packets on: " +
      ", ".join(f"{k} {v:,}" for k, v in fast["passed_by_reason"].items()))
print(f"  connections {slow['connections']}, offloaded {fast['flows_added']}, refused {fast['flows_refused']}, ended: " +
      (", ".join(f"{k} {v}" for k, v in fast["ended_by_event"].items()) or "none"))
print("\n== with and without the fast path (TCP Mbit/s; CPU time of the router)")
print(f"  {'':34}{'IPv4 up':>9}{'IPv6 down':>11}{'frames':>11}{'ns/frame':>10}{'to decide':>11}")
for name, title in (("gso", "64 KB frames, fast path"), ("gso-slow", "64 KB frames, --no-offload"),
                    ("wire", "1500-byte frames, fast path"), ("wire-slow", "1500-byte frames, --no-offload")):
    r = load(name)
    print(f"  {title:34}{rate(name, 4):>9.0f}{rate(name, 6):>11.0f}{r['frames']:>11,}{r['cpu_ns_per_frame']:>10.0f}"
          f"{r['decide_ns_per_frame']:>11.0f}")
print("  to decide: what the fast path shortens, ns a frame. The rest, and so most of the throughput here, is the\n"
      "  kernel's copying between veths, and iperf3 itself on the same CPUs.")
e = first.get("explained")
if e:
    print("\n== one flow explained, asked while it lived")
    print(f"  {e['protocol']} {e['from']} -> {e['to']}, seen by the server as {e['seen_as']}: {e['state']}")
    print(f"  {e['text']}")
PYTHON
}

echo "client $client4, $client6 -- fo-demo router -- server $server4, $server6"
net_up
start_servers
start_router gso --explain-one
fetch_both
datagrams
measure gso "64 KB frames, fast path"
stop_router gso
measure gso-slow "64 KB frames, --no-offload" --no-offload
stop_router gso-slow
segmentation off
measure wire "1500-byte frames, fast path" --ring 4096 --slot 2048
stop_router wire
measure wire-slow "1500-byte frames, --no-offload" --ring 4096 --slot 2048 --no-offload
stop_router wire-slow
summary
