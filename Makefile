# Nothing to remember: make demo, make test, make check.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format shape bench clean

demo: .venv/installed          ## the whole loop on a built-in town, then the page
	$(BIN)/rookery demo --home demo-home $(ARGS)

test: .venv/installed-dev      ## what every change must pass; under ten minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu" -q

check: test                    ## style, arrows, and the slow tests that need no GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not gpu" --timeout 900 -q

format: .venv/installed-dev
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

shape:                         ## lines per package and the longest files
	@for p in src/rookery/*/; do printf "%6d  %s\n" $$(cat $$p*.py | wc -l) $$p; done
	@wc -l $$(git ls-files 'src/*.py') | sort -n | tail -6

bench: .venv/installed-dev      ## what needs no data but ours; the others take a path, see benchmarks/README.md
	$(BIN)/python benchmarks/bench_start.py

clean:
	rm -rf .venv demo-home

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/installed
