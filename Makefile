# The whole set-up needs Python ≥ 3.11 (with venv), make and a package index; no root, no Docker, no system package.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up test lint bench screenshots format messages lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(STAMP)  ## set up .venv from requirements.lock (seconds when nothing changed)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The hub needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "This Python cannot make virtual environments; install its venv module (on Debian: python3-venv), or name another: make PYTHON=…"; rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $(STAMP)

demo: install  ## run the main job against a simulated shop and CRM, then open the console
	@$(BIN)/hub demo $(ARGS)

up: install  ## run the hub on this machine
	@$(BIN)/hub up $(ARGS)

test: install  ## run the tests (uses PostgreSQL and Redis where they answer, needs neither)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: install  ## style, types, floors, known weaknesses of what we depend on
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/house/audit.py

bench: install .venv-bench/.installed  ## measure the pull and the push beside their peers (minutes)
	@$(BIN)/python benchmarks/run.py $(ARGS)

.venv-bench/.installed: requirements-bench.lock
	@$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

screenshots: install  ## take the pictures of the documentation anew (needs Chromium)
	@HUB_TEST_PICTURES=docs/pictures $(BIN)/python -m pytest -q tests/browser/test_pictures.py $(ARGS)

format: install  ## bring the code into shape
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

messages: install  ## add new texts to the catalogues, for translators
	@$(BIN)/python tests/house/extract.py

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 pyproject.toml --group dev -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --group bench -o requirements-bench.lock

clean:  ## remove what the set-up and the tools made (never var/)
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
