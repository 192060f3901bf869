#!/usr/bin/env bash
# Part of image-check.sh, run in new mount, process and network namespaces: starts the binary in the replayed image like an
# orchestrator, waits until it is healthy, and stops it.  image-run.sh ROOT BINARY USER SIGNAL
set -euo pipefail
root=$1 binary=$2 user=$3 signal=$4

mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
ip link set lo up
in_image() { exec chroot --userspec="$user" "$root" "$@"; }

(in_image "$binary" version)

in_image "$binary" run --listen 127.0.0.1:15001 --upstream static://127.0.0.1:50051 --admin 127.0.0.1:9901 &
running=$!
healthy=
for _ in {1..100}; do
    (in_image "$binary" healthcheck) && healthy=1 && break
    kill -0 $running 2>/dev/null || break
    sleep 0.1
done
[ -n "$healthy" ] || { echo 'error: not healthy within 10 s'; exit 1; }

kill -s "${signal#SIG}" $running
status=0
timeout 60 tail --pid=$running -f /dev/null || { echo "error: still running 60 s after $signal"; exit 1; }
wait $running || status=$?
[ $status -eq 0 ] || { echo "error: exit code $status after $signal"; exit 1; }
