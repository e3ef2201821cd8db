# make setup | demo | test | lock. Each target sets up .venv from the pinned lock by itself.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench bench-full lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/installed ## .venv from the pinned lock

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## make data, train, export, score a dirty CSV file
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh demo.sh

lint: setup ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint ## lint, types and all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 # two workers on two cores: more threads would only wait for each other

bench: setup ## speed and memory against DuckDB, pandas and XGBoost at a tenth of the size, about 2 minutes
	$(BIN)/python -m benchmarks tenth

bench-full: setup ## the same with 1M applications and 40M events; needs 16 GB of memory for the baselines
	$(BIN)/python -m benchmarks full

lock: ## resolve requirements.txt anew (needs uv)
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.txt

clean: ## remove what make made
	rm -rf .venv demo
