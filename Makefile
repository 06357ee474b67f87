# Everything here sets up what it needs: Python 3.11 or newer and make are enough.
# Another interpreter: make PYTHON=/path/to/python3.13 test

VENV := .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := $(VENV)/bin
WIRE := .venv-wire
READY := $(VENV)/.ready
DEMO := .demo
# Two workers on small machines; numbers stay single-threaded so that they do not fight over the cores.
WORKERS ?= 2
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow test-wire check format bench clean

help:
	@echo 'make demo       tune a real classifier on real data, in under two minutes'
	@echo 'make test       lint, types and the test suite'
	@echo 'make test-slow  the long crash and fault runs'
	@echo 'make test-wire  the real SageMaker SDKs and the AWS CLI against the service'
	@echo 'make check      lint, formatting and types only'
	@echo 'make bench      search quality and speed'
	@echo 'make format     format the code'
	@echo 'make clean      remove what these made'

# Done again only when the declared dependencies changed.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer was not found; say make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv $(VENV) || { echo 'python -m venv failed; Debian and Ubuntu need the package python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python examples/digits/prepare.py $(DEMO)/data
	@TUNEWRIGHT_HOME="$(CURDIR)/$(DEMO)/home" $(BIN)/tunewright run examples/digits/tune.yaml
	@echo
	@echo 'To look further with these commands in this shell:'
	@echo '    export TUNEWRIGHT_HOME="$(CURDIR)/$(DEMO)/home" PATH="$(CURDIR)/$(BIN):$$PATH"'

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS) -m 'not slow and not wire'

test-slow: $(READY)
	$(BIN)/pytest -n $(WORKERS) -m slow

# The real clients, each in an environment of its own; v2 also holds Tunewright for its local mode.
$(WIRE)/%/.ready: tests/wire/%.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer was not found; say make PYTHON=/path/to/python3' >&2; exit 1; }
	"$(PYTHON)" -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@test $* != v2 || $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The SDK for JavaScript, where npm is there and reaches its packages; its test says when it is left out.
$(WIRE)/js/.ready: tests/wire/js.txt
	@mkdir -p $(@D)
	@if command -v npm >/dev/null; then npm install --prefix $(@D) --no-audit --no-fund --no-package-lock --silent $$(cat $<) \
		|| echo 'npm could not install the SDK for JavaScript; its test is left out' >&2; fi
	@touch $@

test-wire: $(READY) $(WIRE)/v2/.ready $(WIRE)/v3/.ready $(WIRE)/cli/.ready $(WIRE)/js/.ready
	$(BIN)/pytest -n $(WORKERS) -m wire tests/wire

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(WIRE) $(DEMO) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
