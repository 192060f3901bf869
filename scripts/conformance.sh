#!/usr/bin/env bash
# The Python conformance runs against the real binary, on free ports of 127.0.0.1: the HTTP/2 cases, libnghttp2's traps, and
# hostile upstreams. `make test` has set everything up for it. The last line counts all cases.
#
#   EKIDEN_BINARY=file     the binary to test (default: the debug build)
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh
. scripts/loopback.sh

readonly binary=${EKIDEN_BINARY:-.build/debug/ekiden} python=.venv/bin/python
[ -x "$binary" ] || fail "there is no $binary" 'make test builds it'
passed=0
failed=0

# suite NAME SCRIPT ARGUMENT...: runs one of Tests/Conformance; what failed is printed, and its totals are added.
suite() {
    local name=$1 script=$2 log totals started_at=$SECONDS
    shift 2
    log=$server_logs/$script.out
    timeout 900 "$python" "Tests/Conformance/$script" "$@" >"$log" 2>&1 </dev/null
    totals=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [[ $totals =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        [ "${BASH_REMATCH[2]}" -eq 0 ] || grep -v '^ok ' "$log"
    else
        totals="ended without a count"
        failed=$((failed + 1))
        tail -n 40 "$log"
    fi
    say "$name: $totals ($((SECONDS - started_at)) s)"
}

# start_ekiden BACKEND: in front of that port, as `ekiden` and `mesh_port`.
start_ekiden() {
    mesh_port=$(free_ports 1)
    start_server ekiden "$mesh_port" \
        "$binary" run --listen "127.0.0.1:$mesh_port" --upstream "static://127.0.0.1:$1" --workers 1
    ekiden=$started
}

# What has been done to it may fail no other way than by the suite's own account.
stop_ekiden() {
    if ! kill -0 "$ekiden" 2>/dev/null; then
        failed=$((failed + 1))
        say 'Ekiden did not survive it:'
        tail -n 20 "$server_logs/ekiden.log"
    fi
    stop_server "$ekiden"
}

read -r files upstream <<<"$(free_ports 2)"

# The cases of the public HTTP/2 suite. Two of them want a response with a body, so a file server answers.
printf 'A page for the conformance cases that need a response with a body.\n' >"$server_logs/index.html"
start_server files "$files" nghttpd --no-tls --address=127.0.0.1 --htdocs="$server_logs" "$files"
start_ekiden "$files"
suite 'HTTP/2 conformance' conformance.py --port "$mesh_port" --strict
stop_ekiden

# Abuse from downstream. An upstream that counts what reaches it answers.
start_server upstream "$upstream" "$python" Tests/Conformance/upstream.py --port "$upstream" --endpoints 1
start_ekiden "$upstream"
suite "libnghttp2's traps" traps.py --port "$mesh_port" --pid "$ekiden"
stop_ekiden

# Upstreams that misbehave. The check starts both sides itself.
suite 'hostile upstreams' upstream_check.py \
    --command "$binary run --listen {listen} --upstream static://{upstreams} --workers 1"

say "$passed passed, $failed failed"
[ $failed -eq 0 ]
