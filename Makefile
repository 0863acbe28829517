# One command sets everything up: `make run` or `make test` on a machine with Python 3.11+ and make.
# Choose an interpreter with `make setup PYTHON=python3.12`, pass words to Bolt with `make run ARGS="..."`.

SHELL := /bin/sh
PYTHON ?=
ARGS ?=
# More workers than cores: many tests wait for another process or for a clock.
WORKERS ?= 3
BIN := .venv/bin
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))

# Bolt starts processes of its own: where this forbade to keep compiled code, each would compile every library anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test check pytest proof mutants bench screenshots fmt clean

help:
	@echo "make run          open the desk (no terminal: a short headless paper session)"
	@echo "make test         lint, import contracts, types and tests; what CI runs"
	@echo "make check        the same without the tests"
	@echo "make proof        the long proofs: crashes, power cuts, thousands of schedules"
	@echo "make mutants      take out one guard at a time; a test must turn red for each (minutes)"
	@echo "make bench        measurements, as counts and ratios"
	@echo "make screenshots  draw the pictures in docs/"
	@echo "make fmt          format the code and fix what can be fixed"
	@echo "make clean        remove the environment and every cache"

setup: .venv/.installed

# Set-up talks on stderr only, so that the stdout of `make run` stays data.
.venv/.installed: pyproject.toml
	@exec >&2; set -e; \
	uv=$$(command -v uv || true); \
	if $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null && [ -z "$(PYTHON)" ]; then \
		echo "bolt: using the environment in .venv"; \
	else \
		need='$(SUPPORTED)'; [ -n "$$uv" ] || need="import ensurepip, venv; $$need"; \
		found=''; \
		for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
			if "$$candidate" -c "$$need" >/dev/null 2>&1; then \
				found=$$("$$candidate" -c 'import sys; print(sys.executable)'); break; \
			fi; \
		done; \
		if [ -z "$$found" ] && [ -z "$$uv" ]; then \
			echo "bolt: no usable Python was found (tried: $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python))."; \
			echo "bolt: install Python 3.11 or newer with its venv module (Debian: apt install python3 python3-venv),"; \
			echo "bolt: or name one: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3"; \
			exit 1; \
		fi; \
		rm -rf .venv; \
		echo "bolt: making .venv with $${found:-a Python that uv fetches}"; \
		if [ -n "$$uv" ]; then "$$uv" venv --quiet --python "$${found:-3.12}" .venv; else "$$found" -m venv .venv; fi; \
	fi; \
	echo "bolt: installing the packages (about a minute with pip, seconds with uv)"; \
	if [ -n "$$uv" ]; then \
		"$$uv" pip install --quiet --python $(BIN)/python -e '.[dev]'; \
	else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[dev]'; \
	fi; \
	touch $@

run: .venv/.installed
	@if test -t 1; then exec $(BIN)/bolt $(ARGS); else exec $(BIN)/bolt headless --demo $(ARGS); fi

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

pytest: .venv/.installed
	$(BIN)/pytest -q -n $(WORKERS) $(ARGS)

test: check pytest

proof: .venv/.installed
	$(BIN)/pytest -q -m proof $(ARGS)

mutants: .venv/.installed
	$(BIN)/python -m tests.mutants --workers $(WORKERS) $(ARGS)

bench: .venv/.installed
	$(BIN)/pytest -q -s -m bench $(ARGS)

screenshots: .venv/.installed
	$(BIN)/python -m docs.screenshots $(ARGS)

fmt: .venv/.installed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
