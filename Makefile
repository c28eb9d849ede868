# Everything a person or CI runs. Each target sets up what it needs first.

BIN := .venv/bin
PLUGINS := $(wildcard plugins/*)
# The slow ones first, so that no worker is left with one of them at the end. Tests wait more than
# they work: three workers keep two cores busy.
SUITES := tests/e2e tests/integration $(wildcard plugins/*/tests) tests/unit
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15

.DEFAULT_GOAL := help
.PHONY: help setup check test soak bench docs demo stop clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## .venv with the platform, its plugins and tools; a Docker engine where none answers
	@bash scripts/venv.sh
	@bash scripts/engine.sh

check: setup ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@set -e; for plugin in $(PLUGINS); do echo "mypy ($$plugin)"; (cd $$plugin && $(CURDIR)/$(BIN)/mypy); done
	$(BIN)/lint-imports

test: setup ## unit, integration and end-to-end tests, with the real parts
	@bash scripts/test_tools.sh
	$(PYTEST) --timeout=300 $(SUITES)

soak: setup ## the fault tests with their full counts and durations
	@bash scripts/test_tools.sh
	THE0_SOAK=1 $(PYTEST) --timeout=7200 $(SUITES)

bench: setup ## each hot path beside its physical limit
	$(BIN)/python -m bench

docs: setup ## write docs/settings.md, settings.toml and docs/cli.md anew from the code
	$(BIN)/python -m the0.settings_docs
	$(BIN)/python -m the0.cli.reference > docs/cli.md

demo: setup ## everything on this machine, with three example bots running
	@$(BIN)/python scripts/demo.py

stop: ## stop what `make demo` or `the0 local start` started
	@if [ -x $(BIN)/the0 ]; then $(BIN)/the0 local stop; else echo "Nothing to stop: .venv is not there."; fi

clean: stop ## remove .venv and caches (the bots' state and the images stay)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
