# Every command that a user or a developer needs; CI runs the same ones.
#
#   make lab         set up, then open JupyterLab on the quickstart (LAB_ARGS=--no-browser)
#   make demo        set up, then place one order against the simulator, in the terminal
#   make test        set up, then lint, format check, types and all tests
#   make fuzz        the property tests on random inputs (SECONDS=60 FUZZ_ARGS="tests/carts -k path")
#   make check       lint, format check, types, pages
#   make format      mend what can be mended by itself
#   make notebooks   run the notebooks and save their outputs
#   make docs        write the pages that are made from the code
#   make site        build the documentation site in build/site; it needs no network to read
#   make pictures    draw the pictures of README; needs Chromium
#   make bench       the measured comparisons; their tables go to docs/
#   make package     build sdist and wheel, and check what a package index will show
#                    (SOURCE=https://... is the address of the repository, for its links)
#   make smoke       a minute of everything with the lowest, then the highest dependencies
#   make pins        pin the small installations of requirements/ anew
#   make clean       remove environments and caches
#
# PYTHON=python3.13 uses another interpreter, in an environment of its own.

PYTHON ?= python3
LAB_ARGS ?=
PYTEST_ARGS ?=
SECONDS ?= 60
FUZZ_ARGS ?=
SOURCE ?=
VENV := .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
# Where the environment forbids it, every process would compile anew what it imports: pandas alone
# takes 2.0 s of a core instead of 0.5, and the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help lab demo test suite fuzz check format notebooks docs site pictures bench package smoke pins clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/.installed: pyproject.toml scripts/setup
	@scripts/setup $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml scripts/setup
	@scripts/setup $(PYTHON) $(VENV) dev
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml scripts/setup
	@scripts/setup $(PYTHON) $(VENV) dev,bench
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev

lab: $(VENV)/.installed
	@$(BIN)/firmly-nb lab $(LAB_ARGS)

demo: $(VENV)/.installed
	@$(BIN)/firmly-nb demo

# Side by side: the types take a minute of one core.
test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j 2 check suite

suite: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-dev
	$(BIN)/python scripts/fuzz.py --seconds $(SECONDS) $(FUZZ_ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/write_tables_page.py --check
	$(BIN)/python scripts/draw_verdicts.py --check
	$(BIN)/python scripts/check_pages.py
	$(BIN)/python scripts/check_messages.py
	$(BIN)/python scripts/measure_text.py --check

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/.installed-dev
	$(BIN)/python scripts/run_notebooks.py

docs: $(VENV)/.installed-dev
	$(BIN)/python scripts/write_tables_page.py
	$(BIN)/python scripts/draw_verdicts.py

site: $(VENV)/.installed-dev
	$(BIN)/python scripts/build_site.py

pictures: $(VENV)/.installed-dev
	$(BIN)/python scripts/draw_readme.py

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

package: $(VENV)/.installed-dev
	rm -rf dist
	FIRMLY_NB_SOURCE=$(SOURCE) $(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

smoke: $(VENV)/.installed-dev
	scripts/smoke $(BIN)/python

pins: $(VENV)/.installed-dev
	scripts/pin $(abspath $(BIN)/python)

clean:
	rm -rf .venv* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
