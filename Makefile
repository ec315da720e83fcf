# The commands of the project. Each target makes what it needs, from a fresh clone on.
# `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test test-pythons test-cpython chaos chaos-sharing chaos-work sanitize lint \
        accuracy docs bench bench-everyday bench-check bench-fork bench-interrupts \
        bench-transport wheel clean

PYTHON ?= python3
ARGS ?=
METHODS ?= fork spawn forkserver
OTHERS ?= $(METHODS)
N ?= 500
SEED ?= 1
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
CORE := pyproject.toml setup.cfg setup.py minitensor/dtype.py minitensor/optable.py \
        minitensor/opdocs.py minitensor/fingerprint.py \
        $(shell find minitensor/core -name generated -prune \
            -o \( -name '*.[ch]' -o -name '*.inc' -o -name '*.py' \) -print)
SOURCES := $(CORE) $(shell find minitensor -name '*.py')

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

demo: .venv/.installed ## run the five demo programs; print their output and their forks
	@$(BIN)/python tools/demo.py

test: .venv/.installed ## run the whole suite in parallel; ARGS="-k queue" goes to pytest
	@$(BIN)/python -m pytest -q -n auto --dist=worksteal $(ARGS)

test-pythons: build/wheels/.made ## test the wheel on every other installed CPython
	@tools/each_python.sh build/wheels/*.whl 300 python -m pytest -q -n auto --dist=worksteal \
	    -p no:cacheprovider tests/test_scenarios.py tests/test_tensor.py tests/test_fork.py \
	    tests/test_fork_ways.py tests/sharing tests/multiprocessing \
	    -k "not (test_arena or test_membership or test_sharing_machine)" # C, the same on each version

test-cpython: .venv/.installed build/wheels/.made ## run CPython's own tests on ours; METHODS=, OTHERS=
	@$(BIN)/python tests/stress/cpython.py $(METHODS)
	@tools/each_python.sh build/wheels/*.whl 1800 python tests/stress/cpython.py $(OTHERS)

chaos: .venv/.installed ## fork in every way while threads work, N times: N=500 SEED=1
	@$(BIN)/python tests/stress/fork_chaos.py -n $(N) --seed $(SEED)

chaos-sharing: .venv/.installed ## kill processes that exchange tensors: N=500 SEED=1
	@$(BIN)/python tests/stress/sharing_chaos.py -n $(N) --seed $(SEED)

chaos-work: .venv/.installed ## kill, stop and crash workers of pools: N=500 SEED=1
	@$(BIN)/python tests/stress/work_chaos.py -n $(N) --seed $(SEED)

sanitize: .venv/.installed ## test the C core under ThreadSanitizer, AddressSanitizer and UBSan
	@tools/sanitize.sh $(BIN)/python

bench: .venv/.installed ## write docs/benchmarks.md, beside other libraries; ten minutes
	@$(BIN)/python benchmarks/report.py $(ARGS)

bench-everyday: .venv/.installed ## compare everyday calls with NumPy and torch; ARGS="--only view"
	@$(BIN)/python benchmarks/everyday.py $(ARGS)

bench-check: .venv/.installed ## check the limits of speed and memory; ARGS="--only log"
	@$(BIN)/python benchmarks/check.py $(ARGS)

bench-fork: .venv/.installed ## measure forks beside those of the bare interpreter
	@$(BIN)/python benchmarks/fork.py $(ARGS)

bench-interrupts: .venv/.installed ## measure how soon Ctrl-C ends each kind of wait
	@$(BIN)/python benchmarks/interrupts.py $(ARGS)

bench-transport: .venv/.installed ## measure tensors through queues; ARGS=--page for its page
	@$(BIN)/python benchmarks/transport.py $(ARGS)

lint: .venv/.lint ## run ruff, mypy and clang-format
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@[ ! -x $(BIN)/clang-format ] || $(BIN)/clang-format --dry-run -Werror \
	    $$(git ls-files 'minitensor/core/*.[ch]' 'minitensor/core/*.inc' 'tests/core/*.c')

accuracy: .venv/.installed ## measure errors of functions; ARGS="--step 1009" is quick
	@$(BIN)/python tools/accuracy.py $(ARGS)

docs: .venv/.installed ## generate docs/ops.md, docs/configuration.md and the stubs
	@$(BIN)/python docs/stubs.py
	@$(PYTHON) docs/generate.py

wheel: build/wheels/.made ## build the wheel, one for every CPython from 3.10 on
	@ls build/wheels/*.whl

clean: ## delete everything that was built, the environment included
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf minitensor/core/generated minitensor/backend/_core.c minitensor/backend/_core.abi3.so
	find minitensor tests examples benchmarks tools docs -name __pycache__ -type d -prune \
	    -exec rm -rf {} +

# A stamp records that a step is complete; an interrupted step runs again.
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
	    $(PIP) install "$$tool" || \
	    echo "· $$tool can't be installed here; its checks are left out"; done
	@touch $@

build/wheels/.made: .venv/.made $(SOURCES)
	@echo "· the wheel"
	@rm -rf build/lib* build/bdist* build/wheels # deleted sources must not get into the wheel
	@$(PIP) wheel --no-deps --wheel-dir build/wheels .
	@touch $@
