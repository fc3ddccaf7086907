# `make` alone prints what there is. Every recipe is a line or two that call Python;
# what they do lies in tools/ and grader/.
PYTHON ?=
LAB_ARGS ?=
NB ?=
# With PATH, since nbgrader starts programs (alembic) that lie beside its Python.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python
# A process per core, up to four, each with whole files of tests, browser tests last
TESTS := $(RUN) -m pytest -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
STYLE := $(RUN) -m ruff check . && $(RUN) -m ruff format --check .

.DEFAULT_GOAL := help
.PHONY: lab test setup system build check import demo bench clean help

lab: setup ## Open the course in JupyterLab (LAB_ARGS="--no-browser --port=8899")
	@$(RUN) -m tools.lab $(LAB_ARGS)

test: setup system ## Run every check and every test (minutes)
	@$(STYLE) && $(RUN) -m tools.notebooks check
	@$(TESTS) --durations=15

setup: ## Set up .venv as constraints.txt pins it (PYTHON=python3.13 to choose one)
	@python3 tools/setup_environment.py --python="$(PYTHON)"

system: ## Install bubblewrap and chromium, or print the line that does
	@python3 tools/setup_environment.py --system

build: setup ## Build the notebooks from their text in authoring/
	@$(RUN) -m tools.notebooks build

check: setup ## Run the fast checks: style, built notebooks, fast tests
	@$(STYLE) && $(RUN) -m tools.notebooks check
	@$(TESTS) -m "not slow and not browser"

import: setup ## Write a notebook edited in JupyterLab back to authoring/ (NB=path)
	@$(RUN) -m tools.notebooks import $(NB)

demo: setup system ## Grade a made-up class of 20 and print its table of grades
	@$(RUN) -m grader demo

bench: setup system ## Measure grading against stock nbgrader, training against Lightning
	@$(RUN) -m benchmarks.grading
	@$(RUN) -m benchmarks.training

clean: ## Remove what can be made again; .venv and class folders stay
	@rm -rf build .pytest_cache .ruff_cache *.egg-info

help: ## Print this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
