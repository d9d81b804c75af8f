#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The backend tc on the simulated switch, on the kernel that runs this: ./dev lab KERNEL tests/lab/tc.sh [PART...] [-- ARGUMENT...]
# PART: tc and tc-ppe, rigs of the conformance suite, and live, real packets: by itself these; or tc-threads, as tc with two threads
# that wait for the driver. Arguments go to fo-conformance
# (--case GLOB). Built before: build/release (or what BUILD says), and the module: tests/hwsim/build.sh KERNEL build/hwsim/KERNEL.
# Prints the lines of all, and their sum as the last. Status: 1 when anything failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
build=${BUILD:-build/release}
release=$(uname -r)
kernel=${release%%.*}
rest=${release#*.}
module=build/hwsim/$kernel.${rest%%.*}/fo_hwsim.ko
parts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	parts+=("$1")
	shift
done
[ $# -eq 0 ] || shift
[ ${#parts[@]} -gt 0 ] || parts=(tc tc-ppe live)
for file in "$build/tests/conformance/fo-conformance" "$build/examples/fo-demo/fo-demo" "$module"; do
	[ -e "$file" ] || { echo "tc.sh: $file is not built" >&2; exit 1; }
done

suite() { # RIG ARGUMENT... - the switch is the rig's alone: no shares
	local status
	insmod "$module" ports=8 || return 1
	"$build/tests/conformance/fo-conformance" --rig "$@"
	status=$?
	rmmod fo_hwsim || return 1
	return "$status"
}

status=0 passed=0 failed=0 skipped=0
for part in "${parts[@]}"; do
	if [ "$part" = live ]; then
		lines=$(tests/tc/live.py "$module" "$build" 2>&1 | tee /dev/stderr) || status=1
	else
		lines=$(suite "$part" "$@" 2>&1 | tee /dev/stderr) || status=1
	fi
	closing=${lines##*$'\n'}
	if [[ $closing =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		echo "$part on $release: $closing"
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
	else
		echo "FAIL $part ended without its closing line"
		status=1 failed=$((failed + 1))
	fi
done
[ "$failed" -eq 0 ] || status=1
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
