# Everything runs in a virtual environment of its own: `make demo` on a fresh clone needs nothing but Python.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Empty: where a machine's settings forbid it, each test process would compile all modules again.
export PYTHONDONTWRITEBYTECODE =
# Processes that share the tests; all tests of a file run in one of them and share its servers, in the order that
# test/conftest.py gives. More than there are cores, for much of the tests is waiting.
export WORKERS ?= 4
export PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: install tools demo test test-fast check lint types coverage soak audit wheel package environments pythons niquests docs docgen docker-check bench clean

install: $(VENV)/.installed

# What a user installs. The pip that Python 3.11 brings does not know dependency groups.
$(VENV)/.local: pyproject.toml
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

# With coverage measured, so that `make test check` runs the tests once.
test: install
	$(BIN)/python -m pytest -q $(PARALLEL) --cov --cov-report= --cov-fail-under=0

# For each time that a file is saved, under 30 seconds: the rules, the wire, connections and clients. It leaves out
# coverage, tests that hold a bound in time, random, long and concurrent calls, secrets, the local hosts, containers,
# other libraries, the command line and the documentation.
test-fast: install
	$(BIN)/python -m pytest -q $(PARALLEL) -m 'not timing' \
		--ignore=test/_wire/test_nat.py --ignore=test/_rules/test_outside.py \
		test/_rules test/_wire test/connect test/build \
		test/clients/test_function_client.py test/clients/test_azure_function_client.py \
		test/clients/test_lambda_client.py test/clients/test_commandable_clients.py

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

# 100,000 random responses (without WIRE_FUZZ the tests make fewer). Then, for each provider, 200,000 calls against a
# server that fails, 100,000 interrupts, 500 forks and 50,000 calls of which many are cancelled, and the counts of both
# sides. About twenty minutes.
soak: install
	WIRE_FUZZ=100000 $(BIN)/python -m pytest -q test/_wire/test_response.py
	PYTHONPATH=test $(BIN)/python test/soak.py

# Fails on known vulnerabilities of dependencies; says so when it cannot reach its data.
audit: install
	$(BIN)/python .ci/audit

docs docgen: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict --clean --config-file .mkdocs.yml

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

# Wheel and sdist in dist/.
wheel: $(VENV)/.package
	.ci/package build $(BIN)/python

# Then all tests, against the wheel in an empty environment.
package: wheel
	.ci/package install $(BIN)/python
	.ci/package test $(BIN)/python --

$(VENV)/.package: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group package
	touch $@

# What .ci/run needs in the first environment, before anything runs in it.
tools: $(VENV)/.docs $(VENV)/.package

# The other interpreters of 3.11 to 3.14 that are found, each with the wheel in an environment of its own.
OTHERS = $$(.ci/pythons $(BIN)/python 2>/dev/null)
environments: wheel
	.ci/pythons $(BIN)/python >/dev/null
	.ci/package install $(OTHERS)

# What depends on the interpreter: sockets, TLS, threads, signals, forks, asyncio, the hosts' processes, the toolkit. What
# does not: the documentation, the benchmark, the images, other libraries' mocks, releases, and the two long tables of
# what a call comes to and what it shows.
ON_EACH_PYTHON = test/_rules test/_wire test/build test/clients test/connect test/container test/interop test/local \
	test/test_cli.py test/test_context.py test/test_package.py test/tools/test_gevent.py \
	--ignore=test/clients/test_fault_matrix.py --ignore=test/clients/test_secrets.py

# Asked for together with `test`, these come after it, and `niquests` last.
pythons: environments $(filter test,$(MAKECMDGOALS))
	for python in $(OTHERS); do .ci/package test $$python -- $(ON_EACH_PYTHON) || exit; done

# What niquests takes over, in an environment of its own: it puts urllib3-future in urllib3's place. botocore's own
# connections, which it uses for roles' keys, are not closed there; that is all that is ignored.
WITH_NIQUESTS = test/_wire/test_connection.py test/_wire/test_connection_pool.py test/_wire/test_endpoint.py \
	test/clients/test_aws_signature.py test/clients/test_azure_function_client.py \
	test/clients/test_cloud_function_client.py test/clients/test_fault_matrix.py test/clients/test_lambda_client.py \
	test/clients/test_lifetime.py test/clients/test_secrets.py test/clients/test_time.py test/clients/test_wire.py
niquests: $(VENV)/beside-niquests/.installed $(filter test pythons,$(MAKECMDGOALS))
	$(dir $<)bin/python -m pytest -q $(PARALLEL) -W ignore::pytest.PytestUnraisableExceptionWarning $(WITH_NIQUESTS)

$(VENV)/beside-niquests/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --editable . hypothesis pytest pytest-rerunfailures pytest-xdist trustme
	$(@D)/bin/python -m pip install --quiet niquests
	$(@D)/bin/python -c 'import urllib3; from importlib.metadata import version; assert urllib3.__version__ == version("urllib3-future")'
	touch $@

# There is no engine in this: each RUN of the Dockerfiles, in a fresh folder.
docker-check:
	$(PYTHON) docker/replay.py docker/Dockerfile docker/Dockerfile.test

# Writes the figures of docs/performance.md and docs/benchmark.md. Takes under eight minutes, on a machine that does
# nothing else meanwhile.
bench: $(VENV)/.bench
	PYTHONPATH=test $(BIN)/python -m benchmark

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) dist site *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
