#!/bin/bash
# shellcheck disable=SC2154,SC2034 # the names of demo_net.sh
# SPDX-License-Identifier: BSD-2-Clause
# router.sh - fo-demo as the router between two namespaces, with the fast path and without, in turns: router.sh BUILD
# [--rounds N]. BUILD has fo-demo. One TCP connection of iperf3 at a time, IPv4 with NAT and IPv6.
#
#   wire-cpu, gso-cpu        CPU time of the router, nanoseconds a frame; frames of 1500 bytes, and segments up to 64 KB
#   wire-decide, gso-decide  of that, what the fast path is there to shorten: from a frame read to its verdict
#   wire-rate4-fast, ...     Mbit/s that arrived, for context: most of it is the kernel's copying and iperf3 itself, on
#                            the same processors
#
# Ratios are of the medians of the same round. Where no namespace can be made, a note says so.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=${1:?usage: router.sh BUILD [--rounds N]}
rounds=3
if [ "${2:-}" = --rounds ]; then
	rounds=${3:?usage: router.sh BUILD [--rounds N]}
fi

note() {
	printf '{"bench":"router","note":"%s"}\n' "$1"
	[ -z "${work:-}" ] || rm -rf "$work"
	exit 0
}

fo_demo=$(readlink -f "$build/examples/fo-demo/fo-demo" || true)
[ -x "$fo_demo" ] || note "fo-demo is not built"
# shellcheck source=tests/net/demo_net.sh
. "$here/../tests/net/demo_net.sh"
for program in iperf3 curl ethtool python3 ss; do
	command -v "$program" >/dev/null || note "$program is missing"
done
why=$(may_make_namespaces) || note "$why"

measure() { # measure NAME ROUTER_OPTIONS...
	local name=$1
	shift
	start_router "$name" "$@"
	traffic "$name-tcp4" 2 -c "$server4"
	traffic "$name-tcp6" 2 -c "$server6" -R
	stop_router "$name"
}

# Who is first changes from round to round.
round() { # round KIND NUMBER ROUTER_OPTIONS...
	local kind=$1 number=$2 who
	shift 2
	for who in $(if ((number % 2)); then echo fast slow; else echo slow fast; fi); do
		if [ "$who" = fast ]; then
			measure "$kind-fast-$number" "$@"
		else
			measure "$kind-slow-$number" "$@" --no-offload
		fi
	done
}

net_up
start_servers
for ((i = 0; i < rounds; i++)); do round gso "$i"; done
segmentation off
for ((i = 0; i < rounds; i++)); do round wire "$i" --ring 4096 --slot 2048; done

python3 - "$work" "$rounds" <<'PYTHON'
import json, statistics, sys
work, rounds = sys.argv[1], int(sys.argv[2])


def load(name):
    with open(f"{work}/{name}", encoding="utf-8") as file:
        return json.load(file)


def line(**fields):
    print(json.dumps({"bench": "router", **fields}, separators=(",", ":")))


def values(kind, who, key):
    return [load(f"{kind}-{who}-{i}.json")[key] for i in range(rounds)]


def rates(kind, who, family):
    return [load(f"{kind}-{who}-{i}-tcp{family}.iperf")["end"]["sum_received"]["bits_per_second"] / 1e6
            for i in range(rounds)]


for kind in ("wire", "gso"):
    for part, key in (("cpu", "cpu_ns_per_frame"), ("decide", "decide_ns_per_frame")):
        fast, slow = values(kind, "fast", key), values(kind, "slow", key)
        ratio = statistics.median(s / f for s, f in zip(slow, fast))
        line(case=f"{kind}-{part}", n=1, who="fast-path", ns=round(statistics.median(fast), 2), ratio=1)
        line(case=f"{kind}-{part}", n=1, who="slow-path", ns=round(statistics.median(slow), 2), ratio=round(ratio, 3))
    for family in (4, 6):
        for who in ("fast", "slow"):
            line(case=f"{kind}-rate{family}-{who}", n=1, figure=round(statistics.median(rates(kind, who, family)), 1),
                 unit="Mbit/s")
    for i in range(rounds):
        first = load(f"{kind}-fast-{i}.json")
        if not first["all_accounted"]:
            sys.exit(f"bench: {kind}: frames are not accounted for")
        if first["short_cut"] * 2 < first["frames"]:
            sys.exit(f"bench: {kind}: most frames did not take the short cut")
PYTHON
