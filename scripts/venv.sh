#!/usr/bin/env bash
# Makes .venv hold what a requirements file lists: venv.sh FILE. Does nothing when it was done for the same content before.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

requirements=$1
stamp=.venv/.installed-${requirements//\//-}

# An environment whose interpreter is gone (an upgrade, a moved checkout) is made anew.
if ! .venv/bin/python -c '' 2>/dev/null; then
    command -v python3 >/dev/null 2>&1 || fail 'no python3 in PATH; the conformance runs and the benchmark need it'
    rm -rf .venv
    step 'making the Python environment .venv' python3 -m venv .venv
fi
# The file, and those that it includes.
content() {
    local included
    cat "$1"
    sed -n 's/^-r //p' "$1" | while read -r included; do content "$(dirname "$1")/$included"; done
}
wanted=$(content "$requirements")
[ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ] && exit 0
step "installing Python packages ($requirements)" \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
printf '%s\n' "$wanted" >"$stamp"
