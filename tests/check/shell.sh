#!/bin/sh
# Gate: shellcheck warns of nothing in any shell script. (`local a= b=` is meant as it
# reads: SC1007; what a sourced file sets is not seen: SC2154.)
set -eu
cd "$(dirname "$0")/../.."
scripts=$(grep -rlE '^#!/bin/(ba)?sh|^# shellcheck shell=' dev .ci tests examples bench docs 2>/dev/null | sort)
[ -n "$scripts" ] || { echo "shell: no scripts found"; exit 1; }
# shellcheck disable=SC2086 # a list of names without blanks
shellcheck -x -P SCRIPTDIR -S warning -e SC1007,SC2154 $scripts
echo "shell: $(echo "$scripts" | wc -l) scripts"
