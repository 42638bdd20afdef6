# finetui: everything a person or CI runs. Needs Python 3.11 or newer, git and make; the rest is installed into .venv.

PYTHON ?= python3
SHARED ?= ../shared
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# one torch thread and sleeping barriers: on a busy machine spinning threads make training 40 times slower
QUIET_CPU := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1

.PHONY: help demo test check format docs bench laws reliability acceptance gpu-check clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: .venv/.finetui ## the first minute: fine-tune the packaged starter, then compare it with its base
	@$(BIN)/finetui demo --workspace .

test: .venv/.dev ## all tests
	$(QUIET_CPU) $(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.dev ## formatting, lint, types, import rules, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: .venv/.dev ## mend formatting and import order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.dev ## write the generated parts of README and docs
	$(BIN)/python docs/generate.py

bench: .venv/.dev ## speed beside other tools, as ratios in one run
	$(QUIET_CPU) $(BIN)/python -m bench

laws: .venv/.dev ## training laws: resume = uninterrupted, 8x1 = 1x8, merged = unmerged, …
	$(QUIET_CPU) $(BIN)/python -m pytest tests/laws -v

reliability: .venv/.dev ## hundreds of kills, full disks, turned-back clocks; prints its own table
	$(QUIET_CPU) $(BIN)/python -m tests.reliability

acceptance: .venv/.dev ## real models and data: make acceptance SHARED=../shared
	SHARED="$(abspath $(SHARED))" $(QUIET_CPU) OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m acceptance -v -s --timeout 3600

gpu-check: .venv/.dev ## what can only be shown on a CUDA device
	$(BIN)/python -m pytest -m gpu -v -s --timeout 1800

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("finetui needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/.finetui: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/.dev: .venv/.finetui
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean: ## remove the environment and caches; never a workspace
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
