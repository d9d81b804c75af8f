#!/bin/sh
# Gate: symbols.sh BUILD, a build with default_library=both. Every global symbol of the archive is fo_ or fo__; the
# shared library exports exactly its map, and the map is exactly the functions of the public headers.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

nm -g --defined-only "$build/libflowoffload.a" | awk 'NF == 3 { print $3 }' | sort >"$work/archive"
[ -s "$work/archive" ] || { echo "symbols: the archive defines nothing"; exit 1; }
if grep -v '^fo_' "$work/archive"; then
	echo "symbols: the above are global in the archive without the prefix fo_"
	bad=1
fi
if nm --defined-only "$build/libflowoffload.a" | awk '$2 ~ /[cC]/ { print $3 }' | grep .; then
	echo "symbols: the above are common symbols"
	bad=1
fi
if readelf -SW "$build/libflowoffload.a" | grep -E '\.(init_array|ctors|preinit_array)'; then
	echo "symbols: the archive has global constructors"
	bad=1
fi

nm -D --defined-only "$build/libflowoffload.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	sort >"$work/exported"
sed -n 's/^\t\(fo_[a-z0-9_]*\);$/\1/p' src/libflowoffload.map | sort >"$work/map"
tests/check/api_functions.py | sort >"$work/headers"
for pair in 'exported map' 'map headers'; do
	# shellcheck disable=SC2086 # two words on purpose
	set -- $pair
	if ! diff "$work/$1" "$work/$2" >"$work/diff"; then
		echo "symbols: $1 (<) and $2 (>) differ:"
		cat "$work/diff"
		bad=1
	fi
done
[ "$bad" -eq 0 ] || exit 1
echo "symbols: $(wc -l <"$work/map") exported, $(wc -l <"$work/archive") in the archive"
