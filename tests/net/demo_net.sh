# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# demo_net.sh - three namespaces in a row: client, router, server. Sourced by demo.sh and demo-test.sh.
#
#   client c0 --- lan0 router wan0 --- s0 server
#
# The kernel of the router's namespace has no addresses and forwards nothing: all that passes from one side to
# the other went through fo-demo. Names carry our PID; net_down removes them and what was started, by PID.

# shellcheck disable=SC2154 # fo_demo: the program, set by who sources this
: "${fo_demo:?}"

client4=192.168.77.2 lan4=192.168.77.1
server4=198.51.100.2 wan4=198.51.100.1
client6=2001:db8:77::2 lan6=2001:db8:77::1
server6=2001:db8:99::2 wan6=2001:db8:99::1

client=fo-c-$$ router=fo-r-$$ server=fo-s-$$
work=$(mktemp -d)
background=()
router_pid=

in_client() { ip netns exec "$client" "$@"; }
in_router() { ip netns exec "$router" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

# may_make_namespaces - says why not.
may_make_namespaces() {
	local probe=fo-p-$$ why
	if ! command -v ip >/dev/null; then
		echo "ip (package iproute2) is missing"
		return 1
	fi
	if ! why=$(ip netns add "$probe" 2>&1); then
		echo "no network namespace can be made here: $why"
		return 1
	fi
	if ! why=$(ip -n "$probe" link add v0 type veth peer name v1 2>&1); then
		ip netns del "$probe"
		echo "no veth can be made here: $why"
		return 1
	fi
	ip netns del "$probe"
}

net_host() { # net_host NAMESPACE INTERFACE ADDRESS4 ADDRESS6
	ip -n "$1" link set lo up
	ip -n "$1" addr add "$3/24" dev "$2"
	ip -n "$1" addr add "$4/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}

net_up() {
	local ns
	trap net_down EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	for ns in "$client" "$router" "$server"; do
		ip netns add "$ns"
		ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
	done
	in_router sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
	ip -n "$router" link add lan0 type veth peer name c0 netns "$client"
	ip -n "$router" link add wan0 type veth peer name s0 netns "$server"
	ip -n "$router" link set lan0 up
	ip -n "$router" link set wan0 up
	net_host "$client" c0 "$client4" "$client6"
	net_host "$server" s0 "$server4" "$server6"
	ip -n "$client" route add default via "$lan4"
	ip -n "$client" route add default via "$lan6"
	# The server knows no way to the client's IPv4 network: only translated packets come back.
	ip -n "$server" route add default via "$wan6"
}

net_down() {
	local status=$? pid ns
	trap - EXIT
	for pid in "${background[@]}" $router_pid; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for ns in "$client" "$router" "$server"; do
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf "$work"
	exit "$status"
}

# await SECONDS COMMAND... - until it succeeds.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "gave up waiting for: $*" >&2
			return 1
		fi
		read -r -t 0.05 <> <(:) || true
	done
}

listening() { in_server ss -Hltn "sport = :$1" | grep -q .; }

# start_router NAME OPTIONS... - its summary will be in $work/NAME.json.
start_router() {
	local name=$1
	shift
	ip netns exec "$router" "$fo_demo" router --lan lan0 --wan wan0 --lan-addr "$lan4/24" --wan-addr "$wan4/24" \
		--lan-addr6 "$lan6/64" --wan-addr6 "$wan6/64" --json "$@" >"$work/$name.json" 2>"$work/$name.log" &
	router_pid=$!
	if ! await 10 grep -q 'router: ready' "$work/$name.log"; then
		cat "$work/$name.log" >&2
		return 1
	fi
}

stop_router() { # stop_router NAME
	local status=0
	kill -TERM "$router_pid"
	wait "$router_pid" || status=$?
	router_pid=
	if [ "$status" -ne 0 ]; then
		echo "fo-demo router ended with status $status:" >&2
		cat "$work/$1.log" >&2
	fi
	return "$status"
}

# figure FILE PATH... - one value of a JSON file: figure router.json fast_path packets
figure() {
	python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    v = v[int(key)] if isinstance(v, list) else v.get(key, 0)
print(str(v).lower() if isinstance(v, bool) else v)' "$@"
}

# ---- Real programs ----

# start_servers - HTTP on 8080 (both families, log in $work/http.log), iperf3 on 5201.
start_servers() {
	mkdir -p "$work/www"
	head -c 20000000 /dev/urandom >"$work/www/file"
	ip netns exec "$server" python3 -u -m http.server 8080 -b :: -d "$work/www" >"$work/http.log" 2>&1 &
	background+=($!)
	ip netns exec "$server" iperf3 -s -p 5201 >"$work/iperf-server.log" 2>&1 &
	background+=($!)
	await 10 listening 8080
	await 10 listening 5201
}

# fetch ADDRESS - the file by HTTP; fails unless every byte is the same.
fetch() {
	in_client curl -sS --max-time 20 -o "$work/got" "http://$1:8080/file" || return 1
	[ "$(sha256sum <"$work/got")" = "$(sha256sum <"$work/www/file")" ]
}

# traffic NAME SECONDS OPTIONS... - iperf3 from the client; result in $work/NAME.iperf.
traffic() {
	local name=$1 seconds=$2
	shift 2
	if ! timeout $((seconds + 15)) ip netns exec "$client" iperf3 -p 5201 -J -t "$seconds" "$@" \
		>"$work/$name.iperf"; then
		echo "iperf3 $* failed: $(figure "$work/$name.iperf" error)" >&2
		return 1
	fi
}

# rate NAME - megabits a second that arrived.
rate() {
	python3 -c 'import json, sys
end = json.load(open(sys.argv[1]))["end"]
udp = "sum_received" not in end
part = end["sum"] if udp else end["sum_received"]
arrived = part["bits_per_second"] * (100 - part.get("lost_percent", 0)) / 100 if udp else part["bits_per_second"]
print(round(arrived / 1e6))' "$work/$1.iperf"
}

# last_visitor - the address that the HTTP server saw last.
last_visitor() { grep -oE '^[0-9a-f:.]+' "$work/http.log" | tail -n 1 | sed 's/^::ffff://'; }

# segmentation on|off - off: the hosts send frames of at most 1500 bytes with finished checksums, as a wire has.
segmentation() {
	in_client ethtool -K c0 tx "$1" tso "$1" gso "$1" >/dev/null
	in_server ethtool -K s0 tx "$1" tso "$1" gso "$1" >/dev/null
}
