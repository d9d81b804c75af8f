#!/bin/bash
# `./dev lab`: run a command in a virtual machine with a real kernel, or a shell when there is none.
# kernels.sh fetches the kernel, initrd.sh makes what it boots from, vm.py starts the machine and watches it,
# guest_init.sh and guest_run.sh run inside. docs/LAB.md tells how to use it and what each exit status means.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

# shellcheck source=tests/lab/kernels.sh
. "$here/kernels.sh"
# shellcheck source=tests/lab/initrd.sh
. "$here/initrd.sh"

usage() {
	cat >&2 <<-TEXT
	usage: ./dev lab [OPTION...] [${lab_kernel_names[*]} | all] [COMMAND [ARGUMENT...]]
	  Without a kernel the first; without a command a shell (needs a terminal).
	  --deadline SECONDS  end the guest when the command takes longer (default 900)
	  --memory MIB        of the guest (default 1536)
	  --cpus N            of the guest (default 2)
	  --tty               run the command on this terminal
	  --headers           fetch the kernel's headers package and print its folder; boots nothing
	exit status: the command's; 124 deadline passed, 125 the kernel panicked or complained, 77 cannot run here
	TEXT
	exit 2
}

number() {
	[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "lab: $1 wants a number" >&2; usage; }
}

deadline=
memory=1536
cpus=2
tty=
headers=
while [ $# -gt 0 ]; do
	case $1 in
	--deadline) number "$@"; deadline=$2; shift 2 ;;
	--memory) number "$@"; memory=$2; shift 2 ;;
	--cpus) number "$@"; cpus=$2; shift 2 ;;
	--tty) tty=--tty; shift ;;
	--headers) headers=1; shift ;;
	-*) usage ;;
	*) break ;;
	esac
done

kernels=("${lab_kernel_names[0]}")
if [ "${1:-}" = all ]; then
	kernels=("${lab_kernel_names[@]}")
	shift
elif kernel_suite "${1:-}" >/dev/null; then
	kernels=("$1")
	shift
fi
if [ $# -eq 0 ] && [ -z "$headers" ]; then
	if [ ! -t 0 ] || [ ! -t 1 ] || [ ${#kernels[@]} -gt 1 ]; then
		echo "lab: a shell needs a terminal and one kernel" >&2
		usage
	fi
	tty=--tty
	deadline=${deadline:-86400}
	# The user's own start-up files are about another machine.
	export PS1="lab ${kernels[0]} \\w# "
	set -- bash --norc
fi
deadline=${deadline:-900}

[ "$(uname -m)" = x86_64 ] || cannot "the lab's kernels are for x86-64"
for tool in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio depmod:kmod xz:xz-utils \
	setpriv:util-linux flock:util-linux python3:python3 apt-get:apt dpkg-deb:dpkg; do
	PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || cannot "missing package ${tool#*:}"
done
PATH=$PATH:/usr/sbin:/sbin

if [ -n "$headers" ]; then
	for kernel in "${kernels[@]}"; do
		kernel_headers_dir "$kernel"
	done
	exit 0
fi

# one KERNEL COMMAND... - the machine takes this process over, so that a signal reaches it.
one() {
	local kernel=$1 dir initrd
	shift
	dir=$(kernel_dir "$kernel")
	initrd=$(kernel_initrd "$dir" "$here/guest_init.sh")
	# shellcheck disable=SC2086 # --tty or nothing
	exec python3 "$here/vm.py" --name "$kernel" --kernel "$dir" --initrd "$initrd" --deadline "$deadline" \
		--memory "$memory" --cpus "$cpus" $tty -- "$@"
}

[ ${#kernels[@]} -gt 1 ] || one "${kernels[0]}" "$@"

child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null || true; wait; exit 143' TERM INT HUP
worst=0
verdicts=()
for kernel in "${kernels[@]}"; do
	echo "lab: ---- kernel $kernel" >&2
	(one "$kernel" "$@") &
	child=$!
	status=0
	wait "$child" || status=$?
	child=
	verdicts+=("$kernel: $status")
	if [ "$worst" -eq 0 ] || { [ "$worst" -eq 77 ] && [ "$status" -ne 0 ]; }; then
		worst=$status
	fi
done
echo "lab: exit statuses: ${verdicts[*]}" >&2
exit "$worst"
