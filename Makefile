# `make` lists what there is. Everything a target needs beyond this clone is installed by tools/setup.sh.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test bench faults outages build clean conformance-source conformance-live conformance-sql test-source

export PATH := $(PATH):$(HOME)/.cargo/bin
THM := $(or $(CARGO_TARGET_DIR),target)/release/thm

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo ARGS='--rate 1000 --duration 60s --ports auto' passes options on; 'thm dev --help' lists them"

demo: ## Install what is missing, build, and run the whole pipeline on this machine
	@tools/setup.sh demo
	@$(MAKE) --no-print-directory build
	@exec $(THM) dev $(ARGS)

build: ## Build the release binary
	@tools/step.sh 'building the release binary' cargo build --release --locked -p thm --bin thm

test: ## Install what is missing, check format and lints, run every test
	@tools/setup.sh test
	@tools/step.sh 'checking format' cargo fmt --all --check
	@tools/step.sh 'checking lints' cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	@echo '== running the tests'
	@cargo test --workspace --locked

# A profile wants symbols, which the release binary goes without.
bench: ## Measure what docs/benchmarks.md shows, on services of its own (ARGS='--quick', '--only stream', '--profile')
	@tools/setup.sh demo
ifneq (,$(findstring --profile,$(ARGS)))
	@tools/step.sh 'building with symbols' cargo rustc --release --locked -p thm --bin thm -- -C strip=none
else
	@$(MAKE) --no-print-directory build
endif
	@exec $(THM) bench $(ARGS)

faults: ## Random changes and random faults for 3 minutes a seed, then verify (ARGS='--seeds 20 --seed 1 --short')
	@tools/setup.sh demo
	@$(MAKE) --no-print-directory build
	@exec $(THM) faults $(ARGS)

outages: ## Each service away for 5 minutes at 2,000 rows/s, then verify (ARGS='--only redis-dead,http-frozen --down 60s')
	@tools/setup.sh demo
	@$(MAKE) --no-print-directory build
	@exec $(THM) outages $(ARGS)

conformance-source: ## Replay recorded cases of the real Debezium (CASES=DIR, PG=18, ARGS='--only types --lanes 4')
	@programs=$$(tools/postgres_programs.sh $(PG)) && \
		cargo test --quiet --locked -p thm-connect --test conformance_source -- --postgres "$$programs" $(ARGS) $(abspath $(CASES))

conformance-live: ## Run cases on the real Debezium beside ours and compare (CASES=DIR, PG=18, KEEP=1); skips where it cannot be had
	@PG='$(PG)' KEEP='$(KEEP)' tools/conformance_live.sh $(abspath $(CASES))

test-source: ## The source's own tests on another PostgreSQL (PG=18, ARGS='types')
	@programs=$$(tools/postgres_programs.sh $(PG)) && \
		THM_TEST_POSTGRES="$$programs" cargo test --quiet --locked -p thm-source --test it -- $(ARGS)

conformance-sql: ## Hold recorded Flink SQL answers against ours (CASES=DIR, VERBOSE='topic or part of a statement')
	@cargo test --quiet --locked -p thm-sql --test conformance -- $(if $(CASES),--cases '$(abspath $(CASES))') $(if $(VERBOSE),--verbose '$(VERBOSE)')

conformance-sql-live: ## Ask a real Flink the statements of a folder, and compare (CASES=DIR, TOPIC=name; needs the reference's 'flink.sh install')
	@cargo test --quiet --locked -p thm-sql --test conformance -- --live '$(abspath $(or $(CASES),crates/thm-sql/tests/conformance/live))' $(if $(VERBOSE),--verbose '$(VERBOSE)')

clean: ## Remove build products and the demo's data
	@cargo clean
	@rm -rf .thm
