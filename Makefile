# Each target does all of its own set-up: `make demo` and `make test` work on a fresh machine
# that has Python 3.11 or newer. Say `make PYTHON=python3.13 test` to choose another one.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.polypool-installed

# Whole tests start and kill real processes and mostly wait for them: four files at a time, each from its top.
PARALLEL ?= -n 2
WHOLE    ?= -n 4 --dist loadfile
PYTEST   ?=

FAST_ROOMS  := $(wildcard tests/unit tests/conformance tests/rules)
WHOLE_ROOM  := $(wildcard tests/whole)
SOURCES     := $(wildcard src tests examples bench)

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format bench clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

venv: $(STAMP) ## create .venv with everything in it (quick when nothing changed)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "polypool needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; say make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,examples,dev]'
	@touch $@

demo: $(STAMP) ## run the scan example from end to end
	$(BIN)/python -m examples.scan.demo

test: $(STAMP) ## run all four rooms of tests: unit, conformance, rules, whole
	$(BIN)/python -m tests.engines
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST) $(FAST_ROOMS)
	$(if $(WHOLE_ROOM),$(BIN)/python -m pytest $(WHOLE) $(PYTEST) $(WHOLE_ROOM))

lint: $(STAMP) ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy src/polypool $(wildcard examples)
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(STAMP) ## measure this checkout on this machine
	$(BIN)/python -m bench

clean: ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	find src tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
