#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The suite in shares, side by side: shares.sh N FO_CONFORMANCE [ARGUMENT...]
# A rig in namespaces of its own mostly waits for the kernel to make and unmake devices. Prints their lines
# as they come, and the sum as the closing line. Status: 1 when a share failed.
set -u
n=$1 program=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pids=()
closing='^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$'
share() {
	"$program" "${@:2}" --share "$1/$n" 2>&1 | tee "$work/$1" | grep --line-buffered -Ev "$closing"
	return "${PIPESTATUS[0]}"
}
for ((i = 1; i <= n; i++)); do
	share "$i" "$@" &
	pids+=($!)
done
status=0 passed=0 failed=0 skipped=0
for ((i = 1; i <= n; i++)); do
	wait "${pids[i - 1]}" || status=1
	last=$(tail -n 1 "$work/$i")
	if [[ $last =~ $closing ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
	else
		echo "FAIL share $i of $n ended without its closing line"
		status=1 failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
