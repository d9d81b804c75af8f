#!/bin/sh
# Gate: clang-format 14 agrees with every C file. The public headers are laid out by hand (their comments are
# tables) and exempt. `format.sh --fix FILE...` rewrites.
set -eu
cd "$(dirname "$0")/../.."

clang_format=$(command -v clang-format-14 || command -v clang-format) || {
	echo "format: no clang-format; apt-get install clang-format-14"
	exit 1
}
if [ "${1:-}" = --fix ]; then
	shift
	exec "$clang_format" -i "$@"
fi

files=$(find src tests examples bench docs -name '*.[ch]' 2>/dev/null | sort)
[ -n "$files" ] || { echo "format: no files found"; exit 1; }

bad=''
for file in $files; do
	if ! "$clang_format" "$file" | diff -u --label "$file" --label "$file (formatted)" "$file" -; then
		bad="$bad $file"
	fi
done
[ -z "$bad" ] || { echo "format: these differ; this mends them: tests/check/format.sh --fix$bad"; exit 1; }
echo "format: $(echo "$files" | wc -l) files"
