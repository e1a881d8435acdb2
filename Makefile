# Winnow: two commands on a fresh machine are `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
VLLM_VENV ?= .vllm-venv
CLIENTS_VENV ?= .clients-venv
CLIENTS_NODE ?= .clients-node
SITES_VENV ?= .sites-venv
SITES_NODE := $(patsubst %,examples/sites/%/node_modules/.installed,vitepress docusaurus)
LIBRECHAT := @librechat/agents@3.9.2# alone: what it requires has 500 MB, and its rerankers require axios
BIN := $(VENV)/bin
# the tests start hundreds of commands: each would compile all modules again
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check

PORT ?= 8000
DATA_DIR ?= ./data
SOURCE ?= python
COLLECTION ?= $(if $(filter python,$(SOURCE)),python,docs)

.PHONY: help run install install-dev clients site-packages sites test test-fast test-vllm test-image soak rehearse installed-set soak-access deploy-mutants crds check format bench bench-stack bench-scale load eval clean

help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables of make run: PORT=$(PORT) DATA_DIR=$(DATA_DIR) SOURCE=$(SOURCE) COLLECTION=$(COLLECTION)"

run: install  ## Index SOURCE (default: the standard library's docstrings) and serve it on PORT
	@$(BIN)/winnow index "$(SOURCE)" -c "$(COLLECTION)" --delete-missing --data-dir "$(DATA_DIR)" || [ $$? -eq 1 ]
	@exec $(BIN)/winnow serve --port "$(PORT)" --data-dir "$(DATA_DIR)"

install: $(VENV)/.installed  ## Make .venv with the command `winnow` in it

install-dev: $(VENV)/.installed-dev  ## The same, with what tests and checks need

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Winnow needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "pip>=25.1"

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --group dev
	@touch $@

$(VLLM_VENV)/.installed: tests/real_vllm/requirements.txt
	$(PYTHON) -m venv --clear $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@touch $@

