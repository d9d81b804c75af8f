#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Judges captures: classic little-endian pcap of Ethernet, whole to the last frame, every
# checksum right (or, in a *-gso capture, some unfinished). record.sh, its neighbour,
# keeps no capture that fails here.
#
#   check.sh FILE...    these
#   check.sh            every capture of this directory, and README.md's counts of frames
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# tcpdump's words, in this order: IP, TCP, UDP, ICMPv6; ICMP.
wrong_checksum='bad cksum|\(incorrect|bad udp cksum|bad icmp6 cksum|wrong icmp cksum'
max_total=$((700 * 1024))

command -v tcpdump >/dev/null ||
	{ echo "check.sh: missing Debian package: tcpdump" >&2; exit 1; }

fail() {		# FILE WORDS
	echo "check.sh: $(basename "$1"): $2" >&2
	exit 1
}

frame_count() { tcpdump --count -r "$1" 2>/dev/null | awk '{ print $1 }'; }

check_file() {
	local header frames text wrong
	# magic, version 2.4, zone and precision 0; the snapshot length; link type 1
	header=$(od -An -v -tx1 -N24 "$1" | tr -d ' \n')
	[[ $header =~ ^d4c3b2a1020004000{16}.{8}01000000$ ]] ||
		fail "$1" "not a little-endian pcap of Ethernet"
	text=$(tcpdump -nn -vv -r "$1" 2>/dev/null) ||
		fail "$1" "tcpdump cannot read it to the end"
	wrong=$(grep -Ec "$wrong_checksum" <<<"$text" || true)
	case $1 in
	*-gso.pcap) [ "$wrong" -gt 0 ] || fail "$1" "no unfinished checksum" ;;
	*) [ "$wrong" = 0 ] || fail "$1" "$wrong wrong checksums" ;;
	esac
	frames=$(frame_count "$1")
	[ "$frames" -gt 0 ] || fail "$1" "empty"
	echo "  $(basename "$1"): $frames frames, $(stat -c %s "$1") bytes" >&2
}

# A row of the README opens with "| `name.pcap` | frames |".
check_readme() {
	local file listed
	for file in "$here"/*.pcap; do
		listed=$(sed -n "s/^| \`$(basename "$file")\` | \([0-9]*\) |.*/\1/p" \
			"$here/README.md")
		[ "$listed" = "$(frame_count "$file")" ] ||
			fail "$file" "README.md says ${listed:-nothing}, it has $(frame_count "$file")"
	done
	sed -n 's/^| `\([^`]*\.pcap\)` .*/\1/p' "$here/README.md" | while read -r file; do
		[ -f "$here/$file" ] || fail "$file" "in README.md, but not there"
	done
}

if [ $# -gt 0 ]; then
	for file; do
		check_file "$file"
	done
	exit
fi

total=0
for file in "$here"/*.pcap; do
	check_file "$file"
	total=$((total + $(stat -c %s "$file")))
done
check_readme
[ "$total" -le $max_total ] || fail "$here" "$total bytes of captures, more than $max_total"
