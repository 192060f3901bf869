#!/usr/bin/env bash
# Runs the data plane under seeds: callers, a scripted network and tasks that fail, all in simulated time.
#
#   scripts/simulate.sh [SEEDS] [FIRST]   10000 seeds from 1 on unless said otherwise
#
# A seed that breaks a rule is named with the line that runs it again and shows what happened.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

export EKIDEN_SIM_SEEDS=${1:-10000} EKIDEN_SIM_FIRST=${2:-1}

scripts/toolchain.sh
step 'building the tests (debug)' swift build --product ekidenPackageTests

output=$(mktemp)
trap 'rm -f "$output"' EXIT
simulate() {
    swift test --skip-build --disable-xctest --filter DataPlaneTests.SimulationTests 2>&1 | tee "$output"
}
step "simulating $EKIDEN_SIM_SEEDS seeds" simulate
say "$(grep '^simulation: ' "$output")"
