# `make` alone lists what there is. `make lab` and `make test` do all their own set-up, in .venv.

# Python 3.11 or later that can make virtual environments: `make lab PYTHON=/path/to/python` to choose another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  if $$p -c 'import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
  command -v $$p; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help lab test lint format notebooks live wheel clean

help: ## list the commands
	@echo "make COMMAND, where COMMAND is one of:"
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 14
	@echo "Pass more with ARGS, for example: make test ARGS='tests/policy -x'"

# Two stamps, each remade when pyproject.toml changes. Both installs are editable: the code is always the one here.
$(VENV)/.runs: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later with the venv module is needed (Debian: apt install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tests: $(VENV)/.runs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

lab: $(VENV)/.runs ## start the sandbox and JupyterLab, with the first notebook open
	@$(BIN)/ramrole lab $(ARGS)

test: lint ## run every check and test, in a closed network and a hostile environment
	@$(BIN)/python tests/run $(ARGS)

lint: $(VENV)/.tests ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(VENV)/.tests ## put the code into the project's format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

notebooks: $(VENV)/.tests ## bring each notebook and its text form in line (the newer one wins)
	@$(BIN)/jupytext --sync notebooks/*.ipynb

live: $(VENV)/.tests ## run the live tests against the account of RAMROLE_PROFILE (creates and removes real things)
	@test -n "$$RAMROLE_PROFILE" || { echo "Set RAMROLE_PROFILE to a profile of your Alibaba Cloud credentials file." >&2; exit 1; }
	RAMROLE_LIVE=1 $(BIN)/python -m pytest -m live $(ARGS)

wheel: $(VENV)/.runs ## build the wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist

clean: ## remove what the commands above made here
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
