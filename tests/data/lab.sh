# SPDX-License-Identifier: BSD-2-Clause
#
# The three hosts that record.sh captures: client, router and server, a network namespace
# each, joined by veth pairs; the LAN side plain, tagged or in a PPPoE session. Sourced by
# record.sh, its neighbour, which sets $work (a directory for logs), $here, say and die.

deadline_s=20

ns=fo-rec-$$
C=$ns-client R=$ns-router S=$ns-server
C_MAC=02:00:00:00:01:02 R_LAN_MAC=02:00:00:00:01:01
R_WAN_MAC=02:00:00:00:02:02 S_MAC=02:00:00:00:02:01
C4=192.168.1.2 R_LAN4=192.168.1.1 R_WAN4=203.0.113.2 S4=203.0.113.1
C6=2001:db8:1::2 R_LAN6=2001:db8:1::1 R_WAN6=2001:db8:2::2 S6=2001:db8:2::1

declare -A running=()	# everything started in the background, by its process id

# --- processes and conditions ------------------------------------------------

# await WHAT COMMAND...: polls until COMMAND succeeds; the deadline is for failures only.
await() {
	local what=$1 end=$((SECONDS + deadline_s))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || die "gave up waiting for: $what"
		sleep 0.02
	done
}

# spawn NAMESPACE LOG COMMAND...: leaves the process id in $spawned.
spawn() {
	local where=$1 log=$2
	shift 2
	ip netns exec "$where" "$@" >"$work/$log" 2>&1 &
	spawned=$!
	running[$spawned]=1
}

# Forgets the id: once waited for, it may become somebody else's.
end_process() {
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	unset "running[$1]"
}

in_client() { ip netns exec "$C" "$@"; }
in_router() { ip netns exec "$R" "$@"; }
in_server() { ip netns exec "$S" "$@"; }

has_device() { ip -n "$1" link show "$2" >/dev/null 2>&1; }
has_address() { [ -n "$(ip -n "$1" -4 addr show dev "$2" 2>/dev/null)" ]; }

listens() {		# -t or -u, port
	[ -n "$(in_server ss -Hln "$1" sport = ":$2")" ]
}

all_closed() {
	local where
	for where in "$C" "$S"; do
		if ip netns exec "$where" ss -Htan |
			grep -Ev '^(LISTEN|TIME-WAIT)' >/dev/null; then
			return 1
		fi
	done
}

# --- the three hosts ---------------------------------------------------------

lab_down() {
	local pid where
	for pid in "${!running[@]}"; do
		end_process "$pid"
	done
	for where in "$C" "$R" "$S"; do
		ip netns del "$where" 2>/dev/null || true
	done
}

# Without checksum and segmentation offload a veth carries what a wire would.
offloads_off() {
	ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null
}

# lab_up FAMILIES: "4", "6" or "46". An IPv4 lab has IPv6 off, so that no neighbour or
# router discovery of the other family runs into its captures.
lab_up() {
	local where disable=1
	case $1 in *6*) disable=0 ;; esac
	for where in "$C" "$R" "$S"; do
		ip netns add "$where"
		ip netns exec "$where" sh -c "
			echo $disable >/proc/sys/net/ipv6/conf/all/disable_ipv6
			echo $disable >/proc/sys/net/ipv6/conf/default/disable_ipv6
			echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations"
		ip -n "$where" link set lo up
	done
	in_router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	ip -n "$C" link add eth0 address $C_MAC type veth \
		peer name lan0 address $R_LAN_MAC netns "$R"
	ip -n "$S" link add eth0 address $S_MAC type veth \
		peer name wan0 address $R_WAN_MAC netns "$R"
}

links_up() {
	ip -n "$C" link set eth0 up
	ip -n "$R" link set lan0 up
	ip -n "$R" link set wan0 up
	ip -n "$S" link set eth0 up
}

links_wire_like() {
	offloads_off "$C" eth0
	offloads_off "$R" lan0
	offloads_off "$R" wan0
	offloads_off "$S" eth0
	links_up
}

wan_addresses() {	# FAMILIES
	case $1 in *4*)
		ip -n "$R" addr add $R_WAN4/24 dev wan0
		ip -n "$S" addr add $S4/24 dev eth0
		ip -n "$S" route add 192.168.1.0/24 via $R_WAN4
	esac
	case $1 in *6*)
		ip -n "$R" addr add $R_WAN6/64 dev wan0 nodad
		ip -n "$S" addr add $S6/64 dev eth0 nodad
		ip -n "$S" route add 2001:db8:1::/64 via $R_WAN6
	esac
}

