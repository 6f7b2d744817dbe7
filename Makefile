# The two commands of the README. Everything except python3, make, gcc and git comes from pip.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.octavo-installed
DEMO := build/demo

.PHONY: demo test clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@$(RUN) -m examples.digits.demo --output $(DEMO)

test: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2

# Installed once; again when what is installed changes. The install is editable, so that edits to
# Python files need nothing, and a changed C source is compiled with the next artifact anyway.
$(STAMP): pyproject.toml CMakeLists.txt $(wildcard runtime/CMakeLists.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Octavo needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; \
	    exit 1; }
	@echo "Setting up $(VENV): 1.5 GB, a minute or a few; only once"
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(RUN) -m pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
