#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nft.sh - what backend nft costs, in the lab on Linux 6.12: nft.sh BUILD [FLOWS]. BUILD has nft-measure and fo-demo.
# Inside the lab nft_measure.c is for the control plane, nft_router.py for throughput. Where no lab can run, a note says so.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:?usage: nft.sh BUILD [FLOWS]}")
flows=${2:-10000}
# shellcheck source=bench/in_lab.sh
. "$here/in_lab.sh"

[ -x "$build/bench/nft-measure" ] || { note nft 'nft-measure is not built: libmnl is missing'; exit 0; }
in_lab nft 1 600 "$project/tests/nft/world.sh" "$build/bench/nft-measure" "$flows"
in_lab nft 1 600 "$here/nft_router.py" "$build"
