# The README's commands. Every other verb is in Pipfile's [scripts].

PYTHON ?= python3
PORT ?= 4566
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIPENV_VERBOSITY := -1

.PHONY: up down check test bench setup

up: .venv/ready
	python -m ops local up --port $(PORT)

down: .venv/ready
	python -m ops local down

check: .venv/ready
	ruff check
	ruff format --check
	mypy

test: setup
	python -m pytest

bench: setup
	python -m benchmarks.synthesis

setup: .venv/ready node_modules/ready

.venv/ready: Pipfile.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet pipenv==2026.10.3
	pipenv sync --dev
	touch $@

node_modules/ready: package-lock.json .venv/ready
	npm ci --ignore-scripts --no-audit --no-fund
	touch $@
