# What people run.  Each target makes what it needs, from a fresh clone on; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test test-pythons test-cpython chaos chaos-sharing sanitize lint accuracy docs bench bench-check bench-fork bench-interrupts bench-transport wheel clean

PYTHON ?= python3
ARGS ?=
METHODS ?= fork spawn forkserver
OTHERS ?= $(METHODS)
N ?= 500
SEED ?= 1
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
CORE := pyproject.toml setup.cfg setup.py minitensor/dtype.py minitensor/optable.py minitensor/opdocs.py minitensor/fingerprint.py \
        $(shell find minitensor/core -name generated -prune -o -name '*.[ch]' -print -o -name '*.inc' -print -o -name '*.py' -print)
SOURCES := $(CORE) $(shell find minitensor -name '*.py')

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

demo: .venv/.installed ## the five programs of the document: what they print, and what the forks did
	@$(BIN)/python tools/demo.py

test: .venv/.installed ## the whole suite, in parallel; ARGS="-k queue" is handed to pytest
	@$(BIN)/python -m pytest -q -n auto --dist=worksteal $(ARGS)

test-pythons: build/wheels/.made ## the one wheel and a core of the suite on every other CPython that is here
	@tools/each_python.sh build/wheels/*.whl 300 python -m pytest -q -n auto --dist=worksteal -p no:cacheprovider \
	    tests/test_scenarios.py tests/test_tensor.py tests/test_fork.py tests/test_fork_ways.py tests/sharing \
	    tests/multiprocessing \
	    -k "not model_is_right" # the model of the protocol enumerates the same states on each

test-cpython: .venv/.installed build/wheels/.made ## CPython's own tests of multiprocessing on ours, with each CPython; METHODS=spawn, OTHERS=fork: start methods
	@$(BIN)/python tests/stress/cpython.py $(METHODS)
	@tools/each_python.sh build/wheels/*.whl 1800 python tests/stress/cpython.py $(OTHERS)

chaos: .venv/.installed ## forks by every way while threads work, N times: N=500 SEED=1
	@$(BIN)/python tests/stress/fork_chaos.py -n $(N) --seed $(SEED)

chaos-sharing: .venv/.installed ## processes that exchange tensors, killed, stopped or guests at any moment and step: N=500 SEED=1
	@$(BIN)/python tests/stress/sharing_chaos.py -n $(N) --seed $(SEED)

sanitize: .venv/.installed ## the C core under ThreadSanitizer, AddressSanitizer and UBSan
	@tools/sanitize.sh $(BIN)/python

bench: .venv/.installed ## docs/benchmarks.md: speed, imports and memory beside the libraries that are here, in some ten minutes
	@$(BIN)/python benchmarks/report.py $(ARGS)

bench-check: .venv/.installed ## the limits of speed and memory, beside the libraries that are here; ARGS="--only log --rounds 3" is quick
	@$(BIN)/python benchmarks/check.py $(ARGS)

bench-fork: .venv/.installed ## forks beside the bare interpreter's
	@$(BIN)/python benchmarks/fork.py $(ARGS)

bench-interrupts: .venv/.installed ## how soon Ctrl-C ends each kind of wait
	@$(BIN)/python benchmarks/interrupts.py $(ARGS)

bench-transport: .venv/.installed ## tensors through queues, beside the standard package and torch where it is installed; ARGS=--page writes docs/transport.md
	@$(BIN)/python benchmarks/transport.py $(ARGS)

lint: .venv/.lint ## ruff, mypy and clang-format
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@[ ! -x $(BIN)/clang-format ] || $(BIN)/clang-format --dry-run -Werror \
	    $$(git ls-files 'minitensor/core/*.[ch]' 'minitensor/core/*.inc' 'tests/core/*.c')

accuracy: .venv/.installed ## how far the elementary functions are from the truth, in docs/accuracy.md; ARGS="--step 1009" is quick
	@$(BIN)/python tools/accuracy.py $(ARGS)

docs: .venv/.installed ## what is generated: docs/ops.md, docs/configuration.md, the stubs of ops and Tensor
	@$(PYTHON) docs/generate.py
	@$(BIN)/python docs/stubs.py

wheel: build/wheels/.made ## the wheel that serves every CPython from 3.10 on
	@ls build/wheels/*.whl

clean: ## everything that was made here, the environment included
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf minitensor/core/generated minitensor/backend/_core.c minitensor/backend/_core.abi3.so
	find minitensor tests examples benchmarks tools docs -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that a step is over; an interrupted one is done again.
.venv/.made:
	@echo "· an environment in .venv, of $$($(PYTHON) --version)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.packages: .venv/.made pyproject.toml setup.cfg setup.py
	@echo "· dependencies, and the C core: some 30 seconds to a minute"
	@$(PIP) install 'setuptools>=64' wheel 'cffi>=1.15'
	@$(PIP) install --no-build-isolation -e '.[test,demo]'
	@touch $@

.venv/.installed: .venv/.packages $(CORE)
	@$(BIN)/python -W ignore setup.py -q build_ext --inplace
	@touch $@

.venv/.lint: .venv/.made pyproject.toml
	@echo "· ruff and mypy; pyright and clang-format where they can be had"
	@$(PIP) install 'cffi>=1.15' numpy pytest hypothesis ruff mypy
	@for tool in 'pyright[nodejs]' 'clang-format>=23,<24'; do \
	    $(PIP) install "$$tool" || echo "· $$tool can't be installed here; its checks are left out"; done
	@touch $@

build/wheels/.made: .venv/.made $(SOURCES)
	@echo "· the wheel"
	@rm -rf build/lib* build/bdist* build/wheels # what is no longer a source must not get into it
	@$(PIP) wheel --no-deps --wheel-dir build/wheels .
	@touch $@
