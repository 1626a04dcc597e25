.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
PULUMI_VERSION = $(shell sed -nE 's|.*pulumi/pkg/v3 (v[0-9.]+).*|\1|p' tools/pulumi/go.mod)

.PHONY: help demo upload status explain smoke flush redrive tail emulator storm bench screenshots pulumi test test-engine judges check workflows fuzz audit sbom format package lock clean

help:
	@awk -F ':.*## ' '/^## / { print "\n" substr($$0, 4) } \
		/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

## Use it (on the stack dev; another: STACK=prod; the running demo: STACK=demo):

demo: .venv/local ## Try it on this machine: upload a log, see the text
	@$(BIN)/python -m local $(ARGS)

# The shell quotes FILE and KEY, not make: a key may have any character.
upload: .venv/local ## Put a file into the demo's bucket (FILE=a.log KEY=app/a.log)
	@$(BIN)/python -m local upload "$$FILE" $(if $(KEY),--key="$$KEY")

STACK ?= dev
status explain smoke flush redrive tail: .venv/ops
	@$(BIN)/python -m ops --stack $(STACK) $@ $(if $(filter explain,$@),--key="$$KEY")
status: ## Show the last texts, held and failed ones, and alarms
explain: ## Show which phones a log would text, and why (KEY=app/a.log)
smoke: ## Upload a log and follow it to Twilio's record of the text
flush: ## Text the held logs now
redrive: ## Move failed texts back to held

## Develop it:

tail: ## Show the functions' decisions live (Ctrl-C ends it)

emulator: .venv/local ## Emulate AWS for the stack local (see README.md)
	@$(BIN)/python -m local emulator

storm: .venv/local ## Upload 10,000 files to the emulator, count texts (ARGS=2000)
	@$(BIN)/python -m local storm $(ARGS)

bench: .venv/bench ## Measure starts, uploads, storms, a month (half an hour)
	@$(BIN)/python -m bench $(ARGS)

screenshots: .venv/tests ## Take the pictures of the phone that the README shows
	@$(BIN)/python -m tests.browser.screenshots

# In a process of their own: after a failed update, Pulumi's Automation API leaves its event loop open.
# Without hypothesis: closing that loop can break its late import, and these tests do not use it.
test-engine: .venv/tests ## Run the program by Pulumi's own engine
	@$(BIN)/python -m pytest tests/engine -p no:hypothesispytest \
		-W ignore::pytest.PytestUnraisableExceptionWarning $(ARGS)

# Go builds the engine alone. Pulumi's own distribution has the language plugin for Python
# beside it, which `pulumi preview` and `pulumi up` need.
DEPLOYS := It runs make test-engine and make demo ARGS=--engine. It has no language plugin, so it \
           cannot deploy: for that, install Pulumi from https://www.pulumi.com/docs/install/
pulumi: ## Find Pulumi's CLI, or build one for tests: it cannot deploy
	@if pulumi version 2>/dev/null | grep -q '^v3\.'; then \
		echo "Pulumi's CLI is installed."; \
	elif .bin/pulumi version >/dev/null 2>&1; then \
		echo "Pulumi's CLI is in .bin/, built from source. $(DEPLOYS)"; \
	elif command -v go >/dev/null; then \
		echo "Building Pulumi's CLI $(PULUMI_VERSION) into .bin/ (once, some minutes) ..."; \
		cd tools/pulumi && go build -o ../../.bin/pulumi -ldflags \
		"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$(PULUMI_VERSION)" \
		github.com/pulumi/pulumi/pkg/v3/cmd/pulumi && echo "Built .bin/pulumi. $(DEPLOYS)"; \
	else \
		echo "Neither Pulumi's CLI nor Go is installed. To install the CLI, see" \
		     "https://www.pulumi.com/docs/install/" >&2; exit 1; \
	fi

# A worker for each core. Each starts an emulator, so at most four, to fit into memory.
WORKERS := -n auto --maxprocesses 4
test: .venv/tests ## Run most tests (ARGS=tests/unit: the fast ones)
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

judges: .venv/judges ## Test with AWS's runtime, cfn-lint, botocore, Twilio's API
	@$(BIN)/python -m pytest tests/judges $(ARGS)

