#!/bin/bash
# world.sh PROGRAM [ARG...] - run a program inside a router of its own: client (10.91.1.2, fd91:1::2) - router - server
# (10.91.2.2, fd91:2::2), in network namespaces whose names begin with fonft. The router masquerades what goes to the server
# and counts in the forward hook, before anybody's rules, what takes the slow path. Namespaces end with it.
set -eu
rules=$(dirname "$(readlink -f "$0")")/world.nft
prefix=fonft$$
c=${prefix}c r=${prefix}r s=${prefix}s

cleanup() {
	for ns in "$c" "$r" "$s"; do
		ip netns del "$ns" 2>/dev/null || true
	done
}
trap cleanup EXIT

for ns in "$c" "$r" "$s"; do
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
# FO_WORLD_HARDWARE=nic or ppe: the router's ports are those of the simulated hardware, the module FO_HWSIM (tests/hwsim).
if [ -n "${FO_WORLD_HARDWARE:-}" ]; then
	if [ -e /sys/module/fo_hwsim ]; then rmmod fo_hwsim; fi
	insmod "$FO_HWSIM" ports=2 personality="$FO_WORLD_HARDWARE"
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	ip link set fo0 netns "$r" name c0
	ip link set fo1 netns "$r" name s0
	ip link set cable0 netns "$c" name eth
	ip link set cable1 netns "$s" name eth
else
	ip link add c0 netns "$r" type veth peer name eth netns "$c"
	ip link add s0 netns "$r" type veth peer name eth netns "$s"
fi

side() { # side NAMESPACE ROUTER-DEVICE NET: addresses and routes of one side
	ip -n "$1" link set eth up
	ip -n "$1" addr add "10.91.$3.2/24" dev eth
	ip -n "$1" addr add "fd91:$3::2/64" dev eth nodad
	ip -n "$r" link set "$2" up
	ip -n "$r" addr add "10.91.$3.1/24" dev "$2"
	ip -n "$r" addr add "fd91:$3::1/64" dev "$2" nodad
	ip -n "$1" route add default via "10.91.$3.1"
	ip -n "$1" -6 route add default via "fd91:$3::1"
}
side "$c" c0 1
side "$s" s0 2
ip netns exec "$r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec "$r" nft -f "$rules"
FO_WORLD_RULES=$rules FO_WORLD_CLIENT=/run/netns/$c FO_WORLD_ROUTER=/run/netns/$r FO_WORLD_SERVER=/run/netns/$s \
	ip netns exec "$r" "$@"
