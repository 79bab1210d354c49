# make lab | book | test | bench | clean. Each sets up .venv by itself, and only once.
# PYTHON: the interpreter .venv is made from · PIP_ARGS: more arguments for pip · LAB_ARGS: more for JupyterLab
PYTHON ?= python3
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

$(READY): pyproject.toml constraints.txt
	@echo "Setting up .venv: about 180 packages, a few minutes the first time, never again until a version changes."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "alignbook needs Python 3.11 or newer, got " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@

book: $(READY)
	@echo "Building the book: about a minute the first time, seconds after that."
	@$(BIN)/jupyter-book build . -W -n --keep-going -q
	@echo "The book: $(CURDIR)/_build/html/index.html"
