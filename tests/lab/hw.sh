#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Hardware offload on the simulated switch (tests/hwsim), on the kernel that runs this:
#   ./dev lab --cpus 1 --deadline 9000 KERNEL tests/lab/hw.sh [PART...] [-- ARGUMENT...]
# PART: rigs of the conformance suite, tc, tc-ppe, tc-threads, nft-nic, nft-ppe; tc-live, cases of backend tc (tests/tc/live.py);
# nft-live-nic, nft-live-ppe, cases of backend nft in hardware mode on both kinds of hardware; programs, real programs over both
# backends (tests/tc/hw_programs.py). By itself all. Arguments go to each of them: --case GLOB; to nft-live-*, names of cases.
# Built before: build/release (or what BUILD says in the guest; the lab passes no variables on), and the module: tests/hwsim/build.sh KERNEL build/hwsim/KERNEL.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
# shellcheck source=tests/lab/parts.sh
. tests/lab/parts.sh
build=${BUILD:-build/release}
version=$(uname -r | grep -oE '^[0-9]+\.[0-9]+')
FO_HWSIM=$PWD/build/hwsim/$version/fo_hwsim.ko
export FO_HWSIM
chosen=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	chosen+=("$1")
	shift
done
[ $# -eq 0 ] || shift
[ ${#chosen[@]} -gt 0 ] ||
	chosen=(tc tc-ppe tc-threads nft-nic nft-ppe tc-live nft-live-nic nft-live-ppe programs)
for file in "$build/tests/conformance/fo-conformance" "$build/tests/nft/nft-live" "$build/examples/fo-demo/fo-demo" "$FO_HWSIM"; do
	[ -e "$file" ] || { echo "hw.sh: $file is not built" >&2; exit 1; }
done

suite() { # RIG ARGUMENT... - the switch is the rig's alone: no shares
	local status=0
	insmod "$FO_HWSIM" ports=8 || return 1
	"$build/tests/conformance/fo-conformance" --rig "$@" || status=$?
	rmmod fo_hwsim || return 1
	return "$status"
}

for name in "${chosen[@]}"; do
	# Each part loads it with ports of its own; the last case of nft-live-* leaves it as a crash does.
	if [ -e /sys/module/fo_hwsim ]; then rmmod fo_hwsim; fi
	case $name in
	tc-live) part "$name" tests/tc/live.py "$FO_HWSIM" "$build" "$@" ;;
	nft-live-*) FO_WORLD_HARDWARE=${name#nft-live-} part "$name" tests/nft/world.sh "$build/tests/nft/nft-live" "$@" ;;
	programs) part "$name" tests/tc/hw_programs.py "$FO_HWSIM" "$build" "$@" ;;
	*) part "$name" suite "$name" "$@" ;;
	esac
done
parts_end
