# Every command sets up .venv by itself; a second time that takes no time.
# Needs python3.11 and make, and reaches whatever package index pip is configured for.

PYTHON ?= python3.11
VENV := $(CURDIR)/.venv
READY := $(VENV)/.ready
TRYTON := $(CURDIR)/.tryton/venv
COMPANY := $(CURDIR)/company
DBT_PROJECT := $(CURDIR)/dbt_project

.DEFAULT_GOAL := help
.PHONY: help setup tryton demo test dev check

# No library calls home.
export DAGSTER_DISABLE_TELEMETRY := yes
export GX_ANALYTICS_ENABLED := false
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

demo test dev check: export PATH := $(VENV)/bin:$(PATH)
demo test dev check: export VIRTUAL_ENV := $(VENV)

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## set up .venv from requirements.lock

# Byte code is compiled and the models are parsed once here, not at every start.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(VENV)/bin/uv pip install --python $(VENV) --quiet --compile-bytecode --require-hashes -r requirements.lock
	$(VENV)/bin/uv pip install --python $(VENV) --quiet --no-deps --no-build-isolation -e .
	@BIHUAN_COMPANY=$(COMPANY) $(VENV)/bin/python -c "from pipeline.defs.warehouse import manifest_path; manifest_path()"
	@touch $@

tryton: $(TRYTON)/.ready  ## set up the Tryton that the tests read, in an environment of its own

$(TRYTON)/.ready: .ci/tryton/requirements.txt | $(READY)
	$(PYTHON) -m venv --clear --without-pip $(TRYTON)
	$(VENV)/bin/uv pip install --python $(TRYTON) --quiet --compile-bytecode --require-hashes -r $<
	@touch $@

# ERP=tryton books the orders and receipts of a smaller company in a live Tryton.
ifeq ($(ERP),tryton)
demo: $(TRYTON)/.ready
DEMO_OPTIONS := --erp tryton --company $(CURDIR)/.tryton/company --days 14 --orders 200
endif

demo: $(READY)  ## simulate a company, run everything on it, hold what was found against what was planted
	@bihuan demo $(DEMO_OPTIONS)

test: $(READY) $(TRYTON)/.ready  ## run every test
	python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# The simulated company's systems run as long as the UI does.
dev: $(READY)  ## the Dagster UI on the simulated company, http://127.0.0.1:3000
	@mkdir -p .dagster && cp dagster.yaml .dagster/
	DAGSTER_HOME=$(CURDIR)/.dagster bihuan simulate $(COMPANY) -- dg dev --host 127.0.0.1 --port 3000

check: $(READY)  ## ruff, mypy, sqlfluff, dbt parse, definitions load
	ruff check .
	ruff format --check .
	mypy
	BIHUAN_WAREHOUSE=:memory: sqlfluff lint --processes 2 dbt_project
	BIHUAN_WAREHOUSE=:memory: dbt --quiet parse --project-dir $(DBT_PROJECT) --profiles-dir $(DBT_PROJECT)
	BIHUAN_COMPANY=$(COMPANY) dg check defs
