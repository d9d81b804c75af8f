#!/bin/bash
# shellcheck disable=SC2154,SC2034 # the names of demo_net.sh
# SPDX-License-Identifier: BSD-2-Clause
# demo-test.sh - fo-demo router under real programs: what arrives is what was sent, most of it took the short
# cut, every frame is accounted for, the server sees the NAT's address, and connections outlive a new MAC address
# and a link that goes down. Usage: demo-test.sh FO_DEMO. Ends with "N passed, N failed, N skipped"; 77: skipped.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
fo_demo=$(readlink -f "${1:?usage: demo-test.sh FO_DEMO}")
# shellcheck source=tests/net/demo_net.sh
. "$here/demo_net.sh"

for program in iperf3 curl ethtool python3 ss; do
	command -v "$program" >/dev/null || {
		echo "SKIP: $program is missing"
		exit 77
	}
done
why=$(may_make_namespaces) || {
	echo "SKIP: $why"
	exit 77
}

passed=0 failed=0 skipped=0

# check WHAT COMMAND... - one assertion.
check() {
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $what: $*"
	fi
}

is() { [ "$(figure "$work/$1.json" "${@:3}")" = "$2" ]; }
at_least() { [ "$(figure "$work/$1.json" "${@:3}")" -ge "$2" ]; }

# Nine frames of ten took the short cut. (Handshakes, ends and neighbours do not; nothing here depends on speed.)
mostly_short_cut() {
	[ "$(figure "$work/$1.json" short_cut)" -gt $(($(figure "$work/$1.json" frames) * 9 / 10)) ]
}

# What the fast path says it forwarded and passed on is what the router received.
table_agrees() {
	python3 - "$work/$1.json" <<'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
fast = r["fast_path"]
sys.exit(fast["packets"] != r["short_cut"] or
         fast["packets"] + sum(fast["passed_by_reason"].values()) != r["frames"] or
         r["slow"] != r["slow_path"]["forwarded"] + r["slow_path"]["local"] + r["slow_path"]["dropped"])
PYTHON
}

check_books() { # check_books NAME
	check "$1: every frame accounted for" is "$1" true all_accounted
	check "$1: table and router count alike" table_agrees "$1"
	[ "$1" = changes ] || # how long a link takes to come back is the kernel's business
		check "$1: most was short-cut" mostly_short_cut "$1"
	check "$1: no flow refused" is "$1" 0 fast_path flows_refused
	check "$1: the kernel took every frame sent to the LAN" is "$1" 0 ports 0 refused
	[ "$1" = changes ] || # a port that is down refuses
		check "$1: ... and to the WAN" is "$1" 0 ports 1 refused
}

echo_both() {
	if ! command -v ping >/dev/null; then
		skipped=$((skipped + 1))
		echo "SKIP: echo: ping (package iputils-ping) is missing"
		return
	fi
	check "echo over IPv4" answers "$server4"
	check "echo over IPv6" answers "$server6"
	check "echo of the router itself" answers "$lan4"
	check "echo in fragments over IPv4" answers "$server4" -s 4000
	check "echo in fragments over IPv6" answers "$server6" -s 4000
	check "time exceeded comes from the router" ttl_exceeded
}

answers() { in_client ping -q -c 5 -i 0.05 -W 5 "$@" >"$work/ping"; }

# The server's ICMP error must name the client's own socket, else the client's kernel would not know whom to tell.
refused() {
	in_client python3 -c 'import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect((sys.argv[1], 9))
s.send(b"anybody?")
try:
    s.recv(100)
except ConnectionRefusedError:
    sys.exit(0)
sys.exit(1)' "$1"
}

ttl_exceeded() {
	in_client ping -c 1 -t 1 -W 5 "$server4" >"$work/ping" || true # no answer is a failure to ping
	grep -q "From $lan4 .*Time to live exceeded" "$work/ping"
}

