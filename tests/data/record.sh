#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Records every capture of this directory again, from nothing: real programs in a
# client, a router and a server namespace joined by veth pairs, the kernel's own
# forwarding between them, tcpdump on the router's ports. README.md says what is in
# each capture. Its neighbours: lab.sh, the three hosts; check.sh, which judges a capture;
# encap_tap.py, for kernels without VLAN devices or PPP.
#
#   record.sh [-o DIR] [NAME...]     as root; all names when none is given
#
# Installs nothing and sends nothing outside its own namespaces, which it removes on
# every way out. A capture is replaced only when its recording was complete and good.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$here
work=
caps=()			# captures under way: "name device pid counter-at-start"

say() { printf '%s\n' "$*" >&2; }
die() { say "record.sh: $*"; exit 1; }

. "$here/lab.sh"

# --- what it needs -----------------------------------------------------------

check_tools() {
	local tool package missing= ppp=
	[ "$(id -u)" = 0 ] || die "needs root, to make network namespaces"
	if kernel_has_ppp; then
		ppp=yes
	fi
	while read -r tool package; do
		[ -z "$tool" ] || command -v "$tool" >/dev/null ||
			case $missing in *" $package"*) ;; *) missing+=" $package" ;; esac
	done <<-LIST
		ip iproute2
		ss iproute2
		ethtool ethtool
		tcpdump tcpdump
		nft nftables
		curl curl
		python3 python3
		iperf3 iperf3
		ping iputils-ping
		dnsmasq dnsmasq-base
		dig bind9-dnsutils
		${ppp:+pppd ppp}
		${ppp:+pppoe-server pppoe}
	LIST
	[ -z "$missing" ] || die "missing Debian packages (apt-get install):$missing"
}

# --- captures ----------------------------------------------------------------

port_frames() {		# DEVICE: frames in and out since it was made
	in_router sh -c "cd /sys/class/net/$1/statistics &&
		echo \$((\$(cat rx_packets) + \$(cat tx_packets)))"
}

is_listening() { grep -q '^tcpdump: listening on' "$work/$1.log"; }

# The port's own counter tells when the file is complete, so it has to stand still while
# tcpdump attaches; a frame in that moment only means another try.
capture() {		# NAME DEVICE
	local before after pid
	while :; do
		before=$(port_frames "$2")
		spawn "$R" "$1.log" tcpdump -i "$2" -w "$work/$1.pcap" -s 0 -U -Z root \
			--immediate-mode
		pid=$spawned
		await "tcpdump on $2" is_listening "$1"
		after=$(port_frames "$2")
		[ "$before" != "$after" ] || break
		end_process "$pid"
	done
	caps+=("$1 $2 $pid $before")
}

frame_count() { tcpdump --count -r "$1" 2>/dev/null | awk '{ print $1 }'; }

is_complete() {		# NAME DEVICE COUNTER-AT-START
	[ "$(frame_count "$work/$1.pcap")" = $(($(port_frames "$2") - $3)) ]
}

captured() {		# ends the captures under way and keeps them
	local name device pid before
	await "both ends of every TCP connection to close" all_closed
	for entry in "${caps[@]}"; do
		read -r name device pid before <<<"$entry"
		await "$name.pcap to hold every frame" is_complete "$name" "$device" "$before"
		end_process "$pid"
		"$here/check.sh" "$work/$name.pcap"
		mv "$work/$name.pcap" "$out/$name.pcap"
	done
	caps=()
}

# --- programs ----------------------------------------------------------------

http_server() {		# ADDRESS
	mkdir -p "$work/www"
	seq -f 'line %05g of a file served over HTTP' 550 >"$work/www/file.txt"
	spawn "$S" http.log python3 -m http.server --bind "$1" --directory "$work/www" 80
	await "the HTTP server" listens -t 80
}

fetch() {		# HOST-PART-OF-URL
	in_client curl -sSf --max-time $deadline_s -o "$work/got" "http://$1/file.txt"
	cmp "$work/got" "$work/www/file.txt"
}

iperf3_client() {	# ADDRESS OPTIONS...
	local address=$1
	shift
	spawn "$S" iperf3-server.log iperf3 -s -1 -B "$address"
	await "the iperf3 server" listens -t 5201
	in_client iperf3 -c "$address" "$@" >"$work/iperf3-client.log" 2>&1
	wait "$spawned"
	unset "running[$spawned]"
}

dns_server() {
	spawn "$S" dnsmasq.log dnsmasq --keep-in-foreground --conf-file=/dev/null \
		--no-resolv --no-hosts --bind-interfaces --listen-address=$S4 \
		--listen-address=$S6 --user=root --pid-file= --local=/test/ \
		--host-record=www.example.test,$S4,$S6 \
		--txt-record=example.test,"a text record" --mx-host=example.test,www.example.test
	await "dnsmasq" listens -u 53
}

