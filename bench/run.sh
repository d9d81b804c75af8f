#!/bin/bash
# Runs the benchmarks of one build: run.sh BUILD [NAME [OPTION...]]
#                                   run.sh BUILD targets BACKEND [--only PROGRAM [SIZE] | --judge]
#                                   run.sh BUILD plot [SIZE,SIZE...] | publish [--kept]
# NAME is a program of bench/ (lookup, path, ...); without it all run. Options are the program's own: --sizes
# 1000,10000000 --rounds 5 --case TEXT. The lines are kept as BUILD/results/NAME.jsonl and shown as a table.
# targets: targets.py. plot: nanoseconds over table size (plot.py), drawn and written into docs/ (report.py). publish: the
# targets of every backend and the plots, written into docs/; --kept takes the results of the last runs.
set -euo pipefail
build=$1
shift
here=$(dirname "$(readlink -f "$0")")
mapfile -t names < <(find "$build/bench" -maxdepth 1 -type f -executable -name 'bench-*' -printf '%f\n' |
	sed 's/^bench-//' | sort)
[ ${#names[@]} -gt 0 ] || { echo "bench: no program in $build/bench" >&2; exit 1; }

publish() {
	local set backend short=0
	for set in "$here"/targets/*.json; do
		backend=$(basename "$set" .json)
		[ "${1:-}" = --kept ] || "$here/targets.py" "$build" "$backend" || short=1
	done
	[ "${1:-}" = --kept ] || "$here/plot.py" "$build" || short=1
	"$here/report.py" "$build" || short=1
	return "$short"
}

case ${1:-} in
targets) exec "$here/targets.py" "$build" "${@:2}" ;;
plot)
	"$here/plot.py" "$build" "${@:2}"
	exec "$here/report.py" "$build"
	;;
publish)
	publish "${@:2}"
	exit
	;;
esac
if [ $# -gt 0 ]; then
	[[ " ${names[*]} " == *" $1 "* ]] || {
		echo "bench: no benchmark named $1; there are: ${names[*]}, and targets, plot, publish" >&2
		exit 2
	}
	names=("$1")
	shift
fi

# One processor, so that no chunk is measured half here and half there; the programs with two threads choose theirs.
pin=()
if command -v taskset >/dev/null && taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi

mkdir -p "$build/results"
for name in "${names[@]}"; do
	echo "bench: $name (figures of one run compare; ratios to flowoffload, above 1: flowoffload is faster)" >&2
	run=("${pin[@]}")
	[[ $name != workers && $name != churn && $name != control ]] || run=()
	"${run[@]}" "$build/bench/bench-$name" "$@" | tee "$build/results/$name.jsonl" |
		while IFS= read -r line; do [ ! -t 2 ] || printf '\r%.70s...' "$line" >&2; done
	[ ! -t 2 ] || printf '\r%74s\r' '' >&2
	"$here/table.py" "$build/results/$name.jsonl"
done
