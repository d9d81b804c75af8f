#!/bin/bash
# test.sh [KERNEL] [CASE...] - build the simulated hardware for a kernel of the lab and run its own tests there. CASE is a
# pattern of selftest.py's names, as 'ppe/*'. Exit status as of the lab (docs/LAB.md).
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
kernel=${1:-6.12}
[ $# -eq 0 ] || shift
cd "$here/../.."
module=$(tests/hwsim/build.sh "$kernel" "build/hwsim/$kernel")
exec tests/lab/run.sh --deadline 1800 "$kernel" tests/hwsim/selftest.py "$module" "$@"