# Closes with data of the server still unread and no lingering: the kernel sends RST.
abortive_fetch() {
	in_client python3 - $S4 <<-'PYTHON'
		import socket, struct, sys
		with socket.create_connection((sys.argv[1], 80), timeout=10) as s:
		    s.sendall(b"GET /file.txt HTTP/1.0\r\n\r\n")
		    got = 0
		    while got < 5000:
		        part = s.recv(5000 - got)
		        if not part:
		            sys.exit("the server closed first")
		        got += len(part)
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	PYTHON
}

# --- one function a capture --------------------------------------------------

record_http4() {
	lab_plain 4
	http_server $S4
	capture http4 lan0
	fetch $S4
	captured
}

record_http6() {
	lab_plain 6
	http_server $S6
	capture http6 lan0
	fetch "[$S6]"
	captured
}

record_http4-snat() {
	lab_plain 4
	in_router nft -f - <<-'RULES'
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "wan0" masquerade
			}
		}
	RULES
	ip -n "$S" route del 192.168.1.0/24
	http_server $S4
	capture http4-snat-lan lan0
	capture http4-snat-wan wan0
	fetch $S4
	captured
}

record_http4-gso() {
	lab_up 4
	links_up
	lan_addresses 4 eth0 lan0
	wan_addresses 4
	http_server $S4
	capture http4-gso lan0
	fetch $S4
	captured
}

record_dns() {
	local server
	lab_plain 46
	dns_server
	capture dns lan0
	for server in $S4 $S6; do
		in_client dig +tries=1 "@$server" www.example.test A
		in_client dig +tries=1 "@$server" www.example.test AAAA
		in_client dig +tries=1 "@$server" example.test TXT
		in_client dig +tries=1 +noedns "@$server" example.test MX
		in_client dig +tries=1 "@$server" nowhere.test A
	done >"$work/dig.log" 2>&1
	captured
}

record_bulk-udp() {
	lab_plain 4
	capture bulk-udp lan0
	iperf3_client $S4 -u -b 2M -l 1200 -k 30
	captured
}

record_ping() {
	lab_plain 46
	capture ping lan0
	in_client ping -c 4 -i 0.2 $S4 >"$work/ping.log"
	in_client ping -6 -c 4 -i 0.2 $S6 >"$work/ping.log"
	captured
}

record_vlan() {
	lab_tagged 100
	http_server ::
	capture vlan lan0
	fetch $S4
	fetch "[$S6]"
	captured
}

record_qinq() {
	lab_tagged 200 100
	http_server ::
	capture qinq lan0
	fetch $S4
	fetch "[$S6]"
	captured
}

record_pppoe() {
	local session=pppoe_by_tap session_c session_r dialer=
	lab_up 46
	if kernel_has_ppp; then
		session=pppoe_by_pppd
	fi
	say "  session $session"
	links_wire_like
	wan_addresses 46
	http_server ::
	capture pppoe lan0
	$session
	ip -n "$C" addr add $C6/64 dev $session_c nodad
	ip -n "$R" addr add $R_LAN6/64 dev $session_r nodad
	ip -n "$C" route add 203.0.113.0/24 dev $session_c
	ip -n "$C" route add 2001:db8:2::/64 dev $session_c
	fetch $S4
	fetch "[$S6]"
	[ -z "$dialer" ] || pppoe_hang_up
	captured
}

record_fragments() {
	lab_plain 46
	capture fragments lan0
	iperf3_client $S4 -u --bidir -b 2M -l 4000 -k 3
	iperf3_client $S6 -u --bidir -b 2M -l 4000 -k 3
	captured
}

record_rst() {
	lab_plain 4
	http_server $S4
	capture rst lan0
	if in_client curl -s --max-time $deadline_s "http://$S4:81/"; then
		die "something listens on a port that should be closed"
	fi
	abortive_fetch
	captured
}

all="http4 http6 http4-snat http4-gso dns bulk-udp ping vlan qinq pppoe fragments rst"

on_exit() {
	local status=$?
	trap - EXIT
	lab_down
	if [ "$status" != 0 ] && [ -d "$work" ]; then
		tail -n 5 "$work"/*.log >&2 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}

main() {
	local name
	if [ "${1:-}" = -o ]; then
		out=${2:?-o needs a directory}
		shift 2
	fi
	for name; do
		case " $all " in
		*" $name "*) ;;
		*) die "no capture named $name; there are: $all" ;;
		esac
	done
	check_tools
	work=$(mktemp -d)
	trap on_exit EXIT
	trap 'exit 1' INT TERM HUP
	[ $# -gt 0 ] || set -- $all
	for name; do
		say "$name"
		"record_$name"
		lab_down
	done
}

main "$@"
