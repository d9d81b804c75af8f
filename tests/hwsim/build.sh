#!/bin/bash
# build.sh KERNEL OUT - build the module fo_hwsim for a kernel of the lab into the folder OUT, and print its path. What was
# built before from the same sources, headers and compiler is not built again.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
[ $# -eq 2 ] || { echo "usage: build.sh KERNEL OUT" >&2; exit 2; }

headers=$("$here/../lab/run.sh" --headers "$1")
version=$(cat "$headers/complete")
tree=$headers/usr/src/linux-headers-$version
common=$(find "$headers/usr/src" -maxdepth 1 -name '*-common')
# The packages name the compiler with the machine's full name, which another make variable may not change.
compiler=$(sed -nE 's/^CONFIG_CC_VERSION_TEXT="?([^ "]+).*/\1/p' "$tree/include/config/auto.conf")
command -v "$compiler" >/dev/null || { echo "hwsim: cannot build here: missing compiler $compiler" >&2; exit 77; }
mkdir -p "$2"
out=$(readlink -f "$2")
module=$out/fo_hwsim.ko
stamp="$version $("$compiler" --version | head -n 1) $(cat "$here"/*.[ch] "$here/Kbuild" | sha256sum)"

exec 9>"$out/lock"
flock 9
if [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$out/work"
	mkdir "$out/work"
	cp "$here"/*.[ch] "$here/Kbuild" "$out/work"
	# The headers are where they were unpacked, not where their Makefile looks for them; and types of the kernel itself
	# (BTF) are not needed by a module that no BPF program looks into.
	if ! make -C "$tree" -f "$common/Makefile" M="$out/work" CONFIG_DEBUG_INFO_BTF_MODULES= \
		KBUILD_MODPOST_WARN= W= KCFLAGS=-Werror modules >"$out/log" 2>&1; then
		cat "$out/log" >&2
		exit 1
	fi
	# What a debugger would want makes it forty times as large, and slow to load in a virtual machine.
	strip --strip-debug -o "$module" "$out/work/fo_hwsim.ko"
	rm -rf "$out/work"
	echo "$stamp" >"$out/stamp"
fi
echo "$module"
