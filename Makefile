PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow lint docs gpu

demo: $(READY)  ## enhance photographs that ship with scikit-image; pictures and table go to demo/
	$(BIN)/python benchmarks/demo.py demo

# two processes of one thread each: small networks are quicker so
test test-slow: export OMP_NUM_THREADS := 1
test: $(READY)  ## the quick tests
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(READY)  ## the pages of docs/ as a site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

gpu:  ## all that waits for a GPU, in 12 minutes; runs/gpu gets the results. Nothing is installed
	$(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/gpu.py run runs/gpu

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
