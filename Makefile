# K2 stream. `make` alone lists the targets; every target sets up what it needs.
DURATION ?= 60
MINUTES ?= 20
HOURS ?= 1
PART ?= 1/1
SEED ?= 1
RATE ?= 200

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := uv==0.13.8
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-cluster test-deploy test-platform test-unit test-watch test-web fault mutate soak bench bench-quick burn-in check secrets audit sbom format \
	docs lock wheel clean

help: ## List the targets
	@echo "K2 stream: exact crypto trades and candles, as a Faust application"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with the locked dependencies

$(READY): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV), one to five minutes the first time"
	@test -x $(BIN)/python || { echo "  1 of 4: creating it"; $(PYTHON) -m venv $(VENV); }
	@echo "  2 of 4: downloading the installer, $(UV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	@echo "  3 of 4: downloading, installing and compiling $$(grep -c '^[a-z0-9].*==' requirements-dev.lock) packages, 2 GB"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
		-r requirements-dev.lock
	@echo "  4 of 4: installing K2 stream"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(READY)

run: $(READY) ## Start everything with SIMULATED feeds and a live status view (RATE=200); Ctrl-C stops it
	@exec $(BIN)/k2 up --rate $(RATE)

demo: $(READY) ## Run for DURATION=60 seconds at RATE=200 trades/s, then prove that every layer agrees
	@exec $(BIN)/k2 demo --seconds $(DURATION) --rate $(RATE)

test: $(READY) ## All tests: unit, property, playback, and the whole stack against its oracle
	@$(BIN)/python -m pytest -n 3 tests/integration tests/property tests/unit tests/playback
	@echo "Not run: make test-platform (commands, REST and clients on running platforms; 5 minutes), make test-web (the page; needs Chromium), make test-watch (needs Prometheus and Alertmanager),"
	@echo "make test-deploy (image, compose, Kubernetes; needs kubectl and root)"

test-unit: $(READY) ## Tests without servers, also on another Python: VENV=.venv-3.13 PYTHON=python3.13
	@$(BIN)/python -m pytest -n 2 tests/property tests/unit tests/playback

test-platform: $(READY) ## Every command, REST, clients from PyPI, a notebook and a further exchange on whole platforms
	@$(BIN)/python -m pytest -m "platform and not fault" tests/integration

test-cluster: $(READY) ## Three brokers, each restarted in turn, then one lost for good: no trade is lost
	@$(BIN)/python -m pytest -m fault tests/integration/test_brokers.py

test-web: $(READY) ## The page in real Chromium, which the system has to have
	@$(BIN)/python -m pytest -m web tests/web

test-deploy: $(READY) ## Image, compose and Kubernetes without an engine; needs kubectl (kustomize 5), and root for another user
	@$(BIN)/python -m pytest -m deploy tests/deploy

test-watch: $(READY) ## Metrics, dashboards and alerts with a real Prometheus and Alertmanager (ALL=1: every alert fires)
	@$(BIN)/python -m pytest -m "$(if $(ALL),watch or fault,watch and not fault)" tests/watch

fault: $(READY) ## Break real processes (F1 to F20 of docs/guarantees.md), and many more examples; in parts: PART=1/4
	@$(BIN)/python -m pytest -m fault --part $(PART)
	@$(BIN)/python -m pytest tests/property --hypothesis-profile thorough --part $(PART)

mutate: $(READY) ## Of a seeded sample of 600 one-line mutants of the core, 85 % fail a test (SEED=1 PART=1/4, resumable)
	@$(BIN)/python -m tests.mutation.run --seed $(SEED) $(if $(PART),--part $(PART)) $(if $(RETRY),--retry)

soak: $(READY) ## Everything under random faults for MINUTES=20, a report a minute, verified at the end
	@$(BIN)/python -m tests.fault.soak --minutes $(MINUTES) --seed $(SEED)

bench: $(READY) ## Measure K2 beside its peers (about 40 minutes; those in Java need a JDK and Maven)
	@$(BIN)/python -m benchmarks.run

burn-in: $(READY) ## The whole platform for HOURS=1 at RATE=200: whether memory, open files, threads or disk grow
	@$(BIN)/python -m benchmarks.burn_in --hours $(HOURS) --rate $(RATE)

bench-quick: $(READY) ## The same on small data, without the slow peers (2 to 3 minutes)
	@$(BIN)/python -m benchmarks.run --quick

check: $(READY) ## Format, lint and types, as CI checks them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m tests.supply.secrets
	@$(BIN)/mypy

secrets: $(READY) ## Look for passwords and keys in the tree, without a network (part of `make check`)
	@$(BIN)/python -m tests.supply.secrets

audit: $(READY) ## Known vulnerabilities of what is locked: asks osv.dev, and fails where it cannot
	@$(BIN)/python -m tests.supply.audit $(BIN)/uv

sbom: $(READY) ## Write the bill of materials of what is locked to dist/k2stream.cdx.json (CycloneDX)
	@$(BIN)/python -m tests.supply.sbom dist/k2stream.cdx.json $(BIN)/uv

format: $(READY) ## Format the code and fix what lint can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## Build docs/ into site/; fails on a broken link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

WORKERS := --extra feeds --extra hot --extra cold --extra trace
LOCK := $(BIN)/uv pip compile --quiet pyproject.toml --extra all --generate-hashes --universal --python-version 3.11 \
	--no-header --no-annotate --upgrade --output-file

lock: $(READY) ## Resolve the dependencies anew: requirements.lock runs it, -image.lock in containers, -dev.lock tests it
	@$(LOCK) requirements-dev.lock --group dev
	@$(LOCK) requirements.lock --constraint requirements-dev.lock # what is tested is what runs
	@$(subst --extra all,$(WORKERS),$(LOCK)) requirements-image.lock --constraint requirements.lock # and what workers run

wheel: $(READY) ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## Remove .venv, dist, site and caches (the data folder stays: see `k2 reset`)
	@rm -rf .venv dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
