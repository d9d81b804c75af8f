#!/bin/bash
# The first process of a guest once the machine's root file system is there: prepares what a booted system has, runs
# the command and reports to vm.py through virtio ports. /run/lab is the folder of this run on the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
release=$(uname -r)

port() { # NAME - the device of a virtio port
	local name
	for name in /sys/class/virtio-ports/*/name; do
		if [ "$(<"$name")" = "$1" ]; then
			basename "${name%/name}"
			return
		fi
	done
}

where() { # what runs and what it waits for, when vm.py asks because time is up
	local process
	ps axfo pid,ppid,stat,etime,wchan:24,args | grep -v '\]$'
	for process in /proc/[0-9]*; do
		[ -e "$process/exe" ] || continue
		echo "---- ${process#/proc/} $(tr '\0' ' ' <"$process/cmdline")"
		cat "$process/stack"
	done
}

mkdir -p /dev/pts /dev/shm /run/netns /run/lock
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ln -sfn /proc/self/fd /dev/fd
ln -sfn /proc/self/fd/0 /dev/stdin
ln -sfn /proc/self/fd/1 /dev/stdout
ln -sfn /proc/self/fd/2 /dev/stderr
mkdir -p /lib/modules
ln -sfn "$(</run/lab/kernel)/lib/modules/$release" "/lib/modules/$release"
version=${release%%-*}
version=${version%%+*}
hostname "lab-${version//./-}"
ip link set lo up

exec 3<>"/dev/$(port control)"
readarray -d '' -t environment </run/lab/environment
readarray -d '' -t command </run/lab/command
cd "$(</run/lab/directory)" || cd /
# What the kernel complains of from here on is the command's doing.
echo '<4>lab: the command begins' >/dev/kmsg
echo "begin $release" >&3

while read -r -u 3 word; do
	if [ "$word" = where ]; then
		where >/run/lab/where 2>&1
		echo "where" >&3
	fi
done &
relays=()
if [ -e /run/lab/tty ]; then
	read -r -a size </run/lab/tty
	stty -F /dev/hvc0 "${size[@]}"
	setsid -c -w env -i "${environment[@]}" "${command[@]}" </dev/hvc0 >/dev/hvc0 2>&1 3>&- &
else
	# A port can be opened once, a pipe behind /dev/stdout again and again.
	exec 4> >(exec cat >"/dev/$(port out)")
	relays+=($!)
	exec 5> >(exec cat >"/dev/$(port err)")
	relays+=($!)
	setsid -w env -i "${environment[@]}" "${command[@]}" </dev/null >&4 2>&5 3>&- 4>&- 5>&- &
fi
child=$!
wait "$child"
status=$?
exec 4>&- 5>&-

# Whatever the command left running would keep its output open for ever.
for process in /proc/[0-9]*; do
	id=${process#/proc/}
	case " 1 ${relays[*]} " in
	*" $id "*) ;;
	*) [ ! -e "$process/exe" ] || kill -KILL "$id" 2>/dev/null ;;
	esac
done
[ ${#relays[@]} -eq 0 ] || wait "${relays[@]}"
dmesg >/run/lab/dmesg
sync -f /run/lab/dmesg
echo "end $status" >&3
exec 3>&-
echo o >/proc/sysrq-trigger
# vm.py ends the machine; the first process of a system must not end before it.
while :; do wait; read -r -t 60 <>/dev/hvc0; done
