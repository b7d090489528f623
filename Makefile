# RapidPro Console. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
export PYTHON PORT SANDBOX_PORT

SOURCES := accounts benchmarks config rapidpro_integration tests bin/write-env bin/audit-pins bin/release
POSTGRES_URL ?= postgres://postgres@127.0.0.1:5432/postgres
REDIS_URL ?= rediscache://127.0.0.1:6379/9
COVERAGE := --cov=accounts --cov=rapidpro_integration --cov=config --cov-report=term-missing:skip-covered --cov-fail-under=96

.PHONY: help run setup test check lint format types drift test-postgres e2e faults bulkheads security bench bench-servers newcomer release messages requirements shell reset-demo clean

help: ## List all targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

run: ## Set everything up and serve the demo on 127.0.0.1:8000 (PORT=…, SANDBOX_PORT=…)
	@bin/run

setup: ## Make .venv with everything that tests and tools need
	@bin/setup dev

test: setup ## Run the whole suite on SQLite; needs no service and no network
	@$(PY) -m pytest $(COVERAGE)

check: lint types drift $(if $(TESTED),,test test-postgres) e2e ## Everything that CI runs

lint: setup ## Find faults, unformatted files, faults of templates, and known vulnerabilities of the pins
	@$(PY) -m ruff check $(SOURCES)
	@$(PY) -m ruff format --check $(SOURCES)
	@$(PY) -m djlint --lint --quiet templates
	@$(PY) bin/audit-pins

format: setup ## Format the sources
	@$(PY) -m ruff check --fix $(SOURCES)
	@$(PY) -m ruff format $(SOURCES)

types: setup ## Check the types, strictly
	@$(PY) -m mypy

drift: setup ## Fail on a missing migration or a half-made production
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py makemigrations --check --dry-run
	@bin/check-deploy

test-postgres: setup ## Run every test that a database or a cache has a part in on PostgreSQL and Redis (POSTGRES_URL=…, REDIS_URL=…)
	@bin/services
	@DATABASE_URL=$(POSTGRES_URL) CACHE_URL=$(REDIS_URL) $(PY) -m pytest --stored

e2e: setup ## Click through the site in headless Chromium
	@CHROMIUM="$$(bin/find-chromium)" && export CHROMIUM && $(PY) -m pytest tests/e2e

faults: setup ## Ask servers that misbehave in every way, alone and through the whole site
	@$(PY) -m pytest tests/faults

bulkheads: setup ## Measure what one tenant's hanging server costs another tenant
	@$(PY) -m tests.faults.bulkheads

bench: ## Measure the client and the list of flows; writes docs/benchmarks.md (BENCH="--quick --tls" LIST="--rounds 3")
	@bin/setup bench
	@$(PY) -m benchmarks.bench_client $(BENCH)
	@$(PY) -m benchmarks.bench_list $(LIST)

bench-servers: ## Measure the ASGI servers side by side; writes a section of docs/benchmarks.md (SERVERS="--rounds 5")
	@bin/setup bench
	@$(PY) -m benchmarks.bench_servers $(SERVERS)

newcomer: setup ## Do what docs/operations.md tells a newcomer, from a fresh clone to a page over TLS (a few minutes)
	@$(PY) -m tests.newcomer

security: setup ## Run the tests of each promise about a token, a line each (ROWS=20000 to rotate)
	@$(PY) -m tests.security --rows $(or $(ROWS),20000)

release: setup ## Build the archive, changelog section, SBOM and checksums of this version in dist/
	@$(PY) bin/release

messages: setup ## Collect the strings to translate and compile the translations (needs GNU gettext)
	@mkdir -p config/locale
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py makemessages --verbosity 0 --locale fr --locale es --locale pt --locale ar \
		--no-location --no-obsolete --no-wrap --ignore '.venv/*' --ignore 'tests/*' --ignore 'rapidpro_integration/sandbox/*'
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py compilemessages --verbosity 0 --ignore '.venv/*'

requirements: setup ## Pin the dependencies of pyproject.toml anew, with hashes
	@uv pip compile pyproject.toml --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q -o requirements.txt
	@uv pip compile pyproject.toml --group dev -c requirements.txt --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q -o requirements-dev.txt
	@uv pip compile pyproject.toml --group bench -c requirements.txt --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q -o benchmarks/requirements.txt

shell: setup ## Open Django's shell on the local database
	@$(PY) manage.py shell

reset-demo: setup ## Delete the local database, after asking
	@printf 'Delete db.sqlite3 with all accounts and tokens in it? [y/N] '; read answer; \
	case "$$answer" in y|Y) rm -f db.sqlite3 db.sqlite3-wal db.sqlite3-shm; echo "Deleted." ;; *) echo "Kept." ;; esac

clean: ## Remove what can be made again; the database and .env stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist staticfiles tests/e2e/screenshots
