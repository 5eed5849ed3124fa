# Everything is driven from here; `make help` lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.txt
INSTALLED := $(VENV)/installed
SPARK := $(VENV)/spark-installed
BENCH := $(VENV)/bench-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --retries 10 install --no-compile

.DEFAULT_GOAL := help
.PHONY: help setup demo measure results bench-serving images spark test e2e-cluster e2e-cluster-full lint format generate lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## Make the environment from the lock file

# torch comes first and with its dependencies: its CPU build has none, its CUDA build pins its own.
# Build tools come before the rest, so that source packages are built by locked versions too.
$(INSTALLED): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"homefeed needs Python 3.11; $(PYTHON) is {v[0]}.{v[1]}. Name another: make PYTHON=/path/to/python3.11")'
	@echo "Making $(VENV) from $(LOCK): about two minutes"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --constraint $(LOCK) setuptools wheel torch
	@$(PIP) --no-deps --no-build-isolation -r $(LOCK)
	@$(PIP) -q --no-deps --no-build-isolation -e .
# Every step of a pipeline is a process, which would compile what it imports anew where Python may
# not write. Some files of packages are of later Pythons: they do not compile, nor are imported.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@

demo: $(INSTALLED) ## From MovieLens-1M to REST recommendations, on this machine
	@$(BIN)/homefeed demo

measure: $(INSTALLED) ## Measure the README's figures again, from nothing, and write its tables
	@rm -rf build/measure
	@$(BIN)/homefeed demo --work build/measure --results docs/results/demo.json
	@$(BIN)/python -m homefeed.evaluation.results README.md

results: $(INSTALLED) ## Run all experiments (hours, resumable), or EXPERIMENT=..., and write docs/results
	@$(BIN)/python -m benchmarks.run $(EXPERIMENT)

$(BENCH): requirements/bench.txt $(INSTALLED)
	@$(PIP) -q --no-deps --no-build-isolation -r requirements/bench.txt
	@touch $@

bench-serving: $(BENCH) ## Measure serving beside bare TorchServe, FastAPI and FAISS (half an hour, resumable), or ARGS="--soak 10"
	@$(BIN)/python -m benchmarks.serving $(ARGS)

images: $(INSTALLED) ## Build the container images (needs podman)
	@$(BIN)/python -m images.build $(if $(RESULTS),--results $(RESULTS))

# Java it takes from the machine; without one its tests are left out.
$(SPARK): requirements/spark.txt $(INSTALLED)
	@$(PIP) -q --no-deps --no-build-isolation -r requirements/spark.txt
	@touch $@

spark: $(SPARK) ## Add Spark to the environment (456 MB), for HOMEFEED_ENGINE=spark://...

# The Java of tests ends before its second compiler pays.
test: $(SPARK) $(BENCH) lint ## Check and test everything
	@OMP_NUM_THREADS=1 JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" \
		$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal

e2e-cluster: $(INSTALLED) ## Test images, chart and pipelines on a real Kubernetes: KUBECONFIG's, or one of this machine
	@HOMEFEED_E2E_RESULTS=$(RESULTS) $(BIN)/python -m tests.cluster.run

e2e-cluster-full: $(INSTALLED) ## The same with all refreshes, failures and alerts: an hour
	@HOMEFEED_E2E_RESULTS=$(RESULTS) $(BIN)/python -m tests.cluster.run --full

lint: $(INSTALLED) ## Style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyrefly check
	@$(BIN)/lint-imports

format: $(INSTALLED) ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

generate: $(INSTALLED) ## Write the generated files again: compiled pipelines, references, tables of results
	@$(BIN)/python -m pipelines.compile
	@$(BIN)/python -m homefeed.cli.reference docs/recipes.md
	@$(BIN)/python -m serving.client.openapi docs/openapi.json
	@$(BIN)/python -m homefeed.capacity.measured
	@$(BIN)/python -m homefeed.evaluation.results README.md docs/*.md

lock: $(INSTALLED) ## Resolve requirements/*.in into requirements/*.txt again
	@$(BIN)/python requirements/lock.py

clean: ## Remove what was built; the environment and the data cache stay
	@rm -rf build