plain_and_translated() {
	start_router plain
	check "HTTP over IPv4, equal bytes" fetch "$server4"
	check "the server sees the NAT's address" [ "$(last_visitor)" = "$wan4" ]
	check "HTTP over IPv6, equal bytes" fetch "[$server6]"
	check "IPv6 is not translated" [ "$(last_visitor)" = "$client6" ]
	check "TCP up, IPv4" traffic tcp4 1 -c "$server4"
	check "TCP down, IPv6" traffic tcp6 1 -c "$server6" -R
	check "UDP up, IPv4" traffic udp4 1 -c "$server4" -u -b 50M -l 1200
	check "UDP down, IPv6" traffic udp6 1 -c "$server6" -u -b 50M -l 1200 -R
	check "a closed port is reported through the NAT" refused "$server4"
	check "... and through plain IPv6" refused "$server6"
	echo_both
	stop_router plain
	check_books plain
	check "nobody unknown was let in" is plain 0 slow_path dropped_by_reason policy
	check "both ICMP errors were translated" is plain 2 slow_path icmp_errors
}

finished_checksums() {
	segmentation off
	start_router wire --slot 2048 --ring 2048
	check "HTTP over IPv4 in single frames" fetch "$server4"
	check "HTTP over IPv6 in single frames" fetch "[$server6]"
	stop_router wire
	segmentation on
	check_books wire
}

nat66() {
	start_router nat66 --nat6 "$wan6"
	check "HTTP over IPv6, translated" fetch "[$server6]"
	check "the server sees the router's IPv6 address" [ "$(last_visitor)" = "$wan6" ]
	check "TCP down, NAT66" traffic nat66 1 -c "$server6" -R
	stop_router nat66
	check_books nat66
}

# A client on a tagged LAN. Its frames are written by hand, since not every kernel has VLAN devices.
tagged() {
	ip netns exec "$server" python3 "$here/demo_vlan.py" echo "$server4" 7000 &
	background+=($!)
	await 10 udp_bound 7000
	segmentation off
	start_router tagged --lan-vlan 10
	check "100 datagrams from a VLAN and back" \
		in_client python3 "$here/demo_vlan.py" ask c0 10 "$client4" "$lan4" "$server4" 7000 100
	check "an untagged host is not on that VLAN" nobody_there
	stop_router tagged
	segmentation on
	check_books tagged
}

udp_bound() { in_server ss -Hlun "sport = :$1" | grep -q .; }
nobody_there() { ! in_client curl -sS --connect-timeout 1 "http://$server4:8080/" >/dev/null 2>&1; }

received_bytes() { in_server cat /sys/class/net/s0/statistics/rx_bytes; }
grown_to() { [ "$(received_bytes)" -ge "$1" ]; }
more_arrives() { await 10 grown_to $(($(received_bytes) + 5000000)); }
said() { grep -q "$1" "$work/changes.log"; }

changes() {
	local transfer
	in_client sysctl -qw net.ipv4.conf.c0.arp_notify=1
	start_router changes -v
	ip netns exec "$client" iperf3 -p 5201 -t 120 -c "$server4" >/dev/null 2>&1 & # ended below
	transfer=$!
	background+=("$transfer")
	check "the transfer begins" more_arrives
	ip -n "$client" link set c0 address 02:00:5e:00:53:01
	check "it goes on under a new MAC address" more_arrives
	ip -n "$router" link set wan0 down
	check "the link is seen going down" await 10 said 'port *wan0 is down'
	check "its flows end" await 10 said 'invalidated'
	ip -n "$router" link set wan0 up
	check "it goes on when the link is back" more_arrives
	kill "$transfer"
	wait "$transfer" || true # iperf3 calls being ended an error
	check "HTTP is as well as before" fetch "$server4"
	stop_router changes
	check "the adjacency followed the MAC" at_least changes 1 fast_path adjacency_updates
	check "flows were offloaded again" at_least changes 3 fast_path flows_added
	check_books changes
}

net_up
start_servers
plain_and_translated
finished_checksums
nat66
tagged
changes
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
