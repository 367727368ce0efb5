# make demo and make test need nothing but Python. STACK=onedl takes the maintained fork
# of OpenMMLab's packages, in an environment of its own.
PYTHON ?= python3
STACK ?= openmmlab
VENV_openmmlab := .venv
VENV_onedl := .venv-onedl
VENV := $(VENV_$(STACK))
ifeq ($(VENV),)
$(error STACK=$(STACK): it must be openmmlab or onedl)
endif
BIN := $(VENV)/bin
# The first stack reports the coverage. The fork's leaves out what is the same on both.
TESTS_openmmlab := --cov=dhm_plugin
TESTS_onedl := -m 'not one_stack'

.PHONY: demo test lint install

demo: install
	$(BIN)/python -W ignore tools/analysis_tools/demo.py

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS_$(STACK))

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: $(VENV)/.installed

# What is imported is compiled once, whatever the environment says: with each process
# anew it is more than half of the time that a command takes to start.
export PYTHONDONTWRITEBYTECODE :=

# MMCV_WITH_OPS=0: onedl-mmcv is built from source, and classifiers need none of its ops.
# --no-compile: Python compiles what is imported, a small part of all, when it is.
$(VENV)/.installed: setup.py
	$(PYTHON) -m venv $(VENV)
	MMCV_WITH_OPS=0 $(BIN)/pip install -q --disable-pip-version-check \
	    --no-compile -e '.[$(STACK),cam,dali,demo,export,test]'
# MMEngine asks for the OpenCV that needs libGL. This one, over it, needs no screen.
	$(BIN)/pip install -q --disable-pip-version-check \
	    --force-reinstall --no-deps opencv-python-headless
	touch $@
