# All a developer or CI does, from a clean clone with nothing but python3.11, cc and make.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PORT ?= 8000
# Test processes. Each starts its own PostgreSQL.
JOBS ?= 2
# Passed on by `make test`, `make soak` and `make bench`.
ARGS ?=

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHECKED := $(wildcard src tests bench)
# A source distribution would be built with tools that no lock names, so only wheels are taken.
PIP_LOCKED := $(BIN)/pip --disable-pip-version-check --quiet install --require-hashes --only-binary=:all:
PIP_SELF := $(BIN)/pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help serve test lint format docs bench soak lock clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

serve: .venv/runtime ## Set everything up and run the server with demo data on SQLite (PORT=8000)
	exec $(BIN)/couponry serve --demo --port $(PORT)

test: lint .venv/browser ## Set everything up, lint, and run the whole suite on both databases (ARGS= goes to pytest)
	$(BIN)/pytest -n $(JOBS) $(ARGS)

lint: .venv/dev ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports --no-logo

format: .venv/dev ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: .venv/dev ## Measure (ARGS= goes to the benchmark)
	$(BIN)/python -m bench $(ARGS)

docs: .venv/dev ## Write docs/CODES.md again from the table of status codes
	$(BIN)/python -m tests.house.codes_doc

soak: .venv/dev .venv/browser ## Run the tests that take long
	$(BIN)/pytest -m soak $(ARGS)

lock: .venv/dev ## Resolve the dependencies again (ARGS=--upgrade takes the newest)
	$(UV_COMPILE) --group build --output-file requirements.lock $(ARGS)
	$(UV_COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock $(ARGS)

clean: ## Remove the virtual environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist

# Stamps: a second call finds them newer than the locks and does nothing.

.venv/made:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Couponry needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/runtime: .venv/made requirements.lock pyproject.toml
	$(PIP_LOCKED) --requirement requirements.lock
	$(PIP_SELF)
	touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	$(PIP_LOCKED) --requirement requirements-dev.lock
	touch $@

# The path of a Chromium.
.venv/browser: .venv/dev tests/browser/install-chromium
	tests/browser/install-chromium > $@.part
	mv $@.part $@
