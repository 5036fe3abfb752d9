# Two commands: `make demo` shows spanrag at work, `make test` checks all of it.
# Both set up everything first; a second run finds it done.

PYTHON ?= python3
# An index with CPU builds of torch, for machines where the default one brings CUDA:
# make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
EXTRAS := bundled,server,openvino,report,s3,ocr,ray,train,mteb,serve,mcp,telemetry,dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export HF_HUB_OFFLINE = 1

.PHONY: setup browser demo test lint types contracts tests clean

setup: $(INSTALLED)
	@$(BIN)/rag models pull --quiet > /dev/null

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "spanrag needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --constraint constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	@$(PIP) install --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

# The tests look at pages in a real browser; where there is none and none can be had, those skip.
browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || { \
		test "$$(id -u)" = 0 && echo "installing chromium" && apt-get -qq update \
		&& apt-get -qq install --no-install-recommends chromium > /dev/null; } \
		|| echo "no chromium: tests of pages will be skipped" >&2

demo: setup
	@$(BIN)/rag demo

test: setup browser lint types contracts tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

# Two processes, a thread each: threads of two would wait for each other. A file stays in one of them.
# Files go in their order, in which the long ones come first: by their number of tests they come last.
tests:
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
