# Everyday commands; `make` lists them. Rarer ones are in Pipfile's [scripts].

PYTHON ?= python3
PORT ?= 4566
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIPENV_VERBOSITY := -1
# Container images set it, and then each of the hundreds of processes of a run compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

# CI holds the unit suite to the coverage that pyproject.toml requires.
UNIT = python -m pytest -m "unit and not exhaustive" -n auto --dist worksteal -q $(if $(CI),--cov --cov-report=)
# A sandbox waits more than it computes: three workers keep two cores busy. Groups and their order
# are in tests/conftest.py.
SUITES = python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder -q
SUITE ?=

.DEFAULT_GOAL := help
.PHONY: help setup up down check format test test-all soak test-failed coverage scan audit audit-python audit-node bench

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.* ## / { printf "make %-11s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/ready node_modules/ready ## install everything into .venv and node_modules

up: .venv/ready ## deploy the API to a local sandbox (PORT=4570 if 4566 is taken)
	python -m sandbox up --port $(PORT)

down: .venv/ready ## end the sandbox
	python -m sandbox down

check: setup ## lint, types, spelling and unit tests: under a minute
	ruff check
	ruff format --check
	mypy
	codespell . .ci/run .pre-commit-config.yaml .github
	$(UNIT)

format: .venv/ready ## format the code and fix what the linter can fix
	ruff check --fix
	ruff format

test: setup ## every rule once, with one drill of each kind: ten minutes
	$(SUITES) -m "not exhaustive$(if $(SUITE), and $(SUITE))"

test-all: setup ## every test, README's commands included: half an hour
	$(SUITES) -m "not soak$(if $(SUITE), and $(SUITE))"

soak: setup ## what is random with many seeds, and more of each kind: hours
	$(SUITES) -m soak

test-failed: setup ## what failed the last time, one test after the other
	python -m pytest -n 1 --dist loadgroup --no-loadscope-reorder -q -x --last-failed --last-failed-no-failures none

coverage: setup ## branch coverage of the unit tests, with the lines that they miss
	$(UNIT) --cov --cov-report=term-missing:skip-covered

scan: .venv/ready .venv-scans/ready ## checkov over every environment, linters of workflows, and an OpenAPI client
	python -m scans

audit: audit-python audit-node ## ask PyPI and npm for known vulnerabilities (-k: both, even if one has some)

audit-python: .venv/ready .venv-scans/ready
	pipenv requirements --dev > .venv-scans/requirements.txt
	.venv-scans/bin/pip-audit --strict --no-deps --disable-pip --requirement .venv-scans/requirements.txt

audit-node: .venv/ready
	npm audit --package-lock-only

bench: setup ## measure synthesis
	python -m benchmarks.synthesis

.venv/ready: Pipfile.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	python scripts/install.py
	touch $@

# The tools of scans/ pin other versions than the project: they have their own environment.
.venv-scans/ready: scans/Pipfile.lock .venv/ready
	$(PYTHON) -m venv --without-pip .venv-scans
	python scripts/install.py --lock scans/Pipfile.lock --environment .venv-scans
	touch $@

node_modules/ready: package-lock.json .venv/ready
	npm ci --ignore-scripts --no-audit --no-fund
	touch $@
