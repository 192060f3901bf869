#!/usr/bin/env bash
# System libraries, then the release binary.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

scripts/toolchain.sh
scripts/packages.sh build
step 'building ekiden (release)' swift build -c release --static-swift-stdlib --product ekiden
