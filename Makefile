# Two commands matter: `make run` starts Winnow, `make test` checks it.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
COMPILE = $(VENV)/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 pyproject.toml
# Compiled at once: otherwise each start compiles anew where Python may write no bytecode.
INSTALL = $(VENV)/bin/uv pip install -q --compile-bytecode --python $(PY) --require-hashes
# `make run GPU=1` installs TensorFlow with CUDA instead (Linux with an NVIDIA card).
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
# The newest of the supported Pythons that is on this machine and runs.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not ((3,11) <= sys.version_info[:2] <= (3,13)))' 2>/dev/null && { echo $$p; break; }; done)

# Tests start dozens of processes: each would compile everything anew.
test verify: export PYTHONDONTWRITEBYTECODE =
# Each core has a process of its own: threads of one product only wait there for each other.
test verify: export OPENBLAS_NUM_THREADS = 1
# Files go to three processes on two cores: one of them mostly waits, for servers and browsers.
PYTEST = WINNOW_DATA=$(CURDIR)/.test/data $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder
# Only these are read for PostgreSQL: reading all takes as long as a tenth of the tests there.
BOTH = $(shell grep -lr --include='test_*.py' both_databases tests)

.PHONY: run test lint on-postgres on-sqlite verify lock format clean
.DEFAULT_GOAL := run

run: $(STAMP)  ## start everything; Ctrl-C ends it
	@$(PY) manage.py up

test: $(DEV_STAMP)  ## set up what the tests need, then check everything
	@$(PY) -m tests.setup.prepare
	@$(MAKE) --no-print-directory -j 3 lint on-postgres on-sqlite

# Side by side: the longest tests begin first, and they leave a core free while servers start.
lint: $(DEV_STAMP)
	@echo "== ruff" && $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check -q .
	@echo "== mypy" && $(VENV)/bin/mypy
	@echo "== lint-imports" && $(VENV)/bin/lint-imports --no-cache

# What it says comes at its end, in one piece.
on-postgres: $(DEV_STAMP)
	@said=$$($(PY) -m tests.setup.on_postgres -m both_databases $(BOTH) 2>&1); status=$$?; \
	echo "== pytest on PostgreSQL, where concurrency matters"; echo "$$said"; exit $$status

on-sqlite: $(DEV_STAMP)
	@echo "== pytest" && $(PYTEST) -m "not slow" --hypothesis-profile=repeatable

verify: $(DEV_STAMP)  ## the longer checks as well
	@$(PY) -m tests.setup.prepare
	@$(PYTEST)

lock: $(DEV_STAMP)  ## resolve the dependencies anew
	@$(COMPILE) --extra cpu -o requirements.lock
	@$(COMPILE) --extra cpu --group dev -o requirements-dev.lock
	@$(COMPILE) --extra gpu -o requirements-gpu.lock

format: $(DEV_STAMP)
	@$(VENV)/bin/ruff check -q --fix . && $(VENV)/bin/ruff format -q .

clean:
	rm -rf $(VENV) .test .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/uv:
	@test -n "$(PYTHON)" || { echo "Winnow needs Python 3.11, 3.12 or 3.13. Debian, Ubuntu: sudo apt-get install python3 python3-venv; Mac: brew install python@3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is missing. Debian, Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) && $(PY) -m pip install -q --disable-pip-version-check uv

$(STAMP): $(LOCK) | $(VENV)/bin/uv
	@echo "Installing what Winnow needs (TensorFlow is the largest part) ..."
	@$(INSTALL) -r $(LOCK) && touch $@

$(DEV_STAMP): requirements-dev.lock $(STAMP)
	@echo "Installing what its tests need ..."
	@$(INSTALL) -r requirements-dev.lock && touch $@
