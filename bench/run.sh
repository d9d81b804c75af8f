#!/bin/bash
# Runs the benchmarks of one build: run.sh BUILD [NAME [OPTION...]] | run.sh BUILD targets BACKEND
# NAME is lookup, path or add; without it all run. Options are the program's own: --sizes 1000,10000000 --rounds 5
# --case TEXT. The lines are kept as BUILD/results/NAME.jsonl and shown as a table.
set -euo pipefail
build=$1
shift
here=$(dirname "$(readlink -f "$0")")
names=(lookup path add)

if [ "${1:-}" = targets ]; then
	echo "bench: no targets are set in this version"
	exit 0
fi
if [ $# -gt 0 ]; then
	[[ " ${names[*]} " == *" $1 "* ]] || {
		echo "bench: no benchmark named $1; there are: ${names[*]}" >&2
		exit 2
	}
	names=("$1")
	shift
fi

# One processor, so that no chunk is measured half here and half there.
pin=()
if command -v taskset >/dev/null && taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi

mkdir -p "$build/results"
for name in "${names[@]}"; do
	echo "bench: $name (figures of one run compare; ratios to flowoffload, above 1: flowoffload is faster)" >&2
	"${pin[@]}" "$build/bench/bench-$name" "$@" | tee "$build/results/$name.jsonl" |
		while IFS= read -r line; do [ ! -t 2 ] || printf '\r%.70s...' "$line" >&2; done
	[ ! -t 2 ] || printf '\r%74s\r' '' >&2
	"$here/table.py" "$build/results/$name.jsonl"
done
