#!/usr/bin/env bash
# Installs the system packages that a task needs and that are missing: packages.sh build|test|bench|image...
#
# Each line below is `package: a command that succeeds when its content is there`. So a machine that has the content from
# elsewhere is left alone, and one without apt can be told exactly what it lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

readonly build='
git: command -v git
pkg-config: command -v pkg-config
libnghttp2-dev: pkg-config --exists libnghttp2
libc-ares-dev: pkg-config --exists libcares
'
readonly test="$build"'
curl: command -v curl
iproute2: command -v ip
dnsmasq-base: command -v dnsmasq || [ -x /usr/sbin/dnsmasq ]
bind9-dnsutils: command -v dig
nghttp2-client: command -v h2load
nghttp2-server: command -v nghttpd
ruby-grpc: ruby_grpc_interop
python3-venv: python3 -c "import venv, ensurepip"
'
readonly bench="$build"'
nghttp2-client: command -v h2load
nghttp2-server: command -v nghttpd
nghttp2-proxy: command -v nghttpx
python3-venv: python3 -c "import venv, ensurepip"
'
readonly image='
mmdebstrap: command -v mmdebstrap
python3-venv: python3 -c "import venv, ensurepip"
'
readonly instructions='
valgrind: command -v valgrind
nghttp2-client: command -v h2load
nghttp2-server: command -v nghttpd
'

# The official interop client and server, which the package carries as sources.
ruby_grpc_interop() {
    compgen -G '/usr/lib/*/rubygems-integration/*/gems/grpc-*/src/ruby/pb/test/client.rb'
}

# The packages of the named sets whose content is missing, each once.
missing_packages() {
    local set package probe
    for set in "$@"; do
        case $set in
            build | test | bench | image | instructions) ;;
            *) fail "unknown package set '$set'" 'one of: build test bench image instructions' ;;
        esac
        while IFS=: read -r package probe; do
            [ -n "$package" ] || continue
            eval "$probe" >/dev/null 2>&1 </dev/null || printf '%s\n' "$package"
        done <<<"${!set}"
    done | sort -u
}

install_packages() {
    local -a apt=("$@")
    step 'reading the package lists' "${apt[@]}" update -q
    step "installing ${packages[*]}" "${apt[@]}" install -q -y --no-install-recommends "${packages[@]}"
}

missing=$(missing_packages "$@")
[ -n "$missing" ] || exit 0
mapfile -t packages <<<"$missing"

command -v apt-get >/dev/null 2>&1 || fail "missing on this machine: ${packages[*]}" \
    'there is no apt-get here; please install what these Debian packages hold by other means and try again'

# The lock is waited for: a new machine is often still busy with its own updates.
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
if [ "$(id -u)" -eq 0 ]; then
    install_packages "${apt[@]}"
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
    install_packages sudo -n "${apt[@]}"
else
    fail "missing on this machine: ${packages[*]}" \
        'installing them needs root, and there is no sudo here that works without asking; please run:' \
        "  apt-get update && apt-get install -y ${packages[*]}"
fi

still=$(missing_packages "$@")
[ -z "$still" ] || fail "apt installed them, yet their content is not found: ${still//$'\n'/ }" \
    'an older copy earlier in PATH or PKG_CONFIG_PATH may hide it'
