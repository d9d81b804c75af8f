#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Backend bpf under real programs: bpf_real.sh programs|conntrack|ports FO_DEMO [CASE...]
# The cases are in bpf_NAME.py. Without what they run: skipped (77), and said.
name=$1
shift
for program in python3 ip nft ethtool conntrack curl iperf3 sysctl nstat; do
	command -v "$program" >/dev/null && continue
	echo "bpf_real.sh: skipped, no $program"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
done
exec python3 -B "$(dirname "$0")/bpf_$name.py" "$@"
