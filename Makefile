# Each target does its own set-up and needs only git, make and python3 (3.11 or newer).
WSGI_SERVER ?= gunicorn
PROXY ?= nginx
PYTHON_VERSION ?= 3.14

PYTHON := .venv/bin/python
# Tests often wait for their stacks, so run one process more than there are cores. With two more, tests with
# time limits begin to fail.
JOBS ?= $(shell python3 -c 'import os; print(1 + (os.cpu_count() or 1))')

# An existing project to test: make test PROJECT=../my-service. REPORT=report.xml writes the results as JUnit XML.
export PROJECT
REPORT ?=

# The tests start Python thousands of times, and without cached bytecode each start compiles all modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run stop test test-all existing matrix smoke differential readme-commands updating development tls real lint hosting observability database conformance mutations bench bench-page bench-check bench-sizing bench-features docs links generation engine-stop locks clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/ready: tests/requirements.txt
	python3 -m tests.lib.venv
	touch $@

run: .venv/ready ## generate and start a service, and show its URL: make run WSGI_SERVER=uwsgi PROXY=apache
	@$(PYTHON) -m tools.run $(WSGI_SERVER) $(PROXY) --python-version $(PYTHON_VERSION)

stop: .venv/ready ## stop and remove everything that make run started
	@$(PYTHON) -m tools.run --stop

test: .venv/ready ## run the tests that every change must pass; with PAIR=uwsgi-apache, the live tests of that pair; with PROJECT=../my-service, those of an existing project
ifneq ($(PROJECT),)
	$(PYTHON) -m pytest tests/pairs tests/application tests/differential -n 2 $(addprefix --junitxml=,$(REPORT))
else ifdef PAIR
	$(PYTHON) -m pytest tests/pairs tests/application --pair $(PAIR)
else
	$(PYTHON) -m pytest -n $(JOBS) -m "not serial and not owners"
	$(PYTHON) -m pytest tests/hosting -m serial
endif

test-all: test real existing ## run all tests, also those that take longer: real applications, edited projects, the search for differences, and updates under 20,000 requests
	$(PYTHON) -m tests.differential --seconds 1800
	$(PYTHON) -m pytest tests/hosting/test_swarm.py tests/pairs/test_release.py --requests 20000

existing: .venv/ready ## run only the tests of projects that their owners have edited
	$(PYTHON) -m pytest tests/existing

matrix: .venv/ready ## test pairs with other versions of their server and proxy, and print a table; with PAIRS="gunicorn-nginx uwsgi-apache", only these
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PYTHON) -m tools.matrix $(PAIRS)

smoke: .venv/ready ## run a few tests of every pair, in minutes
	$(PYTHON) -m pytest tests/pairs -m smoke -n $(JOBS)

differential: .venv/ready ## run only the comparison of all pairs; with SECONDS=600, search for new differences
ifdef SECONDS
	$(PYTHON) -m tests.differential --seconds $(SECONDS)
else
	$(PYTHON) -m pytest tests/differential
endif

readme-commands: .venv/ready ## run only the tests of a project's first week, its workflow and its error messages
	$(PYTHON) -m pytest tests/readme_commands -n $(JOBS)

updating: .venv/ready ## run only the tests of updates from earlier versions
	$(PYTHON) -m pytest tests/updating -n $(JOBS)

development: .venv/ready ## run only the tests of compose.dev.yaml
	$(PYTHON) -m pytest tests/development -n $(JOBS)

tls: .venv/ready ## run only the tests of compose.tls.yaml
	$(PYTHON) -m pytest tests/tls -n $(JOBS)

real: .venv/ready ## run the tests of real applications in generated projects
	$(PYTHON) -m pytest tests/real -n $(JOBS)

lint: .venv/ready ## run only the linters
	$(PYTHON) -m pytest tests/generation/test_linters.py tests/generation/test_workflows.py

hosting: .venv/ready ## run only the tests of the platforms
	$(PYTHON) -m pytest tests/hosting -n $(JOBS) -m "not serial"
	$(PYTHON) -m pytest tests/hosting -m serial

observability: .venv/ready ## run only the tests of the front page in a browser, metrics and traces
	$(PYTHON) -m pytest tests/observability -n $(JOBS)

database: .venv/ready ## run only the tests of projects with a database
	$(PYTHON) -m pytest tests/database -n $(JOBS)

conformance: .venv/ready ## test every pair, write docs/conformance.md and the table of docs/applications.md; with PAIR=uwsgi-apache, that pair's part
	$(PYTHON) -m pytest -p tools.conformance -n $(JOBS) tests/pairs tests/application tests/tls $(addprefix --pair ,$(PAIR))
	$(PYTHON) -m tools.docs

mutations: .venv/ready ## check in half an hour that the tests detect deliberate faults, write docs/mutations.md; with NEW=1, only new ones
	$(PYTHON) -m tools.mutations $(if $(NEW),--new)

bench: .venv/ready ## measure every pair in two hours, write docs/performance.md; with PAIR=uwsgi-apache, that pair's part in ten minutes
	$(PYTHON) -m tools.bench $(addprefix --pair ,$(PAIR))

bench-page: .venv/ready ## generate docs/performance.md and its charts from docs/performance.json
	$(PYTHON) -m tools.bench.page

bench-check: .venv/ready ## check in two minutes whether a response needs more CPU time than recorded
	$(PYTHON) -m tools.bench --check $(addprefix --pair ,$(PAIR))

bench-sizing: .venv/ready ## measure processes, threads, replicas and CPUs in half an hour, write docs/scaling.json
	$(PYTHON) -m tools.bench.sizing

bench-features: .venv/ready ## measure what optional features cost in ten minutes, write docs/features.json; with BEFORE=<commit>, that commit too
	$(PYTHON) -m tools.bench.features $(addprefix --before ,$(BEFORE))

docs: .venv/ready ## update the generated parts of the pages
	$(PYTHON) -m tools.docs

links: ## check every link in the pages: needs the network, and lychee
	lychee --no-progress --exclude-loopback '*.md' 'docs/**/*.md'

generation: .venv/ready ## run only the tests that need no Docker
	$(PYTHON) -m pytest tests/generation

engine-stop: ## stop the private engine, if there is one
	python3 -m tests.engine down

locks: .venv/ready ## pin the newest releases of all requirements, with hashes; SERVER=name: that one's
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PYTHON) -m tools.locks $(SERVER)

clean: stop ## remove the files that the other targets created
	rm -rf .run .venv
