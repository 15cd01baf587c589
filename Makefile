# Two commands matter: `make run` compares the built-in methods, `make test` checks the checkout.
PYTHON ?= python3
VENV ?= .venv
SUITE ?= mini
METHODS ?= tve,rti,musicgen
OUT ?= runs/$(SUITE)

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install run test lint check clean help

help:
	@echo "make install   create $(VENV) and install the project with its pinned dependencies"
	@echo "make run       compare METHODS=$(METHODS) on SUITE=$(SUITE), records and tables in OUT=$(OUT)"
	@echo "make test      install, then lint, types, import rules, tests"
	@echo "make clean     remove caches and build products; keeps $(VENV) and runs/"

install: $(STAMP)

# torch goes first and exactly pinned, so that the resolver never picks another build of it.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

run: install
	$(BIN)/python -m bench run --methods $(METHODS) --suite $(SUITE) --out $(OUT)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test: check

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .benchmarks
	find bench methods metrics reports tests -name __pycache__ -type d -prune -exec rm -rf {} +
