# fastpath: `make run` shows it at work, `make test` checks it; both set everything up themselves.
#
#   make build    venv, dependencies, compiled modules in place
#   make check    ruff, mypy --strict, layer and house rules
#   make test-controllers   Faucet and os-ken drive the switch (installs them in build/controllers)
#   make test-kernel   the kernel's datapath, in a virtual machine (tests/kernel/README.md)
#   make bench    the benches, as a table
#   make layout   regenerate _flow_layout.{h,pxd} from fields.py
#   make dist     sdist and wheel
#   make clean    remove what was built

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
JOBS   ?= $(shell nproc)
PYTEST_ARGS ?=
KERNEL_LIMIT ?= 900
KERNEL_CASES ?=

SOURCES := $(shell find fastpath -name '*.pyx' -o -name '*.pxd' -o -name '*.h') setup.py fastpath/fields.py
STAMPS  := build/.venv-ready build/.built

.PHONY: run test test-kernel test-controllers check build bench layout dist clean
.DEFAULT_GOAL := build

run: build
	$(PY) examples/lab.py

test: build
	PY=$(PY) tools/test $(PYTEST_ARGS)

test-controllers: build
	PYTHON=$(PYTHON) tools/controllers build/controllers
	FASTPATH_CONTROLLERS=build/controllers $(PY) -m pytest $(PYTEST_ARGS) \
		tests/interop/test_os_ken.py tests/netns/test_switch_tests.py tests/netns/test_faucet.py

# Status 77: no such machine can be had here.
# What is not compiled is compiled in the guest, where that takes minutes.
test-kernel: build
	$(PY) -m compileall -q fastpath tests
	tests/kernel/guest -t $(KERNEL_LIMIT) -- $(abspath $(PY)) tests/kernel/cases.py $(KERNEL_CASES) || \
	    { [ $$? -eq 77 ] && echo "test-kernel: skipped"; }

check: build
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest tests/test_layers.py tests/test_house.py tests/test_fields.py

bench: build
	$(PY) benches/run_all.py

build: build/.built

layout:
	$(PYTHON) -c "import runpy; runpy.run_path('fastpath/_layoutgen.py')['write']()"

dist: build/.venv-ready
	$(PY) -m build

build/.venv-ready: pyproject.toml tools/bootstrap
	@mkdir -p build
	PYTHON=$(PYTHON) VENV=$(VENV) tools/bootstrap
	@touch $@

build/.built: build/.venv-ready $(SOURCES)
	FASTPATH_JOBS=$(JOBS) $(PY) setup.py -q build_ext --inplace -j $(JOBS)
	FASTPATH_ONLY=none $(PY) -m pip install -q --no-build-isolation --no-deps -e .
	@touch $@

clean:
	rm -rf build dist $(VENV) fastpath.egg-info
	find fastpath -name '*.so' -delete
