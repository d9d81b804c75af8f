#!/bin/bash
# world.sh PROGRAM [ARG...] - run a program inside a router of its own: client (10.91.1.2, fd91:1::2) - router - server
# (10.91.2.2, fd91:2::2), in network namespaces. The router masquerades what goes to the server and counts in the forward hook,
# before anybody's rules, what takes the slow path. All of it, processes and names, is in PID and mount namespaces that end with
# this process, however it ends.
set -eu
if [ -z "${FO_WORLD_RULES:-}" ]; then
	FO_WORLD_RULES=$(dirname "$(readlink -f "$0")")/world.nft
	export FO_WORLD_RULES
	exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
mount -t tmpfs world /run
c=client r=router s=server

for ns in "$c" "$r" "$s"; do
	ip netns add "$ns"
done
# FO_WORLD_HARDWARE=nic or ppe: the router's ports are those of the simulated hardware, the module FO_HWSIM (tests/hwsim).
if [ -n "${FO_WORLD_HARDWARE:-}" ]; then
	if [ -e /sys/module/fo_hwsim ]; then rmmod fo_hwsim; fi
	insmod "$FO_HWSIM" ports=2 personality="$FO_WORLD_HARDWARE"
	# Whoever enters a network namespace by ip(8) gets a /sys of its own.
	mkdir /run/debug
	mount -t debugfs debugfs /run/debug
	ip link set fo0 netns "$r" name c0
	ip link set fo1 netns "$r" name s0
	ip link set cable0 netns "$c" name eth
	ip link set cable1 netns "$s" name eth
else
	ip -batch - <<-TEXT
		link add c0 netns $r type veth peer name eth netns $c
		link add s0 netns $r type veth peer name eth netns $s
	TEXT
fi

host() { # host NAMESPACE NET: its addresses and routes
	ip -n "$1" -batch - <<-TEXT
		link set lo up
		link set eth up
		addr add 10.91.$2.2/24 dev eth
		addr add fd91:$2::2/64 dev eth nodad
		route add default via 10.91.$2.1
		route add default via fd91:$2::1
	TEXT
}
ip -n "$r" -batch - <<-TEXT
	link set lo up
	link set c0 up
	link set s0 up
	addr add 10.91.1.1/24 dev c0
	addr add fd91:1::1/64 dev c0 nodad
	addr add 10.91.2.1/24 dev s0
	addr add fd91:2::1/64 dev s0 nodad
TEXT
host "$c" 1
host "$s" 2
ip netns exec "$r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec "$r" nft -f "$FO_WORLD_RULES"
FO_WORLD_CLIENT=/run/netns/$c FO_WORLD_ROUTER=/run/netns/$r FO_WORLD_SERVER=/run/netns/$s \
	ip netns exec "$r" "$@"
