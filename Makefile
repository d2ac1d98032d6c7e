# The README's commands. Every other verb is in Pipfile's [scripts].

PYTHON ?= python3
PORT ?= 4566
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIPENV_VERBOSITY := -1
UNIT := python -m pytest -m unit -n auto --dist worksteal -q

.PHONY: up down check test scan audit audit-python audit-node bench setup

up: .venv/ready
	python -m ops local up --port $(PORT)

down: .venv/ready
	python -m ops local down

check: setup
	ruff check
	ruff format --check
	mypy
	codespell . .ci/run .pre-commit-config.yaml
	$(UNIT)

# The other rings share stands, and run one after the other.
test: setup
	$(UNIT)
	python -m pytest -m "not unit"

# The tools of scans/ pin other versions than the project: they have an environment of their own.
scan: .venv/ready .venv-scans/ready
	python -m scans

# Asks PyPI and npm for known vulnerabilities: make -k audit asks the second if the first has some.
audit: audit-python audit-node

audit-python: .venv/ready .venv-scans/ready
	pipenv requirements --dev > .venv-scans/requirements.txt
	.venv-scans/bin/pip-audit --strict --no-deps --disable-pip --requirement .venv-scans/requirements.txt

audit-node: .venv/ready
	npm audit --package-lock-only

bench: setup
	python -m benchmarks.synthesis

setup: .venv/ready node_modules/ready

.venv/ready: Pipfile.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet pipenv==2026.10.3
	pipenv sync --dev
	touch $@

.venv-scans/ready: scans/Pipfile.lock .venv/ready
	$(PYTHON) -m venv .venv-scans
	VIRTUAL_ENV=$(CURDIR)/.venv-scans PIPENV_PIPFILE=$(CURDIR)/scans/Pipfile pipenv sync
	touch $@

node_modules/ready: package-lock.json .venv/ready
	npm ci --ignore-scripts --no-audit --no-fund
	touch $@
