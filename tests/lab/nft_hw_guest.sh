#!/bin/bash
# nft_hw_guest.sh BUILD [ARGUMENT...] - run by nft_hw.sh in a guest: for both kinds of hardware the backend's own cases (nft-live), and
# the conformance suite.
set -u
build=$1
shift
here=$(dirname "$(readlink -f "$0")")
passed=0
failed=0
skipped=0
log=$(mktemp)
for part in live-nic live-ppe rig-nic rig-ppe; do
	counts=(0 1 0)
	echo "-- $part"
	case $part in
	live-*) FO_WORLD_HARDWARE=${part#live-} "$here/../nft/world.sh" "$build/tests/nft/nft-live" ;;
	*) insmod "$FO_HWSIM" ports=8 && "$build/tests/conformance/fo-conformance" --rig "nft-${part#rig-}" "$@"; rmmod fo_hwsim ;;
	esac 2>&1 | tee "$log"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	[ -z "$line" ] || read -r -a counts <<<"${line//[^0-9 ]/}"
	passed=$((passed + counts[0]))
	failed=$((failed + counts[1]))
	skipped=$((skipped + counts[2]))
done
rm -f "$log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
