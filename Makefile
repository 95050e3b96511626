# Every verb does the set-up that it needs, then its job.

# The first Python that is new enough; the system's own before what else is on PATH.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.setup-done
LESSON ?= 00-start-here
# Clients of Jupyter and of browsers leave sockets to the collector: there, such a warning is shown and is no failure.
LEAKS := -W default::pytest.PytestUnraisableExceptionWarning
SCRIPTS = .ci/run binder/start $(filter-out %.py %__pycache__,$(wildcard tools/*))

.DEFAULT_GOAL := help
.PHONY: help setup packages newer-engine kernel lab demo test test-fast test-machine test-notebooks test-browser
.PHONY: browser coverage fuzz check bench binder classroom shell clean

help:  ## show the verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: packages $(STAMP)  ## install what the lab needs (quick when it is done already)

test test-fast test-machine test-notebooks test-browser browser coverage: FOR = --tests

packages:
	@tools/setup $(FOR)

$(STAMP): pyproject.toml $(shell find share etc -type f) | packages
	@test "$(PYTHON)" || { echo "setup: there is no Python 3.11 or newer: install one, or name it: make PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv >/dev/null || { \
	    echo "setup: $(PYTHON) cannot make .venv: install its module venv (on Debian and Ubuntu: apt-get install" \
	        "python3-venv), then run make again" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

lab: setup  ## open your own copy of the lessons in JupyterLab; it is in LABKIT_DESK, or else ~/docker-lab
	@$(BIN)/labkit doctor; case $$? in \
	0)  exec $(BIN)/labkit lab;; \
	1)  exec $(BIN)/python tools/lab_image.py;; \
	*)  exit 2;; esac

kernel:  ## build the lab's own kernel, with which a `uml` machine is two to three times as fast
	@tools/setup --kernel
	@$(PYTHON) -m tools.kernel

demo: setup  ## show LESSON=00-start-here to a class, one step a key press
	$(BIN)/labkit doctor
	exec $(BIN)/labkit demo $(LESSON)

# What cannot be fetched is announced by the tests that would run on it.
newer-engine:
	@tools/newer-engine >/dev/null || true

test: test-fast test-machine test-notebooks test-browser  ## run every test: test-fast, test-machine, test-notebooks, test-browser

test-fast: setup newer-engine
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal --doctest-modules labkit \
	    tests/unit tests/hostile tests/engine tests/notebooks -m "not lessons"

coverage: setup newer-engine  ## say which lines of labkit the fast tests run, module by module
	$(BIN)/python -m pytest -q --cov --cov-report=term --doctest-modules labkit tests/unit tests/hostile tests/engine

SECONDS ?= 300

fuzz: setup  ## feed bent images to the layer inspection for SECONDS=300, others each time
	$(BIN)/python -m tests.hostile.fuzz $(SECONDS)

test-machine: setup newer-engine
	$(BIN)/python -m pytest tests/machine -m "not alone" --numprocesses=2 --dist=worksteal
	$(BIN)/python -m pytest tests/machine -m alone

test-notebooks: setup newer-engine
	$(BIN)/python tools/test_notebooks.py
	$(BIN)/python -m pytest tests/notebooks -m lessons

test-browser: setup
	$(BIN)/python -m pytest tests/browser --numprocesses=2 --dist=loadfile

browser: setup  ## use every lesson in a real browser, on each kind of machine
	$(BIN)/python -m pytest tests/browser --everything

check: setup  ## formatting, lint, types and shell scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/shellcheck --external-sources --source-path=SCRIPTDIR $(SCRIPTS)

bench: setup  ## measure the lab beside its peers
	$(BIN)/python -m benchmarks.run

binder: setup  ## build the image for Binder and rehearse it under Binder's limits
	$(BIN)/python tools/binder.py

N ?= 12
KIND ?= uml

classroom: setup  ## boot N=12 machines of KIND=uml at once, and measure what a class costs
	$(BIN)/python -m benchmarks.classroom $(N) $(KIND)

shell: setup  ## a root shell on a lab machine
	$(BIN)/labkit shell

clean:  ## remove what set-up and the tests made; with KERNEL=1 the lab's own kernel, with ENGINE=1 the newer engine, too
	@test -z "$(KERNEL)" || $(PYTHON) -m tools.kernel --remove
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .coverage build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
	@test -z "$(ENGINE)" || rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/labkit/engine"
