#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fo-demo serve and the verbs that ask it: test_serve.sh FO_DEMO
# The cases are in test_serve.py, which needs nothing but python3. Without it: skipped (77).
if ! command -v python3 >/dev/null; then
	echo "test_serve.sh: skipped, no python3 (Debian package python3)"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
fi
exec python3 -B "$(dirname "$0")/test_serve.py" "$@"
