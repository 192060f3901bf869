#!/usr/bin/env bash
# From a clean clone to the demo: system libraries, release build, `ekiden demo`.
#
#   ARGS=…     options for `ekiden demo`
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh
read -ra more <<<"${ARGS:-}"
exec .build/release/ekiden demo "${more[@]}"
