#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The conformance suite on the bpf backend, on the kernel that runs this: ./dev lab KERNEL tests/lab/bpf.sh [RIG...] [-- ARGUMENT...]
# RIG: bpf-tc, bpf-xdp, bpf-generic; by itself the first two. Arguments go to fo-conformance (--case GLOB). It has to be
# built before, in build/release or where FO_CONFORMANCE says. In a machine without hardware virtualisation a rig takes a
# quarter of an hour or more: ./dev lab --deadline 7200 KERNEL ...
# Prints the suite's lines, and the sum of all rigs as the last. Status: 1 when anything failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
# shellcheck source=tests/lab/parts.sh
. tests/lab/parts.sh
program=${FO_CONFORMANCE:-build/release/tests/conformance/fo-conformance}
rigs=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	rigs+=("$1")
	shift
done
[ $# -eq 0 ] || shift
[ ${#rigs[@]} -gt 0 ] || rigs=(bpf-tc bpf-xdp)
[ -x "$program" ] || { echo "bpf.sh: $program is not built: ninja -C build/release" >&2; exit 1; }
for rig in "${rigs[@]}"; do
	part "$rig" tests/conformance/shares.sh 4 "$program" --rig "$rig" "$@"
done
parts_end