lan_addresses() {	# FAMILIES CLIENT-DEVICE ROUTER-DEVICE
	case $1 in *4*)
		ip -n "$C" addr add $C4/24 dev "$2"
		ip -n "$R" addr add $R_LAN4/24 dev "$3"
		ip -n "$C" route add default via $R_LAN4
	esac
	case $1 in *6*)
		ip -n "$C" addr add $C6/64 dev "$2" nodad
		ip -n "$R" addr add $R_LAN6/64 dev "$3" nodad
		ip -n "$C" route add default via $R_LAN6
	esac
}

lab_plain() {		# FAMILIES
	lab_up "$1"
	links_wire_like
	lan_addresses "$1" eth0 lan0
	wan_addresses "$1"
}

# --- VLAN, QinQ --------------------------------------------------------------

kernel_tags() {		# NAMESPACE PORT VID [INNER-VID]: a device named "tagged"
	if [ $# = 3 ]; then
		ip -n "$1" link add link "$2" name tagged type vlan id "$3"
	else
		ip -n "$1" link add link "$2" name outer type vlan protocol 802.1ad id "$3" &&
		ip -n "$1" link set outer up &&
		ip -n "$1" link add link outer name tagged type vlan id "$4"
	fi
}

tap_tags() {		# NAMESPACE PORT VID [INNER-VID]: the same, by encap_tap.py
	local where=$1 port=$2 vid args=()
	shift 2
	for vid; do
		args+=(--vid "$vid")
	done
	spawn "$where" "tap-$port.log" \
		python3 "$here/encap_tap.py" tags --port "$port" --tap tagged "${args[@]}"
	await "the TAP on $port" has_device "$where" tagged
	ip -n "$where" link set tagged address \
		"$(ip netns exec "$where" cat "/sys/class/net/$port/address")"
}

kernel_has_vlan() {
	ip -n "$C" link add link eth0 name probe type vlan id 1 2>/dev/null &&
	ip -n "$C" link del probe
}

lab_tagged() {		# VID [INNER-VID]
	local make=tap_tags
	lab_up 46
	if kernel_has_vlan; then
		make=kernel_tags
	fi
	say "  tags by $make"
	ip -n "$C" link set eth0 mtu 1508
	ip -n "$R" link set lan0 mtu 1508
	links_wire_like
	$make "$C" eth0 "$@"
	$make "$R" lan0 "$@"
	ip -n "$C" link set tagged mtu 1500 up
	ip -n "$R" link set tagged mtu 1500 up
	lan_addresses 46 tagged tagged
	wan_addresses 46
}

# --- PPPoE -------------------------------------------------------------------

kernel_has_ppp() { (: </dev/ppp) 2>/dev/null; }

# A whole session: discovery, LCP, IPCP and IPv6CP by pppd and pppoe-server.
pppoe_by_pppd() {
	printf 'noauth\nlcp-echo-interval 0\nnoccp\n+ipv6\n' >"$work/server.ppp"
	spawn "$R" pppoe-server.log pppoe-server -F -I lan0 -C router -L $R_LAN4 -R $C4 \
		-N 1 -O "$work/server.ppp"
	spawn "$C" pppd.log pppd plugin rp-pppoe.so eth0 noauth nodetach noccp +ipv6 \
		lcp-echo-interval 0 ifname session
	dialer=$spawned
	await "the client's PPP device" has_address "$C" session
	await "the router's PPP device" has_address "$R" ppp0
	session_c=session session_r=ppp0
}

session_ended() { tcpdump -nn -r "$work/pppoe.pcap" 2>/dev/null | grep PADT >/dev/null; }

# LCP Terminate and PADT belong to the capture; they must not cut the last FIN off.
pppoe_hang_up() {
	await "both ends of every TCP connection to close" all_closed
	end_process "$dialer"
	await "the end of the session" session_ended
}

pppoe_by_tap() {
	spawn "$C" tap-eth0.log python3 "$here/encap_tap.py" pppoe --port eth0 \
		--tap session --session 1 --macs $C_MAC $R_LAN_MAC
	spawn "$R" tap-lan0.log python3 "$here/encap_tap.py" pppoe --port lan0 \
		--tap session --session 1 --macs $R_LAN_MAC $C_MAC
	await "the client's TUN" has_device "$C" session
	await "the router's TUN" has_device "$R" session
	ip -n "$C" addr add $C4 peer $R_LAN4 dev session
	ip -n "$R" addr add $R_LAN4 peer $C4 dev session
	ip -n "$C" link set session mtu 1492 up
	ip -n "$R" link set session mtu 1492 up
	session_c=session session_r=session
}
