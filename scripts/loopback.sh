# shellcheck shell=bash
# Sourced after progress.sh by scripts that need servers on 127.0.0.1: free ports, starting, waiting, and an end for all of
# them whatever happens to the script.

servers=()
server_logs=$(mktemp -d -t ekiden-servers-XXXXXX)
trap stop_servers EXIT

# free_ports N: that many ports nobody listens on, all different, on one line.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

# start_server NAME PORT COMMAND...: returns when the port accepts; its output is shown when it never does. The process id is
# left in `started`.
start_server() {
    local name=$1 port=$2 log=$server_logs/$1.log deadline=$((SECONDS + ${READY_SECONDS:-15}))
    shift 2
    "$@" >"$log" 2>&1 </dev/null &
    started=$!
    servers+=("$started")
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        if ! kill -0 "$started" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            fail "$name does not listen on 127.0.0.1:$port" "$* said:" "$(tail -n 20 "$log")"
        fi
        pause 0.05
    done
}

# stop_server PID: politely, then not; a second signal tells Ekiden not to wait for streams.
stop_server() {
    local signal
    for signal in TERM TERM KILL; do
        kill -s $signal "$1" 2>/dev/null || break
        for _ in {1..20}; do
            kill -0 "$1" 2>/dev/null || break 2
            pause 0.05
        done
    done
    wait "$1" 2>/dev/null || true
}

stop_servers() {
    local pid
    for pid in "${servers[@]}"; do stop_server "$pid"; done
    rm -rf "$server_logs"
}
