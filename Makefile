# `make demo` and `make test` need nothing but Python 3.11-3.13: each makes .venv, installs what it needs and runs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
JOBS ?= 2
# One thread for each test process: with JOBS processes more would only contend.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help demo test thorough examples validate bench lint format docs clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

# A stamp per set of extras; stale when pyproject.toml changes or the environment is made anew.
.venv/.installed: pyproject.toml scripts/setup
	@scripts/setup
	@touch $@
.venv/.installed-%: pyproject.toml scripts/setup
	@scripts/setup $*
	@touch $@ .venv/.installed

demo: .venv/.installed ## Plan, ask simulated judges over HTTP, fit, and write demo/report.html
	@$(BIN)/psymetric demo --out demo

test: .venv/.installed-dev ## All tests but the thorough and slow ones and the examples
	@$(ONE_THREAD) $(BIN)/pytest -n $(JOBS) --dist worksteal -m "not slow and not thorough and not example and not network"

thorough: .venv/.installed-dev ## What `make test` checks on some models, on all of them
	@$(ONE_THREAD) $(BIN)/pytest -n $(JOBS) --dist worksteal -m "thorough and not slow and not network"

examples: .venv/.installed-dev ## The scripts of examples/, the code of the pages, and PyMC beside NUTS
	@$(ONE_THREAD) $(BIN)/pytest -n $(JOBS) --dist worksteal -m example

validate: .venv/.installed-dev ## Recovery, coverage, calibration, oracles; rewrites docs/validation/
	@$(ONE_THREAD) PSYMETRIC_VALIDATION=docs/validation \
		$(BIN)/pytest -n $(JOBS) --dist worksteal -m "slow and not network" --timeout 3600
	@$(ONE_THREAD) PSYMETRIC_VALIDATION=docs/validation $(BIN)/pytest tests/oracle

bench: .venv/.installed-bench ## Speed beside the named peers, on identical data, with the same optimum checked
	@$(BIN)/python -m benchmarks

lint: .venv/.installed-dev ## ruff, pyright and the import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: .venv/.installed-dev ## Format, and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: .venv/.installed-dev ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean: ## Remove caches and outputs, keep .venv
	@rm -rf build dist site demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis .jax_cache .pytensor_cache
	@find psymetric tests -name __pycache__ -type d -prune -exec rm -rf {} +
