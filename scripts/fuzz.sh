#!/usr/bin/env bash
# Fuzzes the DNS reader with libFuzzer and the address sanitizer, starting from hand-made messages.
#
#   scripts/fuzz.sh [SECONDS]   60 seconds unless said otherwise; SHORT=1: 20
#
# Prints executions per second and coverage. After a crash the exit code is not zero, and the last line names the input.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

seconds=${1:-60}
[ -n "${1:-}" ] || [ "${SHORT:-}" != 1 ] || seconds=20
# Longer inputs make slower runs; a thousand bytes hold everything that the reader tells apart.
readonly longest=1024

scripts/toolchain.sh
command -v python3 >/dev/null 2>&1 || fail 'python3 is missing; it writes the first inputs'
step 'building the fuzzer' swift build --package-path Fuzz -c release --product DNSFuzz

work=Fuzz/.build/dns
mkdir -p $work/corpus $work/crashes
python3 Fuzz/seeds.py $work/seeds

status=0
# What earlier runs found stays in the corpus; new findings go there too.
Fuzz/.build/release/DNSFuzz $work/corpus $work/seeds -max_total_time="$seconds" -max_len=$longest \
    -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix=$work/crashes/ \
    >$work/log 2>&1 || status=$?

if [ $status -ne 0 ]; then
    tail -n $failure_lines $work/log
    fail "the fuzzer found an input that must not happen (exit code $status)" \
        "$(sed -n 's/.*Test unit written to \(.*\)/input: \1/p' $work/log | tail -n 1)"
fi
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' $work/log)
rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' $work/log)
readonly line='.* cov: ([0-9]+) ft: ([0-9]+) corp: ([0-9]+).*'
coverage=$(sed -nE "s/$line/\1 edges, \2 features, \3 inputs/p" $work/log | tail -n 1)
say "fuzz: $executions executions, $rate per second, $coverage; no crash"
