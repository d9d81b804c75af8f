#!/bin/sh
# The archive as a firmware gets it: archive.sh BUILD builds soft alone with -Os below BUILD and prints, as JSON lines,
# its text in KiB and how many symbols it wants that libc and the compiler's own support library do not have.
set -eu
here=$(dirname "$(readlink -f "$0")")
dir=$1/archive
mkdir -p "$1"
if [ ! -f "$dir/build.ninja" ]; then
	# every backend but soft is off
	others=$(sed -n "s/^option('\([a-z]*_backend\)', type: 'feature'.*/-D\1=disabled/p" "$here/../meson_options.txt")
	# shellcheck disable=SC2086 # one word an option
	CC=gcc meson setup "$dir" "$here/.." -Dbuildtype=minsize -Ddebug=false -Dtests=disabled -Dexamples=disabled \
		-Dbench=disabled -Ddocs=disabled $others >"$1/archive.log" 2>&1 || { tail -n 3 "$1/archive.log" >&2; exit 1; }
fi
ninja -C "$dir" >"$1/archive.log" 2>&1 || { tail -n 3 "$1/archive.log" >&2; exit 1; }
text=$(size -t "$dir/libflowoffload.a" | awk '$NF == "(TOTALS)" { print $1 }')
[ "${text:-0}" -gt 0 ] || { echo "archive: no figure from size" >&2; exit 1; }
printf '{"bench":"archive","case":"text-%s","n":0,"figure":%s,"unit":"KiB"}\n' "$(uname -m)" \
	"$(awk -v text="$text" 'BEGIN { printf "%.2f", text / 1024 }')"

if "$here/../tests/check/only_libc.sh" "$dir" >"$1/archive.log" 2>&1; then
	foreign=0
else
	foreign=$(grep -o "undefined reference to .*" "$1/archive.log" | sort -u | wc -l)
	[ "$foreign" -gt 0 ] || { tail -n 3 "$1/archive.log" >&2; exit 1; }
fi
printf '{"bench":"archive","case":"beyond-libc","n":0,"figure":%d,"unit":"symbols"}\n' "$foreign"
