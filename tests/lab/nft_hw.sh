#!/bin/bash
# The backend nft in hardware mode on the simulated hardware, on the kernel that runs this:
#   ./dev lab --cpus 1 --deadline 7200 KERNEL tests/lab/nft_hw.sh [PART...] [-- ARGUMENT...]
# PART: live-nic and live-ppe, the backend's own cases on both kinds of hardware; nft-nic and nft-ppe, rigs of the conformance
# suite; by itself all. Arguments go to the suite (--case GLOB), or are names of the backend's own cases, or parts of them.
# Built before: build/release (or what BUILD says), and the module: tests/hwsim/build.sh KERNEL build/hwsim/KERNEL.
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
[ ${#chosen[@]} -gt 0 ] || chosen=(live-nic live-ppe nft-nic nft-ppe)
for file in "$build/tests/conformance/fo-conformance" "$build/tests/nft/nft-live" "$FO_HWSIM"; do
	[ -e "$file" ] || { echo "nft_hw.sh: $file is not built" >&2; exit 1; }
done

live() { # PERSONALITY CASE...
	export FO_WORLD_HARDWARE=$1
	shift
	tests/nft/world.sh "$build/tests/nft/nft-live" "$@"
}

suite() { # RIG ARGUMENT... - the switch is the rig's alone: no shares
	local status=0
	if [ -e /sys/module/fo_hwsim ]; then rmmod fo_hwsim; fi
	insmod "$FO_HWSIM" ports=8 || return 1
	"$build/tests/conformance/fo-conformance" --rig "$@" || status=$?
	rmmod fo_hwsim || return 1
	return "$status"
}

for name in "${chosen[@]}"; do
	case $name in
	live-*) part "$name" live "${name#live-}" "$@" ;;
	*) part "$name" suite "$name" "$@" ;;
	esac
done
parts_end
