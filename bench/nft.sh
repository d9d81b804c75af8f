#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nft.sh - what backend nft costs, in the lab on Linux 6.12: nft.sh BUILD [FLOWS]. BUILD has nft-measure and fo-demo.
# Inside the lab nft_measure.c is for the control plane, nft_router.py for throughput. Where no lab can run, a note says so.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:?usage: nft.sh BUILD [FLOWS]}")
flows=${2:-10000}
project=$(dirname "$here")

note() {
	printf '{"bench":"nft","note":"%s"}\n' "$1"
}

in_lab() {
	local status=0
	# The most entries are the first namespace's to say.
	# shellcheck disable=SC2016 # in the lab
	"$project/dev" lab --cpus 1 --deadline 600 6.12 bash -c 'modprobe nf_conntrack &&
		sysctl -qw net.netfilter.nf_conntrack_max=262144 && exec "$@"' nft "$@" || status=$?
	case $status in
	0) ;;
	77) note 'no lab on this machine' ;;
	*) note "$1 in the lab: exit status $status" ;;
	esac
}

[ -x "$build/bench/nft-measure" ] || { note 'nft-measure is not built: libmnl is missing'; exit 0; }
in_lab "$project/tests/nft/world.sh" "$build/bench/nft-measure" "$flows"
in_lab "$here/nft_router.py" "$build"
