# shellcheck shell=bash
# What a guest boots from: busybox, the modules that reach the machine's root file system over 9p, and guest_init.sh.
# Sourced by run.sh.

initrd_modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay)

# kernel_initrd KERNEL INIT - prints the file for the kernel unpacked in KERNEL; made anew when INIT has changed.
kernel_initrd() {
	local dir=$1 init=$2 sum
	sum=$(sha256sum <"$init" | cut -c1-16)
	(
		flock 9
		[ -e "$dir/initrd-$sum" ] || initrd_make "$dir" "$init" "$dir/initrd-$sum"
	) 9>"$dir.lock" || exit $?
	echo "$dir/initrd-$sum"
}

initrd_make() {
	local dir=$1 init=$2 out=$3 root=$3.root version module path file
	version=$(cat "$dir/complete")
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,host,upper,new,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	install -m 755 "$init" "$root/init"
	for module in "${initrd_modules[@]}"; do
		modprobe -d "$dir" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++' >"$root/paths"
	while read -r path; do
		file=$(basename "$path" .xz)
		case $path in
		*.xz) xz -dc "$path" >"$root/modules/$file" ;;
		*) cp "$path" "$root/modules/$file" ;;
		esac
		echo "$file" >>"$root/order"
	done <"$root/paths"
	rm "$root/paths"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$out.new"
	rm -rf "$root"
	mv "$out.new" "$out"
}
