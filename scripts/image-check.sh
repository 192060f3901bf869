#!/usr/bin/env bash
# Proves the Dockerfile's final stage without a container engine: lints the file, makes the base image's like (a minbase
# Debian in a temporary folder), replays the stage's instructions in it, and runs the binary there as an orchestrator would:
# as the image's user, on a read-only root, with a network of its own.
#
#   --build           builds the static binary first, as the build stage does (in .build/image; takes minutes)
#   --binary FILE     takes this binary (default: .build/image/release/ekiden)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

binary=.build/image/release/ekiden
build=
while [ $# -gt 0 ]; do
    case $1 in
        --build) build=1 ;;
        --binary) binary=${2:?--binary needs a file} && shift ;;
        *) fail "unknown option '$1'" 'there are: --build, --binary FILE' ;;
    esac
    shift
done

# The instructions of a stage (1 is the first), each on one line.
stage() {
    awk -v wanted="$1" '
        /^[[:space:]]*(#|$)/ { next }
        { line = line $0 }
        /\\$/ { sub(/\\$/, " ", line); next }
        line ~ /^FROM / { stage += 1 }
        stage == wanted { print line }
        { line = "" }' Dockerfile
}

# The argument of a stage's only instruction of a kind: value 2 USER.
value() { stage "$1" | sed -n "s/^$2 //p"; }

[ "$(id -u)" -eq 0 ] || fail 'a chroot needs root' 'run it as root: sudo make image-check'
scripts/packages.sh image
if scripts/venv.sh scripts/requirements-image.txt; then
    # Versions of Debian packages are left to the base image (DL3008): a pinned one is gone at the next security update.
    step 'linting the Dockerfile' .venv/bin/hadolint --ignore DL3008 Dockerfile
    say 'Dockerfile: lint clean'
else
    say 'hadolint cannot be installed here; the Dockerfile is not linted'
fi

if [ -n "$build" ]; then
    read -ra command <<<"$(stage 1 | sed -n 's/^RUN \(swift build .*\)/\1/p')"
    scripts/toolchain.sh
    scripts/packages.sh build
    step 'building ekiden (release, static Swift)' "${command[@]}" --scratch-path .build/image
fi
[ -x "$binary" ] || fail "there is no binary at $binary" 'make image-check ARGS=--build makes one'

root=$(mktemp -d -t ekiden-image-XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT

# Like `debian:bookworm-slim`: minbase without manuals, and an apt that leaves no caches behind. From the machine's own package
# sources where it runs the same Debian.
make_base() {
    local suite=$1 sources=()
    if [ "$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")" = "$suite" ]; then
        mapfile -t sources < <(compgen -G '/etc/apt/sources.list.d/debian.sources' || compgen -G /etc/apt/sources.list)
    fi
    mmdebstrap --quiet --variant=minbase --include=usr-is-merged \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --customize-hook='printf "%s\n" "$DOCKER_CLEAN" >"$1/etc/apt/apt.conf.d/docker-clean"' \
        --customize-hook='rm -f "$1"/var/cache/apt/*.bin' \
        "$suite" "$root" "${sources[@]}"
}
export DOCKER_CLEAN='Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };'
base=$(value 2 FROM)
suite=${base#debian:}
step "making the like of $base" make_base "${suite%-slim}"
size() { du -sk --apparent-size --one-file-system "$1" | awk '{ printf "%.1f MiB", $1 / 1024 }'; }
base_size=$(size "$root")

replay() {
    local keyword argument
    stage 2 | while read -r keyword argument; do
        case $keyword in
            RUN) chroot "$root" /bin/sh -ec "$argument" </dev/null || return ;;
            COPY) install -D "$binary" "$root${argument##* }" || return ;;
        esac
    done
}
step "replaying the final stage" replay

say "base (minbase, no manuals)  $base_size"
say "image                       $(size "$root")"
say "binary                      $(size "$binary")"
installed=$(value 2 ENTRYPOINT | tr -d '[]"')
say 'libraries that the binary loads:'
chroot "$root" ldd "$installed" | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
    say "  $(size "$root$(chroot "$root" realpath "$library")")  $library"
done
! chroot "$root" ldd "$installed" | grep 'not found' || fail 'the image lacks a library'

# In namespaces of its own, so that mounts, processes and ports are gone with the script.
step 'running the image' unshare --mount --pid --net --fork --kill-child \
    scripts/image-run.sh "$root" "$installed" "$(value 2 USER)" "$(value 2 STOPSIGNAL)"
say 'image: runs as its user on a read-only root, is healthy, stops with exit code 0'
