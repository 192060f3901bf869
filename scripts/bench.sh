#!/usr/bin/env bash
# Ekiden beside its peers: builds the release binary, gets what the benchmark needs, and runs bench/bench.py.
#
#   SHORT=1    fewer requests and rounds: a look, not a figure
#   ARGS=…     more options for bench/bench.py, such as '--shapes 10x10 --markdown'
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

scripts/build.sh
scripts/packages.sh bench
scripts/venv.sh bench/requirements.txt || say 'Envoy cannot be installed here; the benchmark goes on without it'
read -ra more <<<"${ARGS:-}"
export BENCH_COMMAND="make bench${SHORT:+ SHORT=$SHORT}${ARGS:+ ARGS='$ARGS'}"
exec python3 bench/bench.py ${SHORT:+--short} "${more[@]}"
