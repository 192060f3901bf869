#!/usr/bin/env bash
# Makes .venv hold what a requirements file lists: venv.sh FILE. Does nothing when it was done for the same content before.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

requirements=$1
stamp=.venv/.installed-$(basename "$requirements" .txt)

[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || {
    command -v python3 >/dev/null 2>&1 || fail 'no python3 in PATH; the conformance runs and the benchmark need it'
    rm -rf .venv
    step 'making the Python environment .venv' python3 -m venv .venv
}
cmp -s "$requirements" "$stamp" && exit 0
step "installing Python packages ($requirements)" \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
cp "$requirements" "$stamp"
