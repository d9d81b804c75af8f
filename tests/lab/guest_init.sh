#!/bin/busybox sh
# The first process of a guest, in its initial RAM disk: mounts the machine's root file system read-only, a RAM disk
# over it, and hands over to guest_run.sh there. Packed by initrd.sh; the command line is vm.py's.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
	$b insmod "/modules/$module"
done </order
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
$b mount -t tmpfs -o mode=755 upper /upper
$b mkdir -p /upper/new /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/new,workdir=/upper/work root /new
for mount in proc sys dev; do
	$b mount -o move "/$mount" "/new/$mount"
done
$b mount -t tmpfs -o mode=755 run /new/run
$b mkdir -p /new/run/lab
$b mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=512000 run /new/run/lab
# switch_root, not chroot: the kernel must find modprobe in the new root when it wants a module.
exec $b switch_root /new /bin/bash /run/lab/guest_run.sh
