#!/bin/sh
# Gate: footprint.sh BUILD, a soft-only build with -Os for x86-64. At most 96 KiB of text (code and constants, as
# size counts them) in the archive.
set -eu
limit=$((96 * 1024))
text=$(size -t "$1/libflowoffload.a" | awk '$NF == "(TOTALS)" { print $1 }')
[ "${text:-0}" -gt 0 ] || { echo "footprint: no figure from size"; exit 1; }
echo "footprint: $text bytes of text, limit $limit"
[ "$text" -le "$limit" ]
