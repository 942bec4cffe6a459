# make setup | run | test | test-tls | fuzz-api | check | fuzz | bench | bench-crash | growth | rolling | image-check | audit | sbom | clean. Needs Python >= 3.11 and make; installs the rest into .venv/ and .lab/.
PYTHON ?= python3
BIN := .venv/bin
REPLAY ?= 20000
PORT ?= 8080
ADMIN_PORT ?= 9464
KAFKA ?= mock
FUZZ_SECONDS ?= 60
PROCESSES ?= 4
RERUNS ?= 0

# The tests start hundreds of processes: none is to compile the service anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run test test-tls fuzz-api fuzz check bench bench-crash growth rolling image-check audit sbom clean lock generated

setup: .venv/.complete

.venv/.complete: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Penstock needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "$(PYTHON) lacks the venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.lab/emulator/.complete: requirements/emulator.txt
	$(PYTHON) -m venv .lab/emulator
	.lab/emulator/bin/python -m pip install --quiet --require-hashes -r requirements/emulator.txt
	@touch $@

# Tools that the tests call, apart from the service: they want other versions of the same libraries.
.lab/tools/.complete: requirements/tools.txt
	$(PYTHON) -m venv .lab/tools
	.lab/tools/bin/python -m pip install --quiet --require-hashes -r requirements/tools.txt
	@touch $@

run: setup .lab/emulator/.complete
	@$(BIN)/python -m examples.quickstart --replay=$(REPLAY) --port=$(PORT) --admin-port=$(ADMIN_PORT) --kafka=$(KAFKA)

# PROCESSES side by side, a file of tests at a time each: most wait for others; the quick ones come last. RERUNS: how often
# a test that fails may be tried again (docs/decisions/044-once-more.md).
test: setup .lab/emulator/.complete .lab/tools/.complete
	@$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder --reruns $(RERUNS)

# The tests of the HTTP surface, over TLS: what holds of plain connections holds there too.
test-tls: setup
	@PENSTOCK_TEST_TLS=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadfile tests/http \
	  --deselect tests/http/test_stored.py::test_a_disk_that_fails_is_503_and_readiness_says_why

# Schemathesis with more examples than the tests have: make fuzz-api FUZZ_API="--max-examples 5000 --seed 7"
fuzz-api: setup .lab/tools/.complete
	@$(BIN)/python -m tests.openapi $(FUZZ_API)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/.fuzz: .venv/.complete requirements/fuzz.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/fuzz.txt
	@touch $@

# FUZZ_SECONDS for all harnesses together, or for those that FUZZ names. Without a wheel of atheris: Hypothesis.
fuzz: .venv/.fuzz
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

bench: setup
	@$(BIN)/python -m bench $(BENCH)

bench-crash: setup
	@$(BIN)/python -m bench.crash $(CRASH)

.venv/.plots: .venv/.complete requirements/bench.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

growth: .venv/.plots
	@$(BIN)/python -m bench.growth $(GROWTH)

# Needs haproxy.
rolling: setup
	@$(BIN)/python -m bench.rolling $(ROLLING)

# Builds the Dockerfile on a base of Debian's packages, without a registry, and tries it. Needs root, buildah, debootstrap.
image-check: setup
	@$(BIN)/python -m deploy.image

# Is anything in the locks known to be vulnerable? Exit code 3 (of make: 2): the service cannot be asked.
audit: setup .lab/tools/.complete
	@$(BIN)/python -m deploy.supply.audit

# The bill of materials of requirements/run.txt, CycloneDX as JSON.
sbom: setup .lab/tools/.complete
	@$(BIN)/python -m deploy.supply.sbom

# openapi.yaml from the running application, docs/configuration.md from the settings models, templates of CloudFormation
# from the examples, the chart's README and rules; tests compare.
generated: setup
	$(BIN)/python -m service.cli openapi > openapi.yaml
	$(BIN)/python -m service.cli settings > docs/configuration.md
	$(BIN)/python -m deploy.chart
	$(BIN)/python -m service.cli generate cloudwatch --config examples/quickstart/penstock.yaml > deploy/cloudwatch/quickstart.yaml
	AWS_REGION=eu-west-1 $(BIN)/python -m service.cli generate iam-policy --format cloudformation --config deploy/ecs/penstock.yaml > deploy/ecs/policy.yaml

# Locks for every platform, with hashes and no index address. Needs uv once: $(BIN)/python -m pip install uv
lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --all-extras --constraint requirements/run.txt pyproject.toml -o requirements/extras.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --constraint requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 requirements/emulator.in -o requirements/emulator.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 requirements/tools.in -o requirements/tools.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --group bench --constraint requirements/dev.txt -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --group fuzz --constraint requirements/dev.txt -o requirements/fuzz.txt

clean:
	rm -rf .venv .lab .fuzz penstock-data .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
