#!/bin/sh
# run.sh DIR - install the library below DIR and build strangers' programs with what pkg-config says, nothing else.
#
# Three installations: static under a prefix of its own, static and shared into a staging directory as a distribution
# or firmware build does, and one without any backend. Each program is a case; the last line counts them.
set -eu
mkdir -p "$1/programs"
dir=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
passed=0
failed=0

# check NAME COMMAND... - one case.
check() {
	name=$1
	shift
	if "$@"; then
		echo "ok   $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name"
		failed=$((failed + 1))
	fi
}

# library NAME PREFIX STAGE [OPTION]... - configure afresh, compile and install; an empty STAGE installs to PREFIX.
library() {
	name=$1 prefix=$2 stage=$3
	shift 3
	rm -rf "$dir/$name-build" "${dir:?}/$name"
	meson setup "$dir/$name-build" "$source" --prefix "$prefix" --libdir lib -Dtests=disabled -Dexamples=disabled \
		-Dbench=disabled -Dnft_backend=disabled -Dtc_backend=disabled -Dbpf_backend=disabled "$@" >"$dir/$name.log" 2>&1 &&
		DESTDIR=$stage meson install -C "$dir/$name-build" >>"$dir/$name.log" 2>&1 && return 0
	cat "$dir/$name.log"
	return 1
}

# program OUTPUT COMPILER SOURCE FLAG... - compile and run it.
program() {
	output=$dir/programs/$1 compiler=$2 code=$here/$3
	shift 3
	# shellcheck disable=SC2086 # a compiler and its options
	$compiler -Wall -Wextra -Werror -o "$output" "$code" "$@" && "$output" </dev/null
}

# flags NAME STAGE OPTION... - what pkg-config says of one installation, seeing no other package of this machine.
flags() {
	directory=$1 stage=$2
	shift 2
	PKG_CONFIG_LIBDIR=$directory/lib/pkgconfig PKG_CONFIG_PATH='' PKG_CONFIG_SYSROOT_DIR=$stage \
		pkg-config "$@" flowoffload
}

installed() {
	(cd "$1" && find . -type f ! -path '*/man/*' -o -type l | sort | tr '\n' ' ')
}

static_files='./include/flowoffload-backend.h ./include/flowoffload.h ./lib/libflowoffload.a '
static_files="$static_files./lib/pkgconfig/flowoffload.pc "
shared_files='./include/flowoffload-backend.h ./include/flowoffload.h ./lib/libflowoffload.a '
shared_files="$shared_files./lib/libflowoffload.so ./lib/libflowoffload.so.0 ./lib/libflowoffload.so.0.1.0 "
shared_files="$shared_files./lib/pkgconfig/flowoffload.pc "

needs_soname() {
	readelf -d "$1" | grep NEEDED | grep -q 'libflowoffload\.so\.0\]'
}

static_cases() {
	check static_install_has_these_files_and_no_others test "$(installed "$dir/static")" = "$static_files"
	words=$(flags "$dir/static" '' --static --cflags --libs) || { check pkg_config_static false; return; }
	check c99_program_on_the_archive program c99 'gcc -std=c99 -pedantic' consumer.c $words
	check clang_program_on_the_archive program clang99 'clang -std=c99 -pedantic' consumer.c $words
	check cxx11_program_on_the_archive program cxx11 'g++ -std=c++11 -pedantic -x c++' consumer.c $words
	check fully_static_program program static 'gcc -std=c99 -static' consumer.c $words
	check other_headers_than_the_librarys program abi 'gcc -std=c11 -pedantic' abi_older.c $words
}

shared_cases() {
	root=$dir/both/usr
	check both_install_has_these_files_and_no_others test "$(installed "$root")" = "$shared_files"
	words=$(flags "$root" "$dir/both" --cflags --libs) || { check pkg_config_shared false; return; }
	check program_on_the_shared_library program shared 'gcc -std=c99' consumer.c $words "-Wl,-rpath,$root/lib"
	check program_needs_the_soname needs_soname "$dir/programs/shared"
	check other_headers_than_the_shared_librarys program shared_abi 'gcc -std=c11' abi_older.c $words \
		"-Wl,-rpath,$root/lib"
}

if library static "$dir/static" ''; then
	static_cases
else
	check static_install false
fi
if library both /usr "$dir/both" -Ddefault_library=both; then
	shared_cases
else
	check both_install false
fi
if library bare "$dir/bare" '' -Dsoft_backend=false; then
	words=$(flags "$dir/bare" '' --static --cflags --libs)
	# shellcheck disable=SC2086 # pkg-config's words
	check library_without_a_backend program nothing 'gcc -std=c99' nothing.c $words
else
	check library_without_a_backend_builds false
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
