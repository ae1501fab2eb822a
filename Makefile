# Everything runs from .venv, which `make install` builds from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
DEMO_STORE ?= build/demo
ROUNDS ?= 50

.DEFAULT_GOAL := help
.PHONY: help install demo check test slowtest chaos bench scale lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Build .venv from the lock (Python >= 3.11)

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "expected Python >= 3.11, got $$($(PYTHON) --version); set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install ## Score scikit-learn's digits with every metric and write the report
	$(BIN)/protoscore rescore --dataset digits --store $(DEMO_STORE)
	$(BIN)/protoscore report --store $(DEMO_STORE) --output $(DEMO_STORE)/report
	$(BIN)/protoscore outliers --store $(DEMO_STORE) --metric adv_l2 -n 5

check: install ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install ## Run the tests
	$(BIN)/pytest -n 2 --dist worksteal

slowtest: install ## Run whole nights: killed, at once, on S3, on every kind of source
	$(BIN)/pytest -m slow --durations=10

chaos: install ## Disturb ROUNDS nights on a cluster at random; CHAOS_SEED=n repeats one
	CHAOS_ROUNDS=$(ROUNDS) $(BIN)/pytest -m slow tests/ray_jobs/whole_nights/test_chaos.py

bench: install ## Measure ratios against floors and peers; ONLY=name for one
	$(BIN)/python -m benchmarks $(ONLY)

scale: install ## Measure nights of many examples and many shards, into build/scale.json
	$(BIN)/python -m benchmarks.scale

lock: ## Resolve requirements.lock anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock

clean: ## Remove what make builds
	rm -rf .venv build
