#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nat_oracle.sh - the same packets through this kernel's nf_tables NAT and through the library, bytes
# compared. Usage: nat_oracle.sh NAT_ORACLE. Ends with "N passed, N failed, N skipped"; 77: skipped.
#
#   hosts c0 --- lan0 router wan0 --- s0 hosts
#
# Names carry our PID and go with us. nat_oracle.h says what the program consists of.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
oracle=$(readlink -f "${1:?usage: nat_oracle.sh NAT_ORACLE}")
hosts=fo-oh-$$ router=fo-or-$$
passed=0 failed=0 skipped=0

skip() {
	echo "SKIP: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

cleanup() {
	ip netns del "$hosts" 2>/dev/null || true
	ip netns del "$router" 2>/dev/null || true
}

for program in ip nft conntrack sysctl; do
	command -v "$program" >/dev/null || skip "$program is missing"
done
[ -e /proc/sys/net/ipv6 ] || skip "this kernel has no IPv6"
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
why=$(ip netns add "$router" 2>&1 && ip netns add "$hosts" 2>&1) ||
	skip "no network namespace can be made here: $why"

in_router() { ip netns exec "$router" "$@"; }

cable() { # cable ROUTER_END MAC HOST_END MAC
	ip -n "$router" link add "$1" address "$2" mtu 1500 type veth \
		peer name "$3" address "$4" mtu 1500 netns "$hosts" &&
		ip -n "$hosts" link set "$3" up && ip -n "$router" link set "$1" up
}

# No host answers: neighbours are fixed, and each address is behind one of the two.
routes() {
	ip -n "$router" addr add 10.255.0.1/24 dev lan0
	ip -n "$router" addr add fd00:0:0:ff::1/64 dev lan0 nodad
	ip -n "$router" addr add 198.18.0.1/24 dev wan0
	ip -n "$router" addr add 2001:db8:ffff::1/64 dev wan0 nodad
	ip -n "$router" neigh add 10.255.0.2 lladdr 02:00:00:00:01:02 dev lan0 nud permanent
	ip -n "$router" neigh add fe80::2 lladdr 02:00:00:00:01:02 dev lan0 nud permanent
	ip -n "$router" neigh add 198.18.0.2 lladdr 02:00:00:00:02:02 dev wan0 nud permanent
	ip -n "$router" neigh add fe80::2 lladdr 02:00:00:00:02:02 dev wan0 nud permanent
	ip -n "$router" route add 10.0.0.0/8 via 10.255.0.2 dev lan0
	ip -n "$router" route add fd00::/16 via fe80::2 dev lan0
	ip -n "$router" route add default via 198.18.0.2 dev wan0
	ip -n "$router" -6 route add default via fe80::2 dev wan0
}

# The hosts' kernel is deaf; the router's forwards, says nothing by itself and counts as the library does.
ip netns exec "$hosts" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.default.disable_ipv6=1
why=$(cable lan0 02:00:00:00:01:01 c0 02:00:00:00:01:02 2>&1) || skip "no veth can be made here: $why"
why=$(cable wan0 02:00:00:00:02:01 s0 02:00:00:00:02:02 2>&1) || skip "no veth can be made here: $why"
in_router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0
for interface in all lan0 wan0; do
	in_router sysctl -qw "net.ipv4.conf.$interface.rp_filter=0" "net.ipv4.conf.$interface.send_redirects=0" \
		"net.ipv6.conf.$interface.accept_dad=0"
done
routes
why=$(in_router nft -f "$here/nat_oracle.nft" 2>&1) || skip "this kernel has no nf_tables NAT: $why"
why=$(in_router conntrack -L 2>&1 >/dev/null) || skip "conntrack cannot be read here: $why"
why=$(in_router sysctl -qw net.netfilter.nf_conntrack_acct=1 2>&1) || skip "conntrack does not count here: $why"

# run OPTION... - with no connection left over from before; the result is in $result.
run() {
	local status=0
	in_router conntrack -F 2>/dev/null
	result=$(timeout 120 ip netns exec "$hosts" "$oracle" "$@" c0 s0 "/run/netns/$router") || status=$?
	[ "$status" -gt 1 ] || return 0
	echo "$result"
	echo "FAIL: $oracle $* ended with status $status"
	echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
	exit 1
}

# account TITLE - show the result and add it up.
account() {
	local line p f
	line=$(tail -n 1 <<<"$result")
	echo "$1:"
	sed 's/^/  /' <<<"$result"
	read -r p _ f _ <<<"$line"
	passed=$((passed + p)) failed=$((failed + f))
}

# A kernel that verifies checksums calls a wrong one invalid and forwards it untranslated; the flow table
# of the kernel, as the library, does not verify. So wrong ones are compared with the verification off.
in_router sysctl -qw net.netfilter.nf_conntrack_checksum=1
run
account "valid packets"
in_router sysctl -qw net.netfilter.nf_conntrack_checksum=0
run --wrong-checksums
account "packets with wrong checksums (nf_conntrack_checksum=0)"

# The comparison must be able to fail: told of another translation, nothing agrees, and all of it was compared.
compared=$(tail -n 1 <<<"$result" | cut -d ' ' -f 1)
run --wrong-flow
if [ "$(tail -n 1 <<<"$result")" = "0 passed, $compared failed, 0 skipped" ]; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "FAIL: the library was told another translation; of $compared comparisons none should agree:"
	sed 's/^/  /' <<<"$result"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
