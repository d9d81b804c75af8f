# shellcheck shell=bash
# The kernels of the lab: fetched as Debian packages through apt, unpacked into a cache folder, never installed.
# Sourced by run.sh. Apt's own configuration says where the mirror is and whom to trust; the suites that it does not
# list are read with a private copy of apt's state, so nothing of the machine's apt changes.

# What each name stands for: the suite whose linux-image-amd64 it is, and the series that has to come out.
# shellcheck disable=SC2034 # read by run.sh
lab_kernel_names=(6.1 6.12 7.3)

kernel_suite() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	7.3) echo trixie-backports ;;
	*) return 1 ;;
	esac
}

# Where unpacked kernels live; shared by all checkouts of one user.
kernel_cache() {
	echo "${LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/libflowoffload/lab}"
}

# cannot WHY... - this machine cannot run the lab; not a failure of what was to be tested.
cannot() {
	echo "lab: cannot run here: $*" >&2
	exit 77
}

# kernel_dir NAME - prints the folder of the unpacked kernel (boot/, lib/modules/), which is fetched when missing.
kernel_dir() {
	local cache dir
	cache=$(kernel_cache)
	dir=$cache/kernel-$1
	mkdir -p "$cache" || cannot "the cache folder $cache cannot be made"
	(
		# Two guests at once may want the same kernel.
		flock 9
		[ -e "$dir/complete" ] || kernel_fetch "$1" "$dir"
	) 9>"$dir.lock" || exit $?
	echo "$dir"
}

# kernel_headers_dir NAME - the same for what modules are built against (usr/src/, usr/lib/linux-kbuild-*).
kernel_headers_dir() {
	local dir
	dir=$(kernel_dir "$1") || exit $?
	(
		flock 9
		[ -e "$dir/headers/complete" ] || headers_fetch "$1" "$dir"
	) 9>"$dir.lock" || exit $?
	echo "$dir/headers"
}

kernel_fetch() {
	local name=$1 dir=$2 work=$2.new packages package version image
	echo "lab: fetching kernel $name" >&2
	rm -rf "$work" "$dir"
	mkdir -p "$work/debs" "$work/apt"
	private_apt "$work/apt" "$(kernel_suite "$name")"
	packages=$(kernel_packages "$work/apt" linux-image-amd64 'linux-(image|base|binary|modules)-[0-9]')
	package=$(head -n 1 <<<"$packages")
	[[ $package == linux-*-"$name".* ]] || cannot "this mirror's $(kernel_suite "$name") has" \
		"${package:-no linux-image-amd64}, not a kernel $name"
	# shellcheck disable=SC2086 # one word a package
	download "$work" $packages
	unpack "$work/debs" "$work/tree"
	merge_lib "$work/tree"
	version=$(ls "$work/tree/lib/modules")
	image=$(find "$work/tree/boot" "$work/tree/lib/modules/$version" -maxdepth 1 -name 'vmlinuz*' 2>/dev/null)
	[ -n "$image" ] || cannot "no kernel image in $packages"
	ln "$image" "$work/tree/vmlinuz"
	depmod -b "$work/tree" "$version" || cannot "depmod of $version failed"
	mv "$work/tree" "$dir"
	mv "$work/apt" "$dir/apt"
	echo "$version" >"$dir/complete"
	rm -rf "$work"
}

headers_fetch() {
	local name=$1 dir=$2 work=$2/headers.new version packages
	version=$(cat "$dir/complete")
	echo "lab: fetching the headers of $version" >&2
	rm -rf "$work" "$dir/headers"
	mkdir -p "$work/debs"
	packages=$(kernel_packages "$dir/apt" "linux-headers-$version" 'linux-(headers|kbuild)-[0-9]')
	[ -n "$packages" ] || cannot "the mirror no longer has linux-headers-$version; remove $dir for a newer kernel"
	cp -r "$dir/apt" "$work/apt"
	# shellcheck disable=SC2086 # one word a package
	download "$work" $packages
	unpack "$work/debs" "$work/tree"
	merge_lib "$work/tree"
	echo "$version" >"$work/tree/complete"
	mv "$work/tree" "$dir/headers"
	rm -rf "$work"
}

# private_apt DIR SUITE - an apt state of its own below DIR that knows this suite (and its security updates).
private_apt() {
	local dir=$1 suite=$2 main security keys=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r "$keys" ] || cannot "missing package debian-archive-keyring"
	main=$(mirror_of main)
	[ -n "$main" ] || cannot "apt is not configured with a Debian mirror"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/state"
	: >"$dir/status"
	echo "deb [signed-by=$keys] $main $suite main" >"$dir/sources.list"
	security=$(mirror_of security)
	if [ "$suite" = bookworm ] && [ -n "$security" ]; then
		echo "deb [signed-by=$keys] $security bookworm-security main" >>"$dir/sources.list"
	fi
	lab_apt get "$dir" -qq update >&2 || cannot "apt-get update for $suite failed (no network?)"
}

# mirror_of main|security - the address that apt is configured with.
mirror_of() {
	# shellcheck disable=SC2016 # apt-get's variables
	apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk -v wanted="$1" '$1 == "Debian" && $3 == "main" && (wanted == "security") == ($2 ~ /security/) \
			{ print $4; exit }'
}

# lab_apt get|cache DIR ARGUMENT... - apt with that private state; the machine's proxies and credentials stay in use.
lab_apt() {
	local tool=apt-$1 dir=$2
	shift 2
	"$tool" -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$dir/state" -o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o Acquire::Languages=none -o APT::Sandbox::User= \
		-o APT::Update::Post-Invoke=/bin/true -o APT::Architecture=amd64 "$@"
}

# kernel_packages APT ROOT PATTERN - the packages matching PATTERN that ROOT depends on, itself first if it matches.
kernel_packages() {
	lab_apt cache "$1" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
		--no-enhances "$2" 2>/dev/null | grep -oE '[a-z][a-z0-9.+-]+' | grep -E "^$3" | awk '!seen[$0]++'
}

# download WORK PACKAGE... - into WORK/debs.
download() {
	local work=$1
	shift
	(cd "$work/debs" && lab_apt get "$work/apt" -qq download "$@" >&2) ||
		cannot "apt-get could not download $*"
}

unpack() {
	local package
	for package in "$1"/*.deb; do
		dpkg-deb -x "$package" "$2" || cannot "$package cannot be unpacked"
	done
}

# merge_lib ROOT - newer packages put their files below usr/lib; the lab looks below lib.
merge_lib() {
	if [ -d "$1/usr/lib/modules" ] && [ ! -e "$1/lib" ]; then
		ln -s usr/lib "$1/lib"
	fi
}
