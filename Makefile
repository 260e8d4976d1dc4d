# make run | ui | test | chaos | lint | types | bench | clean : each does its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Byte code halves the start of every process.
unexport PYTHONDONTWRITEBYTECODE
# What is set up for another project must not lead here.
unexport DAGSTER_HOME PYTHONPATH

.PHONY: run ui test chaos conformance lint types bench setup lock clean
.DEFAULT_GOAL := help

help:
	@echo "make run    set up, start a private Postgres, run the last 14 days of flights through the gate"
	@echo "make ui     open the Dagster UI on the same instance (PORT=3000)"
	@echo "make test   run the tests"
	@echo "make chaos  kill publishers, replays and the server 300 times, and prove that nothing is lost (KILLS=300 SEED=…)"
	@echo "make conformance  compare the fast engine with Great Expectations, in full"
	@echo "make lint | types | bench | lock | clean"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else \
	    f"Python 3.10 to 3.13 is needed, and {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.12 …")'
	@echo "Setting up $(VENV) (once; a minute or two)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

run: $(READY)
	@$(BIN)/sluice run

ui: $(READY)
	@$(BIN)/sluice ui --port $(or $(PORT),3000)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The seed that it prints makes the same kills again: make chaos SEED=…
chaos: $(READY)
	SLUICE_CHAOS_KILLS=$(or $(KILLS),300) SLUICE_CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/chaos --capture=no

# Great Expectations' own cases, out of its source distribution, and many generated ones: both engines, compared.
GX_SDIST := .sluice/gx-sdist
conformance: $(READY)
	@version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("great-expectations"))'); \
	    test -d $(GX_SDIST)/great_expectations-$$version || { mkdir -p $(GX_SDIST) && \
	    $(BIN)/python -m pip download --quiet --no-deps --no-binary great-expectations \
	        --dest $(GX_SDIST) great-expectations==$$version && \
	    tar -xzf $(GX_SDIST)/great_expectations-$$version.tar.gz -C $(GX_SDIST); } && \
	    SLUICE_CONFORMANCE=full SLUICE_GX_SDIST=$(GX_SDIST)/great_expectations-$$version \
	    $(BIN)/python -m pytest tests/conformance --timeout=3600

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=. $(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

# uv resolves for every supported Python at once; it is a tool of the maintainers and not installed by setup.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --all-extras --group platform --group dev -o requirements.lock

clean:
	@if [ -x $(BIN)/sluice ]; then $(BIN)/sluice db stop --force || true; fi
	rm -rf $(VENV) .sluice .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