# More examples of the property tests than `make test` tries: see tests/conftest.py.
THOROUGH := --hypothesis-profile=thorough
check: .venv/tests .venv/judges ## Run CI's checks: format, lint, types, tests, coverage
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory workflows
	@$(BIN)/python -m pytest $(WORKERS) $(THOROUGH) --cov --cov-report=term-missing:skip-covered
	@$(MAKE) --no-print-directory test-engine
	@$(MAKE) --no-print-directory judges ARGS=$(THOROUGH)

workflows: .venv/tests ## Check the workflows of GitHub Actions
	@$(BIN)/zizmor --offline --quiet .github
	@if command -v actionlint >/dev/null; then actionlint; \
	elif [ -x .bin/actionlint ]; then .bin/actionlint; \
	elif command -v go >/dev/null; then \
		cd tools/actionlint && go build -o ../../.bin/actionlint \
		github.com/rhysd/actionlint/cmd/actionlint && cd ../.. && .bin/actionlint; \
	else echo "Skipped actionlint: neither it nor Go is installed."; test -z "$(CI)"; fi

fuzz: .venv/tests ## Feed the readers random input for some minutes
	@$(BIN)/python -m pytest tests/unit/test_fuzz.py --hypothesis-profile=fuzz $(ARGS)

audit: .venv/tests ## Look for known vulnerabilities in the locked dependencies
	@for lock in requirements.txt */requirements.txt tests/judges/requirements.txt; do \
		echo "$$lock"; $(BIN)/pip-audit --strict --disable-pip --require-hashes -r $$lock || exit 1; done

sbom: .venv/tests ## List Lambda's dependencies in .build/sbom.json (CycloneDX)
	@mkdir -p .build
	@$(BIN)/cyclonedx-py requirements handler/requirements.txt -o .build/sbom.json
	@echo "Wrote .build/sbom.json"

format: .venv/tests ## Format the code and fix what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

package: .venv/local ## Build the package for Lambda; print its folder, hash, size
	@$(BIN)/python -m infra.package

# twilio's metadata requires aiohttp and PyJWT, but a text never imports them.
# They are not locked, so they are not installed and cannot reach Lambda.
UNUSED := aiohappyeyeballs aiohttp aiohttp-retry aiosignal attrs frozenlist multidict propcache pyjwt \
          typing-extensions yarl
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-header --no-emit-index-url
lock: .venv/tests ## Lock the dependencies of pyproject.toml, with hashes
	@$(LOCK) --group tests $(ARGS) -o tests/requirements.txt
	@$(LOCK) --group judges -c tests/requirements.txt --no-emit-package future -o tests/judges/requirements.txt
	@$(LOCK) --group bench -c tests/requirements.txt -o bench/requirements.txt
	@$(LOCK) --group ops -c tests/requirements.txt -o ops/requirements.txt
	@$(LOCK) --group local -c tests/requirements.txt -o local/requirements.txt
	@$(LOCK) --group program -c tests/requirements.txt -o requirements.txt
	@$(LOCK) --group handler -c tests/requirements.txt $(UNUSED:%=--no-emit-package %) \
		-o handler/requirements.txt

clean: ## Remove what these commands made, except .bin/
	@rm -rf .venv .build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "S3 Logs needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
		     "Name another one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making a virtual environment in .venv (once, some seconds) ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment with pip." \
		     "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

INSTALL = @echo "Installing $< into .venv (once, up to a minute) ..."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--require-hashes --only-binary :all: $(addprefix -r ,$(filter %requirements.txt,$^)) || { \
		echo "Could not install $<: see pip's message above. If PyPI was unreachable, run the" \
		     "command again. If a hash did not match, run make clean first." >&2; exit 1; }; \
	touch $@

.venv/%: %/requirements.txt .venv/pyvenv.cfg
	$(INSTALL)

.venv/judges: tests/judges/requirements.txt .venv/tests
	$(INSTALL)

# `pulumi up` installs nothing if there is a .venv, so each lock must have the program's requirements.
# Only the lock of ops lacks them.
.venv/ops: requirements.txt
