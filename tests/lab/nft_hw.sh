#!/bin/bash
# nft_hw.sh BUILD [KERNEL] [-- ARGUMENT...] - in a guest of the lab, the backend nft in hardware mode, on both kinds of the simulated
# hardware of tests/hwsim: its own cases, and the conformance suite through the rigs nft-nic and nft-ppe. Arguments are
# fo-conformance's, as --case 'delete/*'. Closes with `N passed, N failed, N skipped` of all.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:?which build}")
shift
kernel=6.12
if [ $# -gt 0 ] && [ "$1" != -- ]; then
	kernel=$1
	shift
fi
[ $# -eq 0 ] || shift
FO_HWSIM=$("$here/../hwsim/build.sh" "$kernel" "$here/../../build/hwsim/$kernel")
export FO_HWSIM
exec "$here/run.sh" --cpus 1 --deadline "${NFT_HW_DEADLINE:-7200}" "$kernel" "$here/nft_hw_guest.sh" "$build" "$@"
