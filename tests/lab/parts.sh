# shellcheck shell=bash
# parts.sh - sourced by scripts that run, in a guest, several programs which count their cases themselves: part NAME COMMAND...
# for each, then parts_end, which prints `N passed, N failed, N skipped` of all and is the script's exit status.
parts_passed=0 parts_failed=0 parts_skipped=0

part() { # NAME COMMAND...
	local name=$1 status log line counts=(0 0 0) began=$SECONDS
	shift
	log=$(mktemp)
	echo "-- $name"
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	[ -z "$line" ] || read -r -a counts <<<"${line//[^0-9 ]/}"
	# This kernel has everything: whoever skips all of it is wrong, and so is who ends without having counted.
	if [ "${counts[1]}" -eq 0 ] && { [ "$status" -ne 0 ] || [ -z "$line" ]; }; then
		echo "FAIL $name: exit status $status"
		counts[1]=1
	fi
	parts_passed=$((parts_passed + counts[0]))
	parts_failed=$((parts_failed + counts[1]))
	parts_skipped=$((parts_skipped + counts[2]))
	echo "-- $name on $(uname -r): ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped, $((SECONDS - began)) s"
	rm -f "$log"
}

parts_end() {
	echo "$parts_passed passed, $parts_failed failed, $parts_skipped skipped"
	[ "$parts_failed" -eq 0 ] && [ "$parts_passed" -gt 0 ]
}
