#!/usr/bin/env bash
# The whole test suite. Every part runs even when an earlier one failed; the last line counts them all.
#
#   FILTER=regex   only the Swift tests that match (and no conformance run)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

passed=0
failed=0

# count LINE: adds a part's `N passed, N failed`; a part that does not say so failed as a whole.
count() {
    if [[ $1 =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
    else
        failed=$((failed + 1))
    fi
}

# The Swift tests' totals as `N passed, N failed`. Lines of tests are counted and not the summary read, since after a crash
# there is no summary.
swift_totals() {
    awk '/^[^ ]+ Test run with / { next }
         /^[^ ]+ Test .* passed after / { good += 1 }
         /^[^ ]+ Test .* failed after / { bad += 1 }
         END { printf "%d passed, %d failed\n", good, bad }' "$1"
}

# swift_tests WHAT OPTION...: runs the Swift tests that the options choose, and counts them.
swift_tests() {
    local what=$1 totals status=0
    shift
    : >"$output"
    step "running $what" run_swift_tests "$@" || status=$?
    totals=$(swift_totals "$output")
    # What tests of a load measured.
    grep -hE '^(rolling deploy|kill -9): ' "$output" || true
    say "$what: $totals"
    count "$totals"
    # A filter that matches nothing passes, and tests nothing.
    [[ $totals != '0 passed, '* ]] || failed=$((failed + 1))
    # A crash ends the run without a failed test of its own.
    [ $status -eq 0 ] || [[ $totals =~ [1-9][0-9]*\ failed ]] || failed=$((failed + 1))
}

run_swift_tests() {
    swift test --skip-build --disable-xctest "$@" 2>&1 | tee "$output"
}

scripts/toolchain.sh
scripts/packages.sh build test
scripts/venv.sh scripts/requirements.txt

# The products by name: --build-tests would also build the protobuf compiler, ten minutes that no test needs.
step 'building ekiden (debug)' swift build --product ekiden
step 'building the tests (debug)' swift build --product ekidenPackageTests

output=$(mktemp)
trap 'rm -f "$output"' EXIT
if [ -n "${FILTER:-}" ]; then
    swift_tests "the Swift tests of '$FILTER'" --filter "$FILTER"
else
    # One after the other: what only calculates would leave no time to what waits for sockets and timers.
    swift_tests 'the unit tests' --skip '^(DataPlane|EndToEnd)Tests\.'
    swift_tests "the data plane's tests" --filter '^DataPlaneTests\.'
    swift_tests 'the end-to-end tests' --filter '^EndToEndTests\.'

    status=0
    scripts/conformance.sh | tee "$output" || status=$?
    totals=$(tail -n 1 "$output")
    count "$totals"
    [ $status -eq 0 ] || [[ $totals =~ [1-9][0-9]*\ failed ]] || failed=$((failed + 1))

    if scripts/simulate.sh; then count '1 passed, 0 failed'; else count '0 passed, 1 failed'; fi

    # The short form of `make fuzz`.
    if SHORT=1 scripts/fuzz.sh; then count '1 passed, 0 failed'; else count '0 passed, 1 failed'; fi
fi

say "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
