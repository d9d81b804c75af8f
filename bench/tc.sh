#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tc.sh - what backend tc costs on the simulated hardware of tests/hwsim, in the lab on Linux 6.12: tc.sh BUILD [FLOWS [PART...]].
# BUILD has tc-measure (tc_measure.c), whose parts these are. Where no lab can run, a note says so.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:?usage: tc.sh BUILD [FLOWS [PART...]]}")
shift
# shellcheck source=bench/in_lab.sh
. "$here/in_lab.sh"

[ -x "$build/bench/tc-measure" ] || { note tc 'tc-measure is not built: libmnl is missing'; exit 0; }
FO_HWSIM=$("$project/tests/hwsim/build.sh" 6.12 "$project/build/hwsim/6.12") ||
	{ note tc 'the simulated hardware cannot be built here'; exit 0; }
export FO_HWSIM FO_WORLD_HARDWARE=nic
in_lab tc 2 1500 "$project/tests/nft/world.sh" "$build/bench/tc-measure" "$@"
