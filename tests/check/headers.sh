#!/bin/sh
# Gate: each public header compiles alone, as C99 -pedantic, C11 and C++11, with gcc and clang, every warning an error.
# The program uses FO_INIT and the 64-byte packet, so that the macros are compiled too.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

for header in flowoffload.h flowoffload-backend.h flowoffload-bpf.h flowoffload-tc.h; do
	cat >"$work/use.c" <<-END
		#include <$header>
		int use(void);
		int use(void)
		{
			struct fo_flow flow;
			char packet_is_64_bytes[sizeof(struct fo_packet) == 64 ? 1 : -1];

			FO_INIT(&flow);
			packet_is_64_bytes[0] = 0;
			return flow.size == sizeof(flow) && packet_is_64_bytes[0] == 0 && FO_EV_IS_TERMINAL(16);
		}
	END
	cp "$work/use.c" "$work/use.cc"
	for compiler in 'gcc -std=c99' 'clang -std=c99' 'gcc -std=c11' 'g++ -std=c++11' 'clang++ -std=c++11' \
			'g++ -std=c++17'; do
		case $compiler in
		*++*) source=$work/use.cc ;;
		*) source=$work/use.c ;;
		esac
		# shellcheck disable=SC2086 # compiler and its standard
		if ! $compiler -pedantic -Wall -Wextra -Wshadow -Werror -Iinclude -c "$source" -o "$work/use.o"; then
			echo "headers: $header fails with $compiler"
			exit 1
		fi
		count=$((count + 1))
	done
done
echo "headers: $count compilations"
