# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Without a CUDA GPU the CPU build of torch is enough (and several gigabytes smaller).
TORCH_INDEX := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo --extra-index-url https://download.pytorch.org/whl/cpu)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
PIP_TORCH := $(PIP) --retries 1 --timeout 20 $(TORCH_INDEX) -r requirements-torch.lock

.PHONY: demo test test-slow lint check bench docs mutate parts audit licences clean
# Train on the bundled sample, forecast past its end both ways, draw it, and say where to look.
SAMPLE := datasets/seattle_weather.csv
demo: .venv/installed
	$(BIN)/python cli.py train configs/s2dbm.yaml --csv $(SAMPLE) --horizon 28 --lookback 112 \
	    --lower precipitation=0,wind=0 --run-name demo --output demo/model
	$(BIN)/python cli.py forecast --model demo/model --csv $(SAMPLE) --mode point --output demo/point.csv
	$(BIN)/python cli.py forecast --model demo/model --csv $(SAMPLE) --mode probabilistic \
	    --quantiles 0.05,0.25,0.5,0.75,0.95 --output demo/probabilistic.csv --plot demo/forecast.png
	@echo "the picture: demo/forecast.png    the run in the MLflow UI: $(BIN)/python cli.py ui"

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -n 2 -m slow -o faulthandler_timeout=7200

check: test

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2

bench: .venv/installed
	$(BIN)/python tests/bench/bench.py docs/benchmarks.md
	$(BIN)/python tests/bench/bench_delta.py docs/benchmarks.md
	$(BIN)/python tests/bench/bench_reading.py docs/benchmarks.md
	$(BIN)/python tests/bench/bench_many.py docs/benchmarks.md

.venv/installed: requirements.lock requirements-torch.lock
	@echo "installing into .venv (a few minutes, once)" >&2
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# torch is as large as all others: both at once, and then what its wheel needs besides, if anything
	$(PIP_TORCH) --no-deps & $(PIP) --require-hashes --no-deps -r requirements.lock; lock=$$?; \
	    wait $$! && exit $$lock
	$(PIP_TORCH)
	$(PIP) --no-deps --no-build-isolation --editable .
	@# all processors at once, where pip takes one; the files left out are of a newer Python
	-$(BIN)/python -m compileall -qq -j 0 -x '/py31[0-9]_' .venv/lib
	$(BIN)/python -m pip check --quiet
	touch $@

# The site of docs/, into site/; links and anchors that lead nowhere end it.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Mutation testing: which single mistakes in the mathematics no test notices (half an hour or more;
# make mutate ROOMS="bank score").
mutate: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutation/mutate.py $(ROOMS)

# Known vulnerabilities of what the lock file names; needs the network. A package that cannot be looked up ends it, too.
audit:
	test -x .venv-audit/bin/pip-audit || ($(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet pip-audit==2.10.1)
	.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

# The licences of all packages, as they name them.
licences: .venv/installed
	$(BIN)/python tests/licences.py docs/licences.md

# What `models parts` and `models show` read, anew from the registry.
parts: .venv/installed
	$(BIN)/python -m forecaster.config.part_index

clean:
	rm -rf .venv .venv-audit demo site .mypy_cache .ruff_cache .pytest_cache .hypothesis
