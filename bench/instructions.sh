#!/usr/bin/env bash
# Instructions per request of Ekiden's release build, counted by valgrind: nearly the same on a busy machine as on an idle
# one, where time is not. Two runs of different length are subtracted, so that start-up does not count. It
# counts user space only; what the kernel does is in the benchmark's CPU time.
#
#   REQUESTS=2000          of the short run; the long one makes three times as many
#   CONNECTIONS=4 STREAMS=100
#   PROFILE=file           keeps the long run's profile, for callgrind_annotate
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

scripts/build.sh
scripts/packages.sh instructions
. scripts/loopback.sh

readonly requests=${REQUESTS:-2000} connections=${CONNECTIONS:-4} streams=${STREAMS:-100}
folder=$server_logs
printf 'application/grpc grpc\n' >"$folder/mime.types"
# A gRPC message of 100 bytes with its five of framing.
{ printf '\0\0\0\0\144'; head -c 100 /dev/zero; } >"$folder/body.grpc"

# Valgrind cannot read the debug information of a new compiler; for the names of functions symbols are enough.
strip --strip-debug -o "$folder/ekiden" .build/release/ekiden

read -r backend port <<<"$(free_ports 2)"
start_server backend "$backend" nghttpd --no-tls --address=127.0.0.1 --htdocs="$folder" --no-content-length \
    --mime-types-file="$folder/mime.types" --trailer='grpc-status: 0' "$backend"

# count N: instructions of a whole life with N requests, into `counted`.
count() {
    local log=$folder/proxy.log
    READY_SECONDS=120 start_server proxy "$port" valgrind --tool=callgrind \
        --callgrind-out-file="$folder/profile.$1" \
        "$folder/ekiden" run --listen "127.0.0.1:$port" --upstream "static://127.0.0.1:$backend" --workers 1
    step "$1 requests under valgrind" h2load -n "$1" -c "$connections" -m "$streams" -d "$folder/body.grpc" \
        -H 'content-type: application/grpc' -H 'te: trailers' "http://127.0.0.1:$port/body.grpc"
    # Valgrind writes its totals when the program ends; a second signal spares the drain.
    kill -s TERM "$started"
    pause 0.5
    kill -s TERM "$started" 2>/dev/null || true
    wait "$started" 2>/dev/null || true
    counted=$(sed -nE 's/.*Collected : ([0-9]+).*/\1/p' "$log")
    [ -n "$counted" ] || fail 'valgrind gave no count' "$(tail -n 20 "$log")"
}

count "$requests"
short=$counted
count $((requests * 3))
say "$(((counted - short) / (requests * 2))) instructions per request ($connections × $streams, 105 B each way, user space)"
[ -z "${PROFILE:-}" ] || cp "$folder/profile.$((requests * 3))" "$PROFILE"
