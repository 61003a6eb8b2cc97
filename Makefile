# For somebody who has just cloned this. Needs git, make, Python 3.11 and the package registries; Docker is
# used where an engine answers, and nothing needs it.

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN = .venv/bin
# What the long run does that `make test` does not.
FULL = LOCALMAKER_TEST_EXAMPLES=50 LOCALMAKER_TEST_MUTATIONS=30 LOCALMAKER_TEST_SDK=1 LOCALMAKER_TEST_SHAPES=1 \
	LOCALMAKER_TEST_POSTGRESQL_ALL=1 LOCALMAKER_TEST_DOCKER_ALL=1 LOCALMAKER_TEST_S3_OPERATIONS=5000 LOCALMAKER_TEST_S3_GIB=5 LOCALMAKER_TEST_TRANSFORM_GIB=2 \
	LOCALMAKER_TEST_KILLS=25
# Much of a test is waiting, so that two at once are quicker even on two cores. `make test PYTEST=` runs one at a time.
PYTEST ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-full lint format bench venv dev constraints

## demo: start a server, upload, train, deploy and predict with plain boto3, stop it; prints how long each step took
demo:
	@$(PYTHON) examples/demo.py

## test: everything in about 20 minutes on two cores: lint, types, and the suite on both runners where they are to be had
test: lint
	$(BIN)/python -m pytest $(PYTEST)

## test-full: the long matrices too; writes its dated result to docs/test-full.md
test-full: lint
	$(FULL) $(BIN)/python docs/test_full.py

## lint: format, lint, spelling, types
lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy

## format: let ruff write what it can
format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## bench: the figures of bench/README.md, side by side
bench: dev
	$(BIN)/python -m bench

venv: .venv/installed
dev: .venv/installed-dev

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LocalMaker needs Python 3.11 or newer.")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/installed

## constraints: write down the versions that .venv has now
constraints: dev
	{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } >constraints.new
	mv constraints.new constraints.txt
