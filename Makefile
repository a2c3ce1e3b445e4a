# Everything sets itself up in .venv; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check docs reference format lock kafka production-like promtool peers screenshots campaign fuzz audit sbom clean setup

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/clv demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet .

# The documentation site into build/site; a page, link or anchor that leads nowhere fails.
docs: $(STAMP)
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages that are made from the code; tests fail when they differ.
reference: $(STAMP)
	$(BIN)/python -m tests.docs.cli_page
	$(BIN)/python -m tests.docs.http_page
	$(BIN)/python -m tests.docs.metrics_table
	$(BIN)/python -m tests.docs.asyncapi_document

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The lock holds hashes and no index addresses.
lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 benchmarks/peers/quix.in -o benchmarks/peers/quix.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 tests/supply/tools.in -o tests/supply/tools.lock

# Apache Kafka from its Maven artifacts, for tests and for a real broker without Docker.
kafka:
	mvn --quiet --batch-mode -f kafka-server/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/.kafka/libs

# docker-compose.yml without containers: its roles on Apache Kafka and the system's PostgreSQL, and real orders through them.
production-like: $(STAMP) kafka
	$(BIN)/python -m tests.deployment.production_like $(ARGS)

# Prometheus's own tool, from its source: then the tests try every alert. Takes some minutes, and Go.
promtool:
	GOBIN=$(CURDIR)/.promtool go install github.com/prometheus/prometheus/cmd/promtool@v0.316.0

# Peers of `clv bench throughput` that are no Python of ours, or need other versions: Quix Streams, Kafka Streams.
PEERS := $(CURDIR)/.peers
peers: $(STAMP)
	$(PYTHON) -m venv $(PEERS)/quix
	$(PEERS)/quix/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/peers/quix.lock
	mvn --quiet --batch-mode -f benchmarks/peers/kafka_streams/pom.xml package dependency:copy-dependencies \
		-DbuildDirectory=$(PEERS)/build -DoutputDirectory=$(PEERS)/kafka-streams
	cp $(PEERS)/build/kafka-streams-peer-1.jar $(PEERS)/kafka-streams/

# Pictures of the dashboard that runs on port 8000, in Chromium.
screenshots: $(STAMP)
	$(BIN)/python -m tests.browser.pictures http://127.0.0.1:8000 docs/dashboard

# 200 faults, some 50 minutes; interrupted, the same command goes on after the last run of 25.
campaign: $(STAMP)
	$(BIN)/clv chaos --faults 200 --seed 1 --resume .campaign --out docs/reliability/$(shell date -u +%Y-%m-%d)-campaign.json $(ARGS)

# Over a million hostile inputs, some ten minutes; interrupted, the same command goes on after the last chunk.
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --out docs/reliability/$(shell date -u +%Y-%m-%d)-fuzz.json $(ARGS)

# The tools of audit and bill of materials have an environment and a lock of their own: the product needs none of them.
SUPPLY := .supply/.installed
$(SUPPLY): tests/supply/tools.lock $(STAMP)
	$(PYTHON) -m venv .supply
	$(BIN)/uv pip install --quiet --python .supply/bin/python --require-hashes -r tests/supply/tools.lock
	@touch $(SUPPLY)

# Exits with 1 for a known vulnerability, with 3 where no service of advisories can be asked.
audit: $(SUPPLY)
	$(BIN)/python -m tests.supply.audit $(ARGS)

sbom: $(SUPPLY)
	$(BIN)/python -m tests.supply.sbom build/sbom.cdx.json

clean:
	rm -rf $(VENV) .supply build *.egg-info .mypy_cache .ruff_cache .pytest_cache
