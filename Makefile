# Everything a fresh machine needs beyond Python 3.11, pip, make and gcc is set up here.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: setup demo docs keys test test-cluster test-others lint format bench bench-memory faults physics hunting enrichment families manifests autoscaling scaling clean

setup: $(READY)

# torch comes first and by itself: left to a range, pip may take gigabytes of CUDA instead.
$(READY): pyproject.toml constraints.txt raybead/models/_pairs.c raybead/models/_pairs_kernel.h raybead/hunt/toys/_toys.c
	@echo "setting up $(VENV): some 3.5 GB, and minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(TORCH)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	    --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/raybead demo

# Tests of the cluster wait for much of their time, so the others run beside them.
test: $(READY)
	$(MAKE) --jobs=2 --output-sync=target test-cluster test-others

test-cluster: $(READY)
	$(BIN)/python -m pytest tests/distributed --durations=5

test-others: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore=tests/distributed --durations=5

# The site, in build/docs. The notebook runs where it, or what it ran with, is not known yet.
docs: keys
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees \
	    -D nb_execution_cache_path=$(CURDIR)/build/notebooks docs build/docs
	@echo "build/docs/index.html"

# Pages of docs/ that are written from the code.
keys: $(READY)
	$(BIN)/python docs/write_pages.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python tests/benchmarks/bench.py

# Strikes a run with every fault: most of an hour.
faults: $(READY)
	$(BIN)/python tests/faults/run.py

physics: $(READY)
	$(BIN)/python tests/benchmarks/physics.py

hunting: $(READY)
	$(BIN)/python tests/benchmarks/hunting.py

enrichment: $(READY)
	$(BIN)/python tests/benchmarks/enrichment.py

families: $(READY)
	$(BIN)/python tests/benchmarks/families.py

# What stands in cluster/, file by file, and what says that it is valid.
manifests: $(READY)
	$(BIN)/python tests/cluster/validate.py

# A cluster that grows and shrinks, simulated on this machine: prints what came and went, and when.
autoscaling: $(READY)
	$(BIN)/python -m pytest -s tests/distributed/test_autoscaling.py

# What an event and a task cost, and what larger jobs would take; WRITE=--write puts it into docs.
scaling: $(READY)
	$(BIN)/python tests/benchmarks/scaling.py $(WRITE)

bench-memory: $(READY)
	$(BIN)/python tests/benchmarks/memory.py

clean:
	rm -rf $(VENV) build dist *.egg-info
