# Everything runs in a virtual environment of its own: `make demo` on a fresh clone needs nothing but Python.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install demo test check lint types coverage clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[local,test]'
	touch $@

demo: install
	$(BIN)/python -m pip_services4_serverless.local._demo

test: install
	$(BIN)/python -m pytest -q

check: lint types coverage

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

coverage: install
	$(BIN)/python -m pytest -q --cov --cov-report=term

clean:
	rm -rf $(VENV) build dist site *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
