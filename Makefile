# make demo    set up and find images in a sample archive (no torch, no GPU, nothing but packages downloaded)
# make test    set up and run everything that must pass
# make soak    kill captioning jobs fifty times
# make lint    ruff, pydoclint, mypy
# make bench   the timings of benchmarks/
#
# The tests need PyTorch. TORCH says which: a build for your machine's GPU, or a CPU build, for
# example  make test TORCH="torch --index-url ADDRESS-OF-THE-CPU-BUILDS".

PYTHON ?= python3
TORCH ?= torch==2.13.0
PIP = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

USE = .venv/bin/python
DEV = .venv-dev/bin/python
CHECKED = trsllava benchmarks pipelines datasets

.PHONY: demo test soak lint bench clean

demo: .venv/ready
	.venv/bin/trsllava demo

test: lint
	$(DEV) -m pytest

# Kill captioning jobs fifty times (the tests do it ten times).
soak: .venv-dev/ready
	TRSLLAVA_KILLS=50 $(DEV) -m pytest -s tests/test_caption_command.py -k kills

lint: .venv-dev/ready
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	.venv-dev/bin/pydoclint --quiet $(CHECKED)
	$(DEV) -m mypy

bench: .venv-dev/ready
	for script in benchmarks/*.py; do $(DEV) $$script || exit 1; done

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(USE) $(PIP) --editable .
	touch $@

# torch first and alone: a later package that merely wants "torch" then takes the one that is there.
.venv-dev/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv-dev
	$(DEV) $(PIP) $(TORCH)
	$(DEV) $(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-dev dist build trsllava-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
