#!/bin/sh
# can_fail.sh FO_CONFORMANCE - the suite itself can fail: a case that passes although it should not, and a pattern
# that selects nothing, both end the program with an error. What it prints then is not a result of this test.
set -u
program=$1
passed=0
failed=0

# expect STATUS TEXT ARGS... - the program ends with this status and says this.
expect() {
	status=$1
	text=$2
	shift 2
	said=$("$program" "$@" 2>&1)
	got=$?
	if [ "$got" -eq "$status" ] && printf '%s\n' "$said" | grep -q -- "$text"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $* ended with $got, should be $status and say \"$text\":"
		printf '%s\n' "$said" | sed 's/^/  /'
	fi
}

expect 1 'should have failed' --case 'add/*' --expect-fail add/find_by_key
expect 2 'no/such' --case no/such

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
