# shellcheck shell=bash
# Steps of a run of ./dev: each has a log in $logs, a line with its counts and seconds, and a place in the summary.
# Sourced by ./dev, which defines build() and $logs. The counts come from count.py.

step_names=()
step_results=()
step_seconds=()
step_counts=()
total_passed=0
total_failed=0
total_skipped=0

# What runs beside the rest: its process, its name, and where its output and its steps are.
beside_pid=
beside_name=
beside_log=
beside_steps=

# record NAME SECONDS PASSED FAILED SKIPPED LOG [REASON] - one finished step.
record() {
	local verdict=ok
	[ "$3" -gt 0 ] || verdict=skip
	[ "$4" -eq 0 ] || verdict=FAIL
	step_names+=("$1")
	step_seconds+=("$2")
	step_counts+=("$3 $4 $5")
	step_results+=("$(printf '%-4s %6d passed %4d failed %4d skipped' "$verdict" "$3" "$4" "$5")")
	total_passed=$((total_passed + $3))
	total_failed=$((total_failed + $4))
	total_skipped=$((total_skipped + $5))
	[ "$6" != taken ] || return 0
	printf '%-26s %s %5d s%s\n' "$1" "${step_results[-1]}" "$2" "${7:+  ($7)}"
	if [ "$verdict" = FAIL ]; then
		echo "---- $6, first complaints and end:"
		grep -nE -m 6 'error:|ERROR|undefined reference|^FAIL' "$6" | cut -c1-300 || true
		echo "..."
		tail -n 30 "$6" | cut -c1-300
		echo "----"
	fi
}

# beside NAME FUNCTION... - the steps of FUNCTION in the background, until joined; one such at a time.
beside() {
	beside_name=$1
	beside_log=$logs/beside-$1.log
	beside_steps=$logs/beside-$1.steps
	mkdir -p "$logs"
	rm -f "$beside_steps"
	set -m # a process group of its own, to be ended with the rest
	(
		step_names=() step_results=() step_seconds=() step_counts=()
		"${@:2}"
		for i in "${!step_names[@]}"; do
			printf '%s\t%s\t%s\n' "${step_names[$i]}" "${step_seconds[$i]}" "${step_counts[$i]}"
		done >"$beside_steps.part"
		mv "$beside_steps.part" "$beside_steps"
	) >"$beside_log" 2>&1 </dev/null &
	beside_pid=$!
	set +m
	trap 'kill -- "-$beside_pid" 2>/dev/null' EXIT
}

# joined - waits for what runs beside, shows what it printed and takes its steps over; steps that never ended are a failure.
joined() {
	local name seconds counts began=$SECONDS
	wait "$beside_pid" || true
	trap - EXIT
	cat "$beside_log"
	if [ ! -e "$beside_steps" ]; then
		record "$beside_name" "$((SECONDS - began))" 0 1 0 "$beside_log"
		return 0
	fi
	while IFS=$'\t' read -r name seconds counts; do
		# shellcheck disable=SC2086 # three words
		record "$name" "$seconds" $counts taken
	done <"$beside_steps"
}

# logged NAME COMMAND... - run it with its output in the log; sets $log, $seconds and $status.
logged() {
	local began=$SECONDS
	# shellcheck disable=SC2154 # logs is ./dev's
	log=$logs/$(tr -c 'a-zA-Z0-9\n' - <<<"$1").log
	mkdir -p "$logs"
	status=0
	"${@:2}" >"$log" 2>&1 </dev/null || status=$?
	seconds=$((SECONDS - began))
}

# gate NAME COMMAND... - counts as one: 0 passed, 77 skipped (the last line of its output says why), else failed.
gate() {
	local log seconds status
	logged "$@"
	case $status in
	0) record "$1" "$seconds" 1 0 0 "$log" ;;
	77) record "$1" "$seconds" 0 0 1 "$log" "$(tail -n 1 "$log")" ;;
	*) record "$1" "$seconds" 0 1 0 "$log" ;;
	esac
}

# counted NAME COMMAND... - a program that counts its cases itself in a closing line, or none (77: why not is its last line).
counted() {
	local log seconds status counts reason=
	logged "$@"
	read -r -a counts <<<"$(tests/check/count.py text "$log" "$status")"
	[ "$status" -ne 77 ] || reason=$(tail -n 1 "$log")
	record "$1" "$seconds" "${counts[@]}" "$log" "$reason"
}

# built NAME - a build of ./dev as a step: silent when it works, one failure when not.
built() {
	local log seconds status
	logged "build $1" build "$1"
	[ "$status" -ne 0 ] || return 0
	record "build $1" "$seconds" 0 1 0 "$log"
	return 1
}

# suites BUILD SUITE... - one step for each meson suite; a suite without a test is a failure.
suites() {
	suites_under env "$@"
}

# suites_under COMMAND BUILD SUITE... - the same with the tests run by COMMAND.
suites_under() {
	local under=$1 name=$2 suite log seconds status counts
	for suite in "${@:3}"; do
		rm -f "build/$name/meson-logs/$suite.json"
		# The time limits only end what hangs: sanitizers and emulators on a busy machine are slow.
		logged "$name $suite" "$under" meson test -C "build/$name" --no-rebuild --suite "$suite" \
			--logbase "$suite" --timeout-multiplier 10 --print-errorlogs
		read -r -a counts <<<"$(tests/check/count.py meson "build/$name/meson-logs/$suite.json" "$status")"
		record "$name: $suite" "$seconds" "${counts[@]}" "$log"
	done
}

# fixed_addresses COMMAND... - TSan's shadow memory does not get along with every layout of the address space.
fixed_addresses() {
	setarch -R "$@"
}

# summary - the table again, the closing line, and the exit status.
summary() {
	local i
	if [ ${#step_names[@]} -gt 1 ]; then
		echo
		for i in "${!step_names[@]}"; do
			printf '%-26s %s %5d s\n' "${step_names[$i]}" "${step_results[$i]}" "${step_seconds[$i]}"
		done
		printf '%-26s %44s %5d s\n' total '' "$SECONDS"
		echo "logs: $logs"
	fi
	echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
	[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
}
