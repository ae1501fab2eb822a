# Everything runs from .venv, which `make install` builds from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
DEMO_STORE ?= build/demo
ROUNDS ?= 50

.DEFAULT_GOAL := help
.PHONY: help install demo check test slowtest chaos bench scale lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Set up .venv from requirements.lock (Python >= 3.11)

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "expected Python >= 3.11, got $$($(PYTHON) --version); set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install ## Score scikit-learn's digits, some with a wrong label, and write the report
	@echo "A tenth of the training labels is redrawn on purpose, so that there are wrong ones to find."
	$(BIN)/protoscore rescore --dataset digits --relabel 0.1 --store $(DEMO_STORE)
	$(BIN)/protoscore report --store $(DEMO_STORE) --output $(DEMO_STORE)/report
	$(BIN)/protoscore issues --store $(DEMO_STORE) --split train -n 5

check: install ## Check format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests wait for S3 and for Ray, so that two cores can feed a third worker.
test: install ## Run the tests
	$(BIN)/pytest -n 3

slowtest: install ## Run the slow tests: whole nights, killed, concurrent, on S3, on every source
	$(BIN)/pytest -n 2 -m slow --durations=15 -o faulthandler_timeout=2400

chaos: install ## Disturb ROUNDS nights at random; CHAOS_SEED=n repeats one
	CHAOS_ROUNDS=$(ROUNDS) $(BIN)/pytest -m slow -o faulthandler_timeout=0 tests/ray_jobs/whole_nights/test_chaos.py

bench: install ## Measure ratios to lower bounds and peers; ONLY=name measures one
	$(BIN)/python -m benchmarks $(ONLY)

scale: install ## Measure nights with many examples and shards, into build/scale.json
	$(BIN)/python -m benchmarks.scale

lock: ## Update requirements.lock to the newest versions
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock

clean: ## Remove .venv and build
	rm -rf .venv build
