# Everything runs in a virtual environment, which the targets create. In a new clone, `make demo` needs only Python.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Empty, so that Python saves compiled modules, even if the machine's settings forbid it. Otherwise each test process
# would compile all modules again.
export PYTHONDONTWRITEBYTECODE =
# The number of processes that run tests. It may be higher than the number of cores, because tests often wait. All tests
# of a file run in one process and share its servers; test/conftest.py sets the order of the files. If a test ends its
# process, no other process repeats it.
export WORKERS ?= 6
export PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart=0

.PHONY: install tools demo test test-fast check lint types coverage soak audit wheel package environments pythons niquests docs docgen docker-check bench clean

install: $(VENV)/.installed

# With several jobs, environments are created in this folder at the same time. If two of them found it missing, one of
# them would fail to create it.
$(VENV):
	mkdir -p $@

# What a user installs. pip is upgraded because the pip of Python 3.11 does not support dependency groups.
$(VENV)/.local: pyproject.toml | $(VENV)
	@echo "Installing the package and its local hosts into $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	touch $@

$(VENV)/.installed: $(VENV)/.local
	@echo "Installing what the tests need ..."
	$(BIN)/python -m pip install --quiet --editable '.[local]' --group test
	touch $@

demo: $(VENV)/.local
	$(BIN)/python -m pip_services4_serverless.local._demo

# All tests, with coverage, so that `make test check` runs them only once.
test: install
	$(BIN)/python -m pytest -q $(PARALLEL) --cov --cov-report= --cov-fail-under=0

# The tests to run each time you save a file: the rules, the wire, connections and clients, in less than 30 seconds. It
# leaves out coverage, tests of time limits, random, long and concurrent calls, secrets, the local hosts, containers,
# other libraries, the command line and the documentation.
FAST = -m 'not timing' --ignore=test/_wire/test_nat.py --ignore=test/_rules/test_is_interrupt.py \
	test/_rules test/_wire test/connect test/build \
	test/clients/test_function_client.py test/clients/test_azure_function_client.py \
	test/clients/test_lambda_client.py test/clients/test_commandable_clients.py
test-fast: install
	$(BIN)/python -m pytest -q $(PARALLEL) $(FAST)

check: lint types coverage

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint docker/Dockerfile docker/Dockerfile.test
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/docker-compose.test.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: install
	$(BIN)/mypy

coverage: test
	$(BIN)/python -m coverage report

# The long versions of the random tests, about twenty minutes. First 100,000 random responses are parsed; `make test`
# parses fewer. Then, for Azure and for Lambda, there are 200,000 calls to a server that fails at random, 100,000
# interrupts, 500 forks, and 50,000 calls of which many are cancelled. The results of the calls are compared with what
# the server counted.
soak: install
	WIRE_FUZZ=100000 $(BIN)/python -m pytest -q test/_wire/test_response.py
	PYTHONPATH=test $(BIN)/python test/soak.py

# Fails if an installed dependency has a known vulnerability. If the data cannot be reached, it says so, and succeeds.
audit: install
	$(BIN)/python .ci/audit

docs docgen: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict --clean --config-file .mkdocs.yml

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

# Builds the wheel and the sdist in dist/.
wheel: $(VENV)/package/.installed
	.ci/package build $(VENV)/package/bin/python

# Also runs all tests against the wheel, in an empty environment.
package: wheel
	.ci/package install $(PYTHON)
	.ci/package test $(PYTHON) --

$(VENV)/package/.installed: pyproject.toml | $(VENV)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip install --quiet --group package
	touch $@

# Installs all that .ci/run needs in $(VENV). With `make tools test check docs`, these run afterwards.
tools: $(VENV)/.docs
test lint types audit: $(filter tools,$(MAKECMDGOALS))

# Installs the wheel for every other Python from 3.11 to 3.14 that is found, each in its own environment.
OTHERS = $$(.ci/pythons $(PYTHON) 2>/dev/null)
environments: wheel
	.ci/pythons $(PYTHON) >/dev/null
	.ci/package install $(OTHERS)

# The tests that run on the newest Python, because they depend on the interpreter: sockets, TLS, threads, signals, forks,
# asyncio and the processes of the hosts. These tests do not depend on it: the documentation, the benchmark, the Docker
# images, mocks of other libraries, releases, the fault matrix and the search for secrets.
ON_NEWEST_PYTHON = test/_rules test/_wire test/build test/clients test/connect test/local \
	test/test_cli.py test/test_context.py test/test_package.py test/tools/test_gevent.py \
	--ignore=test/clients/test_fault_matrix.py --ignore=test/clients/test_secrets.py
# The tests that run on each Python between the default one and the newest: the fast tests, and the tests of the toolkit's
# containers, which the newest Python cannot import.
ON_PYTHONS_BETWEEN = $(FAST) test/container test/interop

# With `make test pythons niquests` and several jobs, these still run after `test`, and `niquests` last.
pythons: environments $(filter test,$(MAKECMDGOALS))
	set -- $(OTHERS); while [ $$# -gt 1 ]; do .ci/package test $$1 -- $(ON_PYTHONS_BETWEEN) || exit; shift; done; \
		[ $$# -eq 0 ] || .ci/package test $$1 -- $(ON_NEWEST_PYTHON)

# The tests of everything that niquests affects. They run in their own environment, because niquests replaces urllib3 with
# urllib3-future. With urllib3-future, botocore does not close the connections that it uses to get the keys of roles.
# Only the warning about that is ignored. The fault matrix runs without the asynchronous clients, which do not use
# urllib3 for calls, and without Google's client, which uses it like Azure's.
WITH_NIQUESTS = test/_wire/test_connection.py test/_wire/test_connection_pool.py test/_wire/test_endpoint.py \
	test/clients/test_aws_signature.py test/clients/test_azure_function_client.py \
	test/clients/test_cloud_function_client.py test/clients/test_fault_matrix.py test/clients/test_lambda_client.py \
	test/clients/test_wire.py -k 'not (test_fault_matrix and (google or async))'
niquests: $(VENV)/beside-niquests/.installed $(filter test pythons,$(MAKECMDGOALS))
	$(dir $<)bin/python -m pytest -q $(PARALLEL) -W ignore::pytest.PytestUnraisableExceptionWarning $(WITH_NIQUESTS)

$(VENV)/beside-niquests/.installed: pyproject.toml | $(VENV)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --editable . hypothesis pytest pytest-rerunfailures pytest-xdist trustme
	$(@D)/bin/python -m pip install --quiet niquests
	$(@D)/bin/python -c 'import urllib3; from importlib.metadata import version; assert urllib3.__version__ == version("urllib3-future")'
	touch $@

# Executes each RUN of the Dockerfiles in a new folder. It does not need Docker.
docker-check:
	$(PYTHON) docker/replay.py docker/Dockerfile docker/Dockerfile.test

# Measures, and writes the figures of docs/performance.md and docs/benchmark.md. It takes less than eight minutes, and
# needs a machine that does nothing else at the time.
bench: $(VENV)/.bench
	PYTHONPATH=test $(BIN)/python -m benchmark

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) dist site *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
