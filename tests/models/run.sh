#!/bin/bash
# The Spin models of the lock-free protocol (src/flowtable/*.pml): what they claim holds, and each seeded fault breaks it.
#
#   run.sh [--long] [--keep FOLDER] [MODEL...]    all models without one; the larger sizes too with --long
#
# A model says in its opening comment in which sizes it is run (`run: OPTIONS`, `long: OPTIONS`). Each size must be
# explored as a whole and break no assertion. A statement that no size reaches is a failure as well, but for those marked
# `unreached`: a claim about what never happens proves nothing. Then each FAULT_x and REACH_x of the model is defined in
# turn, and must be found in one of the sizes.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
export LC_ALL=C.UTF-8
passed=0
failed=0
long=
keep=

command -v spin >/dev/null || { echo "models: there is no spin (Debian package spin)"; exit 77; }
while [ $# -gt 0 ]; do
	case $1 in
	--long) long=1; shift ;;
	--keep) keep=$2; shift 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || set -- src/flowtable/*.pml
work=${keep:-$(mktemp -d)}
mkdir -p "$work"
work=$(readlink -f "$work")
[ -n "$keep" ] || trap 'rm -rf "$work"' EXIT

verdict() { # ok|FAIL TEXT
	echo "$1 $2"
	if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# explore LEVEL MODEL FOLDER OPTIONS... - compiled at this level of optimisation; leaves FOLDER/out; fails when it could not be run.
explore() {
	local level=$1 model=$2 folder=$3
	mkdir -p "$folder"
	cp "$model" "$folder/"
	echo "cd '$folder' && spin -t -p -g ${*:4} $(basename "$model")" >"$folder/replay"
	(
		cd "$folder" &&
			spin "${@:4}" -a "$(basename "$model")" &&
			gcc "$level" -w -DSAFETY -DMEMLIM=6000 -o pan pan.c &&
			./pan -m1000000
	) >"$folder/out" 2>&1
}

errors_of() {
	sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$1/out"
}

# Is the whole space explored? pan says so only by not saying otherwise.
is_whole() {
	[ -n "$(errors_of "$1")" ] && ! grep -qE 'max search depth too small|MEMLIM|out of memory|Search not completed' "$1/out"
}

# Lines with a statement that was not reached.
unreached_lines() {
	grep -v '"-end-"' "$1/out" | sed -n 's/^\t[^ ]*\.pml:\([0-9]*\), state [0-9]*, ".*/\1/p' | sort -u
}

# proof MODEL NAME - its sizes, and what none of them reaches.
proof() {
	local model=$1 name=$2 kind options folder states lines='' first=1 n=0
	while read -r kind options; do
		[ "$kind" = run: ] || [ -n "$long" ] || continue
		n=$((n + 1))
		folder=$work/$name/$n
		# shellcheck disable=SC2086 # a list of options
		explore -O2 "$model" "$folder" $options
		states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$folder/out")
		if is_whole "$folder" && [ "$(errors_of "$folder")" = 0 ]; then
			verdict ok "$name $options: holds in all $states states"
		else
			verdict FAIL "$name $options: $(grep -m 1 -E '^pan:1|error|Error|MEMLIM|depth' "$folder/out")"
			[ ! -e "$folder/$name.pml.trail" ] || (cd "$folder" && spin -t -p -g "$name.pml" | tail -n 120)
		fi
		if [ -n "$first" ]; then
			lines=$(unreached_lines "$folder")
			first=
		else
			lines=$(comm -12 <(echo "$lines") <(unreached_lines "$folder"))
		fi
	done < <(sed -n 's/^ \* \(\(run\|long\):.*\)/\1/p' "$model")
	[ "$n" -gt 0 ] || verdict FAIL "$name: says no size to be run in"
	lines=$(comm -23 <(echo "$lines") <(grep -n unreached "$model" | cut -d: -f1 | sort -u) | sed '/^$/d')
	if [ -z "$lines" ]; then
		verdict ok "$name: every statement is reached"
	else
		verdict FAIL "$name: never reached: lines $(sort -n <<<"$lines" | tr '\n' ' ')"
	fi
}

# seeded MODEL NAME SEED - found in one of the sizes? Prints a verdict.
seeded() {
	local model=$1 name=$2 seed=$3 options folder=$work/$2/$3
	while read -r options; do
		# shellcheck disable=SC2086 # a list of options
		explore -O0 "$model" "$folder" $options "-D$seed"
		if [ "$(errors_of "$folder")" = 1 ] && grep -qE '^pan:1: (assertion violated|invalid end state)' "$folder/out"; then
			echo "ok $name $seed: found ($(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$folder/out"))"
			return
		fi
	done < <(sed -n 's/^ \* run:\(.*\)/\1/p' "$model")
	echo "FAIL $name $seed: not found"
}

for model in "$@"; do
	name=$(basename "$model" .pml)
	proof "$model" "$name"
	seeds=$(grep -oE '\b(FAULT|REACH)_[A-Z_]+\b' "$model" | sort -u)
	[ -n "$seeds" ] || verdict FAIL "$name: no fault is seeded"
	for seed in $seeds; do
		seeded "$model" "$name" "$seed" >"$work/$name/$seed.verdict" &
		while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
			wait -n
		done
	done
	wait
	for seed in $seeds; do
		read -r result text <"$work/$name/$seed.verdict"
		verdict "$result" "$text"
	done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
