#!/usr/bin/env bash
# Makes sure that there is a Swift toolchain new enough to build with, or says where one comes from.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

readonly wanted=6.2

if ! command -v swift >/dev/null 2>&1; then
    fail "no Swift toolchain in PATH; Ekiden is built with Swift $wanted or newer" \
        'install one (swift.org/install; on Debian and Ubuntu: swiftly) and open a new shell, or, if it is there already,' \
        'put it in PATH, for example: export PATH=/opt/swift/usr/bin:$PATH'
fi
version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -n 1)
[ -n "$version" ] || fail "cannot read the version from 'swift --version'" 'is the toolchain complete?'
if [ "$(printf '%s\n%s\n' "$wanted" "$version" | sort -V | head -n 1)" != "$wanted" ]; then
    fail "Swift $version is too old; Ekiden is built with Swift $wanted or newer" "in PATH: $(command -v swift)"
fi
