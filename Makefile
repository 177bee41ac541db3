# `make` alone says what there is to make. Needs Python 3.10 to 3.13 and nothing else.

.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))
# The first that runs and is of a supported version: a name on the PATH alone (a version manager's shim) proves neither.
CANDIDATES := python3.12 python3.11 python3.13 python3.10 python3
PYTHON ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c '$(SUPPORTED)' >/dev/null 2>&1 && echo $(name))))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Seconds for one test; a server that hangs must not hang the run.
TEST_TIMEOUT ?= 300
# Files of tests that run at the same time: one more than two processors, since tests also wait, for servers and browsers.
WORKERS ?= 3
GRADIO_CLIENT_JS := @gradio/client@2.7.0

# The search goes by words: pictures and weights are left out. Status 3: none found, but a line that the baseline excuses
# has moved; the hook then writes the baseline, a copy, anew.
TEXTS = $$(git ls-files | grep -E '(\.(py|md|toml|txt|ya?ml|json|ipynb|css|js)|(^|/)[^./]+)$$')
SECRETS = $(BIN)/detect-secrets-hook --baseline $(VENV)/.secrets.baseline $(TEXTS)

.PHONY: help demo batch-demo test test-fast lint audit train-smoke bench bench-batch bench-live load fuzz format browser strace clean distclean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## start the page, on http://127.0.0.1:7860 unless GRADIO_SERVER_PORT says otherwise
	@$(BIN)/python app.py

batch-demo: $(VENV)/.installed-batch ## analyse a folder into Parquet files, with Ray; SOURCE=photos OUT=faces for yours
	@$(BIN)/python -m facemotion batch $(or $(SOURCE),facemotion/assets/examples) --out $(or $(OUT),runs/batch-demo) --resume

PYTEST = $(BIN)/python -m pytest --timeout=$(TEST_TIMEOUT) --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev browser strace ## run the tests; ARGS="-k name" picks some
	@$(PYTEST) $(ARGS)

test-fast: WORKERS = 2
test-fast: $(VENV)/.installed-dev ## run those that need no server, browser, or process of their own: an answer in a minute
	@$(PYTEST) -m "not slow" $(ARGS)

lint: $(VENV)/.installed-dev ## check style and types, and look for weak spots and secrets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/bandit -q -c pyproject.toml -r facemotion training app.py
	@! git rev-parse --git-dir >/dev/null 2>&1 || { cp .secrets.baseline $(VENV)/; found="$$($(SECRETS))" || test $$? -eq 3 || { echo "$$found"; exit 1; }; }

audit: $(VENV)/.installed-dev ## ask PyPI for known weaknesses of what is installed
	@$(BIN)/pip-audit --local --strict --progress-spinner off

train-smoke: $(VENV)/.installed-train ## run the training kit once through, on little data and on a little of FACEMOTION_DATA
	@$(BIN)/python -m training.smoke
	@test -z "$$FACEMOTION_DATA" || $(BIN)/python -m training.smoke --data "$$FACEMOTION_DATA"

bench: $(VENV)/.installed-dev ## measure how fast it is; ARGS=--peers for others beside it, ARGS=--write for the report
	@$(BIN)/python -m benchmarks.speed $(ARGS)

bench-batch: $(VENV)/.installed-dev ## measure many pictures: cost of each, memory; ARGS="--sizes 1000 20000" for more
	@$(BIN)/python -m benchmarks.batch $(ARGS)

bench-live: $(VENV)/.installed-dev browser ## measure the camera in a real browser, for 10 minutes: rate, lag, eight at once
	@$(BIN)/python -m benchmarks.live $(PARTS)

fuzz: $(VENV)/.installed-fuzz ## mutate pictures, guided by coverage; SECONDS=3600 for an hour, 300 unless given
	@$(BIN)/python -m tests.security.fuzz $(or $(SECONDS),300)
	@! ls tests/security/fuzz/cases/found-* 2>/dev/null || { echo "tests/security/fuzz/README.md says what to do with these."; exit 1; }

load: $(VENV)/.installed-dev ## 8 visitors for MINUTES=5, then 500 equal requests: what is answered, what is kept
	@MINUTES=$(MINUTES) $(BIN)/python -m benchmarks.load

format: $(VENV)/.installed-dev ## put the style right where that can be done by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove what the tools leave behind
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis test-output
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment too
	rm -rf $(VENV)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 with venv found. Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "$(PYTHON) is not a Python 3.10 to 3.13 with venv." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

# The stamps are written last: an installation that broke off is done again, one that succeeded is left alone.
$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV): about 1.7 GB, a minute or two the first time ..."
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-train: requirements-train.txt $(VENV)/.installed
	@echo "Installing requirements-train.txt into $(VENV) ..."
	@$(PIP) install -r requirements-train.txt
	@touch $@

$(VENV)/.installed-batch: requirements-batch.txt $(VENV)/.installed
	@echo "Installing requirements-batch.txt into $(VENV) ..."
	@$(PIP) install -r requirements-batch.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed-train $(VENV)/.installed-batch
	@echo "Installing requirements-dev.txt into $(VENV) ..."
	@$(PIP) install -r requirements-dev.txt
	@$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@

$(VENV)/.installed-fuzz: requirements-fuzz.txt $(VENV)/.installed-dev
	@$(PIP) install -r requirements-fuzz.txt
	@touch $@

browser: $(VENV)/.installed-dev $(VENV)/.node
	@.ci/browser $(BIN)/python

strace:
	@.ci/strace

# The JavaScript of docs/api.md is run too where npm is there; without it that one test says that it is skipped.
$(VENV)/.node: | $(BIN)/python
	@if command -v npm >/dev/null; then \
	  echo "Installing $(GRADIO_CLIENT_JS) into $(VENV)/node ..."; \
	  npm install --silent --no-audit --no-fund --prefix $(VENV)/node $(GRADIO_CLIENT_JS) \
	    || echo "npm could not install it: the JavaScript of docs/api.md will not be tested."; \
	fi
	@touch $@
