#!/bin/sh
# Gate: only_libc.sh BUILD [CC], a soft-only build. The whole archive links with libc and the compiler's own support
# library alone: no libatomic, no libm, no threads library. Everything in it must resolve, not only what one
# program calls.
set -eu
archive=$1/libflowoffload.a
cc=${2:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo 'int main(void) { return 0; }' >"$work/main.c"
"$cc" -o "$work/program" "$work/main.c" -Wl,--whole-archive "$archive" -Wl,--no-whole-archive \
	-nodefaultlibs -Wl,--start-group -lc -lgcc -lgcc_eh -Wl,--end-group -Wl,--no-undefined
echo "only_libc: $cc links all of $(ar t "$archive" | wc -l) objects"
