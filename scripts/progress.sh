# shellcheck shell=bash
# Sourced by the other scripts: how they speak. Quiet about what is quick, a line now and then about what is slow, and the
# log of what failed. VERBOSE=1 passes everything through.

# The log of a failed step, cut to what fits a screen or two.
readonly failure_lines=80
# Seconds after which a step is announced, and then reported on.
readonly announce_after=3 report_every=20

say() { printf '%s\n' "$*"; }

# fail MESSAGE...: one line per argument, then the end.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# step WHAT COMMAND...: runs the command without stdin. Prints nothing when it takes less than three seconds and succeeds.
step() {
    local what=$1 log ticker status=0 started=$SECONDS
    shift
    if [ "${VERBOSE:-}" = 1 ]; then
        say "$what: $*"
        "$@" </dev/null
        return
    fi
    log=$(mktemp)
    report_progress "$what" "$log" &
    ticker=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if [ $status -ne 0 ]; then
        say "$what: failed after $((SECONDS - started)) s (exit code $status)"
        show_failure "$log"
    elif [ $((SECONDS - started)) -ge $announce_after ]; then
        say "$what: done in $((SECONDS - started)) s"
    fi
    rm -f "$log"
    return $status
}

# Runs beside a step: says that it is under way, how long it has been, and the last thing it said.
report_progress() {
    local what=$1 log=$2 started=$SECONDS last
    pause $announce_after
    say "$what …"
    while pause $report_every; kill -0 $$ 2>/dev/null; do
        last=$(tail -n 1 "$log" 2>/dev/null | tr -d '\r')
        say "$what … $((SECONDS - started)) s${last:+ · ${last:0:90}}"
    done
}

# A sleep without a child process, which would outlive the ticker and hold the terminal open.
pause() { read -rt "$1" <> <(:) || true; }

# Errors first: in a log of a thousand compiler lines they are what the reader came for.
show_failure() {
    local errors
    # With the line below: it says what was found in place of what was expected.
    errors=$(grep -nE -A1 '^✘ |(^|[ :])([Ee]rror|[Ff]atal error|E):' "$1" | head -n 60 || true)
    if [ -n "$errors" ] && [ "$(wc -l <"$1")" -gt $failure_lines ]; then
        say '--- errors'
        say "$errors"
    fi
    say "--- last lines"
    tail -n $failure_lines "$1"
    say '---'
}
