#!/bin/bash
# guests.sh [--hwsim] KERNEL[,KERNEL...] COMMAND [ARGUMENT...] - the command in a guest of each of these kernels, side by side. Closes
# with `N passed, N failed, N skipped` of all of them; exit status 77, with the reason in the last line, when this machine cannot
# run any. --hwsim: the simulated hardware is built for them before (tests/hwsim/build.sh).
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
hwsim=
if [ "${1:-}" = --hwsim ]; then
	hwsim=yes
	shift
fi
[ $# -ge 2 ] || { echo "usage: guests.sh [--hwsim] KERNEL[,KERNEL...] COMMAND [ARGUMENT...]" >&2; exit 2; }
IFS=, read -r -a kernels <<<"$1"
shift
# Ends what hangs. On a machine that does nothing else the gates' guests are through in a fifth of it.
deadline=${LAB_DEADLINE:-2400}

if [ -n "$hwsim" ]; then
	for kernel in "${kernels[@]}"; do
		"$here/../hwsim/build.sh" "$kernel" "$here/../../build/hwsim/$kernel"
	done
fi

logs=$(mktemp -d)
children=()
cleanup() {
	local child
	for child in "${children[@]}"; do
		kill "$child" 2>/dev/null || true
	done
	wait
	rm -rf "$logs"
}
trap cleanup EXIT
trap 'exit 143' TERM INT HUP

# One processor each: two guests share a machine of two, and a kernel that patches its own code while an emulated processor runs
# it has died of that at boot.
for kernel in "${kernels[@]}"; do
	"$here/run.sh" --cpus 1 --deadline "$deadline" "$kernel" "$@" >"$logs/$kernel" 2>&1 &
	children+=($!)
done

passed=0
failed=0
skipped=0
cannot=0
reason=
for i in "${!kernels[@]}"; do
	status=0
	wait "${children[$i]}" || status=$?
	log=$logs/${kernels[$i]}
	echo "---- Linux ${kernels[$i]}"
	cat "$log"
	counts=(0 0 0)
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1) || true
	[ -z "$line" ] || read -r -a counts <<<"${line//[^0-9 ]/}"
	if [ "$status" -eq 77 ]; then
		cannot=$((cannot + 1))
		reason=$(tail -n 1 "$log")
		counts=(0 0 1)
	elif [ "$status" -ne 0 ] && [ "${counts[1]}" -eq 0 ]; then
		echo "the guest ended with status $status"
		counts[1]=1
	fi
	passed=$((passed + counts[0]))
	failed=$((failed + counts[1]))
	skipped=$((skipped + counts[2]))
	echo "Linux ${kernels[$i]}: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped"
done
children=()
if [ "$cannot" -eq ${#kernels[@]} ]; then
	echo "$reason"
	exit 77
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