$(CLIENTS_VENV)/.installed: tests/doors/requirements.txt tests/doors/requirements-newest.txt tests/doors/requirements-earlier.txt
	$(PYTHON) -m venv --clear $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	$(CLIENTS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --ignore-requires-python \
		--target $(CLIENTS_VENV)/newest \
		--requirement tests/doors/requirements-newest.txt
	$(CLIENTS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --target $(CLIENTS_VENV)/earlier \
		--requirement tests/doors/requirements-earlier.txt
	@touch $@

$(CLIENTS_NODE)/.installed: tests/doors/node/package.json
	@mkdir -p $(CLIENTS_NODE)
	@if command -v npm >/dev/null; then cp $< $(CLIENTS_NODE)/ && npm install --prefix $(CLIENTS_NODE) --no-audit --no-fund --loglevel=error && \
	cd $(CLIENTS_NODE) && mkdir -p librechat && tar -xzf "$$(npm pack --silent $(LIBRECHAT))" -C librechat --strip-components 1; \
	else echo "no npm here: the tests with clients for Node are skipped"; fi
	@touch $@

clients: $(CLIENTS_VENV)/.installed $(CLIENTS_NODE)/.installed  ## Install the clients of other providers that tests call the service with

$(SITES_VENV)/.installed: examples/sites/requirements.txt
	$(PYTHON) -m venv --clear $(SITES_VENV)
	$(SITES_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

$(SITES_NODE): examples/sites/%/node_modules/.installed: examples/sites/%/package.json
	@if command -v npm >/dev/null; then npm install --prefix $(<D) --no-audit --no-fund --no-package-lock --loglevel=error && touch $@; \
	else echo "no npm here: the example site $* is not built"; fi

site-packages: $(SITES_VENV)/.installed $(SITES_NODE)  ## Install what the example sites are built with (Docusaurus: 400 MB), for make test

sites: install-dev clients site-packages  ## Build the example sites with their own tools and search each in a browser
	SITES_VENV="$(SITES_VENV)" CLIENTS_NODE="$(CLIENTS_NODE)" $(BIN)/python -m pytest -n 0 tests/browser/test_sites.py

test: install-dev clients $(SITES_VENV)/.installed  ## Run the test suite and measure its coverage (no network services, GPU or downloads)
	CLIENTS_VENV="$(CLIENTS_VENV)" CLIENTS_NODE="$(CLIENTS_NODE)" SITES_VENV="$(SITES_VENV)" $(BIN)/python -m pytest -n auto --dist loadscope -m "not vllm" --ignore=tests/image --cov

test-fast: install-dev  ## Run units, contracts and the HTTP API's tests: no PyTorch, Ray or browser, some five minutes
	$(BIN)/python -m pytest -n auto --dist loadscope -m "not torch" tests/unit tests/contracts tests/wire

test-vllm: install-dev $(VLLM_VENV)/.installed  ## Test against real vLLM servers on the CPU (3 GB in VLLM_VENV, some minutes)
	VLLM_VENV="$(VLLM_VENV)" $(BIN)/python -m pytest tests/real_vllm

test-image: install-dev  ## Build the images `service` and `indexer` and run them, where a Docker engine is or can be started (minutes)
	$(BIN)/python -m pytest -n 0 -p no:cacheprovider tests/image

soak: install-dev  ## Kill processes at random, 1,000 times (KILLS, SEED), and compare what was acknowledged with what is there
	$(BIN)/python -m tests.faults.soak --kills $(or $(KILLS),1000) --seed $(or $(SEED),1)

rehearse: install-dev  ## Restart services behind a proxy that learns late (RESTARTS, SEED), then lose each model: no request may fail
	$(BIN)/python -m tests.faults.rehearsal --restarts $(or $(RESTARTS),100) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.faults.outages

installed-set: install-dev  ## Write what this version leaves behind into INTO/installed-VERSION (default: installed-sets), for later versions
	$(BIN)/python -m tests.upgrade.installed_set "$(or $(INTO),installed-sets)"

soak-access: install-dev  ## Probe as random callers, 1,000,000 times (PROBES, SEED), and compare with what each may see
	ACCESS_PROBES=$(or $(PROBES),1000000) ACCESS_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -n 0 -p no:cacheprovider \
	    tests/access/test_probes.py

deploy-mutants: install-dev  ## Change the manifests in 1,200 places (MUTANTS, SEED; 0: in all) and list what no policy notices
	$(BIN)/python -m tests.deploy.mutants --mutants $(or $(MUTANTS),1200) --seed $(or $(SEED),20261128)

crds: install-dev  ## Hold the manifests to the operators' own definitions: CRDS=folder of definitions
	@test -d "$(CRDS)" || { echo "CRDS=$(CRDS) is not a folder; fill one: kubectl get crd -o yaml > FOLDER/all.yaml"; exit 2; }
	KUBERNETES_CRDS="$(abspath $(CRDS))" $(BIN)/python -m pytest -n 0 -p no:cacheprovider tests/deploy/test_kubernetes.py -k "definition"

check: install-dev  ## Style, types, import rules and declared dependencies, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: install-dev  ## Format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install-dev  ## Side by side with txtai on the same texts; DATA=folder in the BEIR layout (default: docstrings)
	$(BIN)/python benchmarks/peers.py $(if $(DATA),--data "$(DATA)")

bench-stack: install-dev  ## The stack at scale beside the embedded one; QDRANT_URL names a real server, else a stand-in
	$(BIN)/python benchmarks/stack.py $(if $(DATA),--data "$(DATA)")

bench-scale: install-dev  ## Searches over 10,000 and 200,000 chunks with synthetic vectors
	$(BIN)/python benchmarks/scale.py

load: install-dev  ## Goodput at 2, 3 and 6 times what the service, and a slow reranker, can do
	$(BIN)/python benchmarks/overload.py

eval: install-dev  ## Measure retrieval quality; DATA=folder in the BEIR layout
	$(BIN)/winnow eval --data "$(DATA)"

clean:  ## Remove the virtual environment and caches (never DATA_DIR)
	rm -rf $(VENV) .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
