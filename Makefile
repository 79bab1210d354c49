# make lab | book | test | bench | clean. Each sets up .venv by itself, and only once.
# PYTHON: the interpreter .venv is made from · PIP_ARGS: more arguments for pip
# LAB_APP: notebook for Notebook 7 in place of JupyterLab · LAB_ARGS: more for either
# FRESH: chapters to copy anew (make lab FRESH=02) · TEST_ARGS: more for pytest
PYTHON ?= python3
LAB_APP ?= lab
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help lab book test bench clean

help:
	@echo "make lab    the chapters as notebooks in JupyterLab"
	@echo "make book   the book as web pages, offline"
	@echo "make test   every check there is"
	@echo "make bench  speed against the usual alternatives"
	@echo "make clean  away with everything these made, but for work/"

$(READY): pyproject.toml constraints.txt $(shell find jupyter -type f)
	@echo "Setting up .venv: about 180 packages, a few minutes the first time, never again until a version changes."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "alignbook needs Python 3.11 or newer, got " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@

# Settings, layout, history and keys stay in the checkout: nothing is written to, or read from, the user's own.
# A container's only user is often root, hence allow_root.
lab: export JUPYTER_CONFIG_DIR = $(CURDIR)/work/.jupyter/config
lab: export JUPYTER_DATA_DIR = $(CURDIR)/work/.jupyter/data
lab: export JUPYTER_RUNTIME_DIR = $(CURDIR)/work/.jupyter/runtime
lab: export JUPYTERLAB_SETTINGS_DIR = $(CURDIR)/work/.jupyter/settings
lab: export JUPYTERLAB_WORKSPACES_DIR = $(CURDIR)/work/.jupyter/workspaces
lab: export IPYTHONDIR = $(CURDIR)/work/.jupyter/ipython
lab: $(READY)
	@$(BIN)/python tools/work_copies.py $(FRESH)
	@echo "Opening Jupyter on work/contents.md. Control-C stops it."
	@exec $(BIN)/jupyter $(LAB_APP) --ServerApp.allow_root=True --LabApp.default_url=/lab/tree/work/contents.md \
	  --JupyterNotebookApp.default_url=/tree/work $(LAB_ARGS)

# BOOK: another source folder, as the tests of its strictness use · OFFLINE_RUNTIME=1: labs run in the page without the network
book: BOOK ?= .
book: $(READY)
	@echo "Building the book: about a minute the first time, seconds after that."
	@$(BIN)/jupyter-book build $(BOOK) -W -n --keep-going -q
	@echo "The book: $(abspath $(BOOK))/_build/html/index.html"

# Fast checks first; pytest's closing line, after its ten slowest parts, ends the output.
test: $(READY)
	@echo "ruff: style of the code"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "ruff: style of the chapters' cells"
	@rm -rf _build/cells
	@$(BIN)/jupytext --quiet --to ../_build/cells//ipynb chapters/*.md
	@$(BIN)/ruff check --quiet --line-length 88 _build/cells
	@$(BIN)/ruff format --check --quiet --line-length 88 _build/cells
	@echo "codespell: spelling"
	@$(BIN)/codespell
	@echo "import-linter: imports go down only"
	@$(BIN)/lint-imports --no-logo --no-cache
	@echo "pyright: types"
	@$(BIN)/pyright
	@echo "The browser for tests"
	@$(BIN)/python tools/find_browser.py || test -z "$$CI"
	@echo "pytest: functions, theorems, pages, JupyterLab (minutes)"
	@$(BIN)/python -m pytest $(TEST_ARGS)

bench: $(READY)
	@echo "Comparing speed and accuracy with the usual alternatives"
	@$(BIN)/python -m benchmarks

# work/ holds the runner's own copies: it stays.
clean:
	rm -rf .venv _build dist .jupyter_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .cache
	find . -name __pycache__ -not -path './work/*' -prune -exec rm -rf {} +
