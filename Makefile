# The one way to run anything. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup wheel demo test test-rust test-python check accept bench profile fuzz fuzz-long fuzz-planted mutants gen lock

PYTHON ?= python3
VENV := .venv/bin
# rustup's own directory last: a fresh shell may not have it in PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

setup:  ## installs what is needed (or prints the line), makes .venv, builds the extension into it
	@$(PYTHON) -m house.setup

wheel: setup  ## one wheel in dist/, which needs no Rust where it is installed
	@$(VENV)/python -m house.build

demo:  ## three servers, one dies, nobody notices; ≤ 6 minutes from nothing, no root needed
	@echo "The first time this builds Evener: 3 to 6 minutes on two cores. After that: half a minute."
	@$(PYTHON) -m house.setup --demo
	@$(VENV)/python examples/demo/demo.py

test:  ## every test
	@$(PYTHON) -m house.setup --tests
	@$(MAKE) --no-print-directory test-rust test-python

test-rust:
	cargo test --workspace --locked --quiet
	cargo test --manifest-path fuzz/Cargo.toml --locked --quiet --target-dir $${CARGO_TARGET_DIR:-target}

test-python:
	$(VENV)/python -m pytest -n 2 --dist loadgroup -m "not alone"
	$(VENV)/python -m pytest -m alone --durations=8 || [ $$? -eq 5 ]  # 5: nothing is marked so

check: setup  ## format, lint, types, layers, sizes, licences and the repository's other rules
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --all-targets --locked --quiet --target-dir $${CARGO_TARGET_DIR:-target} -- -D warnings
	$(VENV)/ruff format --check --quiet src bench house tests examples
	$(VENV)/ruff check --quiet src bench house tests examples
	$(VENV)/mypy --no-error-summary
	$(VENV)/python -m mypy.stubtest evener._engine
	$(VENV)/lint-imports --no-cache
	$(VENV)/python -m house.rules
	$(VENV)/python -m tests.mutants.run --check

accept: setup  ## each promise of the acceptance page with its figure and verdict
	@$(VENV)/python -m tests.accept

bench: setup  ## Evener beside nginx and HAProxy: OPTIONS="--quick --rows 64b-c64"
	@$(PYTHON) -m bench $(OPTIONS)
	@$(PYTHON) -m bench.picks $(filter --write,$(OPTIONS))

profile: setup  ## writes the profile of the request path anew, which builds are laid out by
	@$(VENV)/python -m bench.training

fuzz:  ## the fuzz targets for a minute each, guided by coverage
	@fuzz/run.sh

fuzz-long:  ## the fuzz targets for an hour each
	@SECONDS_EACH=3600 fuzz/run.sh

fuzz-planted: setup  ## planted bugs, each of which its fuzz target must find within a minute
	@$(VENV)/python -m tests.mutants.planted

mutants: setup  ## small edits, each of which must make a test fail
	@$(VENV)/python -m tests.mutants.run

gen: setup  ## writes the generated files anew
	@$(VENV)/python -m house.rules.generated

lock: setup  ## resolves requirements/dev.txt anew, with hashes
	$(VENV)/uv pip compile --quiet --generate-hashes --python-version 3.11 --upgrade \
	  --custom-compile-command "make lock" pyproject.toml requirements/dev.in -o requirements/dev.txt
