# Everything a person runs. Needs python3 (3.11 or newer) and make; the virtual environment makes itself.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests run in so many processes side by side; the slow ones of one file share what they start.
JOBS ?= 2
export UV_PYTHON_DOWNLOADS := never

.PHONY: help demo up test test-fast test-slow test-night coverage check docs hooks format format-check lint security types contracts faults chaos-sweeps peers test-peers lock clean compose-test sbom audit pin-images bench-core bench-data bench-tracking bench-predictions bench-start bench-sweeps bench-growth bench-quality

help: ## show this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/uv: requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chainrule needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.12, say.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "preparing $(VENV): the installer"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bootstrap.lock
	@touch $@

# The development environment contains the runtime one: whichever is there last decides nothing away.
$(VENV)/runtime.stamp: $(BIN)/uv requirements/runtime.lock pyproject.toml chainrule/pyproject.toml
	@echo "preparing $(VENV): the packages Chainrule runs on"
	@test -f $(VENV)/dev.stamp || VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r requirements/runtime.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e ./chainrule -e .
	@touch $@

$(VENV)/dev.stamp: $(BIN)/uv requirements/dev.lock pyproject.toml chainrule/pyproject.toml
	@echo "preparing $(VENV): the packages and the tools its tests need"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r requirements/dev.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e ./chainrule -e .
	@touch $@ $(VENV)/runtime.stamp

demo: $(VENV)/runtime.stamp ## train a digit recogniser through the whole stack, then stop
	@$(BIN)/chainrule demo $(ARGS)

up: $(VENV)/runtime.stamp ## start the whole stack on this machine and stay
	@$(BIN)/chainrule up $(ARGS)

test: test-fast test-slow ## run the tests, fast ones first

FAST := --dist worksteal -m "not e2e and not faults and not browser and not peers"
test-fast: $(VENV)/dev.stamp ## run only the fast tests
	@$(BIN)/python -m pytest -q -n $(JOBS) $(FAST) $(ARGS)

test-slow: $(VENV)/dev.stamp ## run only the slow tests
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "e2e or faults or browser" $(ARGS)

# Code that is measured is slower, so a test may take longer than usual before it counts as stuck.
coverage: $(VENV)/dev.stamp ## run the fast tests of core and measure which branches they take
	@$(BIN)/python -m pytest -q -n $(JOBS) $(FAST) tests/core --timeout 900 --cov $(ARGS)

test-night: $(VENV)/dev.stamp ## random lives of jobs, many more than in make test
	@CHAINRULE_TEST_ROUNDS=2000 CHAINRULE_TEST_JOBS=10000 $(BIN)/python -m pytest -q -n $(JOBS) tests/core/jobs/state_machine/test_state_machine.py tests/core/jobs/state_machine/test_simulation.py $(ARGS)

check: format-check lint security types contracts test ## format, lint, security, types, import contracts, tests

format: $(VENV)/dev.stamp ## write the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

format-check: $(VENV)/dev.stamp ## is everything in the house format?
	@$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp ## ruff
	@$(BIN)/ruff check .

security: $(VENV)/dev.stamp ## bandit
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml api chainrule core deploy migrations worker

types: $(VENV)/dev.stamp ## mypy, strict
	@$(BIN)/mypy

contracts: $(VENV)/dev.stamp ## who may import whom
	@$(BIN)/lint-imports

peers: $(VENV)/dev.stamp ## install PyTorch and the other peers that tests and benchmarks compare with
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/peers.in

test-peers: peers ## compare with PyTorch
	@$(BIN)/python -m pytest -q -m peers $(ARGS)

LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-emit-package chainrule
lock: $(BIN)/uv ## write the lock files anew from pyproject.toml
	@$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.lock
	@$(LOCK) pyproject.toml requirements/build.in -o requirements/runtime.lock
	@$(LOCK) pyproject.toml requirements/build.in --group dev -c requirements/runtime.lock -o requirements/dev.lock
	@$(LOCK) requirements/compose-test.in -c requirements/dev.lock -o requirements/compose-test.lock
	@$(LOCK) requirements/gpu.in -c requirements/runtime.lock -o requirements/gpu.lock

docs: $(VENV)/dev.stamp ## build the documentation site, build/docs/site
	@$(BIN)/python -m docs.staging build/docs
	@$(BIN)/zensical build --strict --config-file build/docs/mkdocs.yml

hooks: $(VENV)/dev.stamp ## check every commit before it is made
	@$(BIN)/pre-commit install

faults: $(VENV)/dev.stamp ## inject every fault of tests/faults into a real stack; no job may be lost
	@$(BIN)/python -m tests.faults $(ARGS)

chaos-sweeps: $(VENV)/dev.stamp ## sweeps of fifty trials under faults, each compared with an undisturbed one
	@$(BIN)/python -m tests.faults.sweeps $(ARGS)

compose-test: $(VENV)/dev.stamp ## build the image and bring the compose cluster up with podman (Linux, root)
	@$(BIN)/python -m tests.deploy.cluster $(ARGS)

sbom: $(VENV)/dev.stamp ## write the software bill of materials, build/sbom.json (CycloneDX)
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-format JSON --output-file build/sbom.json requirements/runtime.lock
	@echo written to build/sbom.json

audit: $(VENV)/dev.stamp ## known vulnerabilities of the packages in runtime.lock
	@$(BIN)/python -m deploy.audit

pin-images: $(BIN)/uv ## write the digests of the base images to .env (needs docker, skopeo or crane)
	@$(BIN)/python -m deploy.pin_images

clean: ## remove what make made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage build/docs build/sbom.json benchmarks/results

bench-core: peers ## training steps against PyTorch, JAX, Keras and scikit-learn
	@$(BIN)/python -m benchmarks.core $(ARGS)

bench-predictions: $(VENV)/dev.stamp ## one row at a time, against mlflow models serve
	@$(BIN)/python -m benchmarks.predictions $(ARGS)

bench-start: $(VENV)/dev.stamp ## seconds until api and command line are ready; memory and CPU of an idle stack
	@$(BIN)/python -m benchmarks.start $(ARGS)

bench-tracking: $(VENV)/dev.stamp ## metric points to MLflow, against its own client
	@$(BIN)/python -m benchmarks.tracking $(ARGS)

bench-data: peers ## sets larger than memory, training while they arrive, caches, loaders
	@$(BIN)/python -m benchmarks.data $(ARGS)

bench-quality: peers ## models with default settings, against scikit-learn and PyTorch
	@$(BIN)/python -m benchmarks.quality $(ARGS)

bench-sweeps: peers ## trials a minute, against Optuna and Ray Tune
	@$(BIN)/python -m benchmarks.sweeps $(ARGS)

bench-growth: $(VENV)/dev.stamp ## a week of 10,000 jobs a day: rows and files must not grow
	@$(BIN)/python -m tests.core.retention $(ARGS)
