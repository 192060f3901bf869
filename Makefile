# The one door to everything; `make help` lists it. The work is done by scripts/, which install what is missing first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build test lint format bench microbench fuzz simulate instructions image-check clean
export SHORT ARGS FILTER VERBOSE

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  VERBOSE=1 shows the output of every step; ARGS="…" is passed on by run, bench and image-check.'

run: ## Builds Ekiden and starts the demo: three gRPC tasks behind it, a load, tasks that come and go.
	@scripts/run.sh

build: ## Builds the release binary, .build/release/ekiden.
	@scripts/build.sh

test: ## Sets up and runs the whole test suite. FILTER=regex: only the Swift tests that match.
	@scripts/test.sh

lint: ## Formatting and slips, strictly.
	@scripts/lint.sh

format: ## Formats the Swift sources in place.
	@scripts/toolchain.sh
	@swift format --in-place --parallel --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Sources/DNSFuzz \
		Benchmarks/Package.swift Benchmarks/Benchmarks

bench: ## CPU time per request beside nghttpx and Envoy. SHORT=1: a quick look.
	@scripts/bench.sh

microbench: ## Nanoseconds per pick, by balancer and number of endpoints.
	@scripts/microbench.sh

fuzz: ## Fuzzes the DNS reader for a minute. SHORT=1: 20 seconds; ARGS=SECONDS: that long.
	@scripts/fuzz.sh $(ARGS)

simulate: ## Runs the data plane under 10,000 seeds of faults. ARGS='SEEDS [FIRST]': so many, from one on.
	@scripts/simulate.sh $(ARGS)

instructions: ## Instructions per request of Ekiden alone: repeatable where time is noisy.
	@bench/instructions.sh

image-check: ## Replays the Dockerfile's final stage without a container engine. ARGS=--build: with a static build first.
	@scripts/image-check.sh $(ARGS)

clean: ## Removes what was built and the Python environment.
	@rm -rf .build Fuzz/.build Benchmarks/.build .venv bench/results
	@find bench Tests -name __pycache__ -prune -exec rm -rf {} +
