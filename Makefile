# One task a word. Each task does its own set-up, so any of them works first thing in a fresh clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DIST   ?= dist
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input

.PHONY: demo test matrix faults cover bench transfers lint style types floors format wheel clean help

demo: $(VENV)/.installed  ## make a small sample repository that shows everything (DIR=folder says where)
	$(BIN)/comfyvn-store demo $(DIR)

test: $(VENV)/.installed-dev $(VENV)/.servers  ## run the tests (ARGS='-k name' chooses)
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

matrix: $(VENV)/.installed-dev  ## run every git verb with hooks, without, and with hooks gone, and print the table
	$(BIN)/python -m tests.verbs -n auto $(ARGS)

faults: $(VENV)/.installed-dev  ## kill every verb, and fail it, at every call that changes a file, and cut the power often
	FAULTS=all POWER_CUTS=40 $(BIN)/python -m pytest -n auto --dist load $(ARGS) \
	  tests/test_faults_verbs.py tests/test_power_cut.py

cover: $(VENV)/.installed-dev $(VENV)/.servers  ## run the tests and report the lines and branches that none of them reaches
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n auto --dist loadfile $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

bench: $(VENV)/.installed-dev $(VENV)/servers/.dvc  ## measure beside git, git-lfs, git-annex and DVC (ARGS=--quick: small; --help says more)
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

transfers: $(VENV)/.installed-dev $(VENV)/.servers  ## measure push and pull through a folder, S3 and Git LFS
	$(BIN)/python tests/benchmarks/sharing.py $(ARGS)

lint: style types floors  ## check style, types and floors

style: $(VENV)/.installed-dev  ## check the form of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev  ## check the types
	$(BIN)/mypy --strict -p comfyvn_store

floors: $(VENV)/.installed-dev  ## check that imports go down only
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed-dev  ## build the wheel into dist/ (DIST=folder)
	$(BIN)/python -m build --wheel --no-isolation --outdir $(DIST) .

clean:  ## remove what the other tasks made; a demo repository stays
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find comfyvn_store tests -type d -name __pycache__ -prune -exec rm -rf {} +

help:  ## list the tasks
	@sed -n 's/^\([a-z]*\):.*  ## /\1	/p' Makefile | while IFS='	' read -r task does; do printf '%-8s %s\n' "$$task" "$$does"; done

# The set-up. A stamp is written last, so an interrupted set-up is taken up again; a changed pyproject.toml repeats
# the installation. Both installations are editable: the code that runs is the code in this checkout.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: comfyvn-store needs Python 3.11 or newer, and '$(PYTHON)' is not: $$($(PYTHON) --version 2>&1 | tail -n 1)" >&2; \
	  echo "hint: name another one, as in: make $(firstword $(MAKECMDGOALS) demo) PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up $(VENV), once"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "error: '$(PYTHON) -m venv' failed" >&2; \
	  echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml
	@$(PIP) --editable '.[dev]'
	@! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(VENV) husky@9 || \
	  echo "note: husky could not be installed; its tests will be skipped" >&2
	@touch $(VENV)/.installed $@

# Servers that remotes are tested against, and DVC, each with what it needs in a place of its own. One that cannot be
# installed is no failure: its tests are skipped.

$(VENV)/.servers: $(patsubst tests/servers/%.txt,$(VENV)/servers/.%,$(wildcard tests/servers/*.txt))
	@! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(VENV) azurite@3 || \
	  echo "note: azurite could not be installed; the tests of it will be skipped" >&2
	@touch $@

$(VENV)/servers/.%: tests/servers/%.txt $(VENV)/.made
	@{ test -e $(@D)/$*/bin/python || $(PYTHON) -m venv $(@D)/$*; } && \
	  $(@D)/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r $< || \
	  echo "note: $* could not be installed; what needs it will be left out" >&2
	@mkdir -p $(@D)
	@touch $@
