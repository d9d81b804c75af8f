# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# in_lab.sh - for nft.sh and tc.sh, which source it: a program of theirs in a guest of the lab, on Linux 6.12.
project=$(dirname "$here")

note() { # BENCH TEXT
	printf '{"bench":"%s","note":"%s"}\n' "$1" "$2"
}

in_lab() { # BENCH CPUS DEADLINE COMMAND...
	local bench=$1 cpus=$2 deadline=$3 status=0
	shift 3
	# The most entries are the first namespace's to say.
	# shellcheck disable=SC2016 # in the lab
	"$project/dev" lab --cpus "$cpus" --deadline "$deadline" 6.12 bash -c 'modprobe nf_conntrack &&
		sysctl -qw net.netfilter.nf_conntrack_max=262144 && exec "$@"' "$bench" "$@" || status=$?
	case $status in
	0) ;;
	77) note "$bench" 'no lab on this machine' ;;
	*) note "$bench" "$(basename "$1") in the lab: exit status $status" ;;
	esac
}
