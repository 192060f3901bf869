#!/usr/bin/env bash
# What a pick costs, by balancer and number of endpoints: the nested package Benchmarks.
set -euo pipefail
cd "$(dirname "$0")/../Benchmarks"
exec swift package --disable-sandbox benchmark --target Balancing --grouping metric --no-progress "$@"
