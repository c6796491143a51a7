# Each target does its own set-up: on a bare machine git, make and python3 (3.11 or newer) are enough.
WSGI_SERVER ?= gunicorn
PROXY ?= nginx
PYTHON_VERSION ?= 3.14

PYTHON := .venv/bin/python
# The pairs' stacks wait now and then: one process more than cores keeps the machine busy. With two more,
# probes that measure time begin to fail.
JOBS ?= $(shell python3 -c 'import os; print(1 + (os.cpu_count() or 1))')

.PHONY: run stop test test-all smoke differential day-two updating overlays real lint hosting observability conformance mutations bench bench-page bench-check bench-sizing docs links generation engine-stop locks clean help

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/ready: tests/requirements.txt
	python3 -m tests.harness.venv
	touch $@

run: .venv/ready ## generate a service, start it and show where: make run WSGI_SERVER=uwsgi PROXY=apache
	@$(PYTHON) -m tests.harness.run $(WSGI_SERVER) $(PROXY) --python-version $(PYTHON_VERSION)

stop: .venv/ready ## stop what make run started, all of it
	@$(PYTHON) -m tests.harness.run --stop

test: .venv/ready ## run the tests that every change must pass; with PAIR=uwsgi-apache, the live tests of that pair
ifdef PAIR
	$(PYTHON) -m pytest tests/pairs tests/application --pair $(PAIR)
else
	$(PYTHON) -m pytest -n $(JOBS) -m "not alone"
	$(PYTHON) -m pytest tests/hosting -m alone
endif

test-all: test real ## run every test, then what takes longer: the search for differences, and updates under 20,000 requests
	$(PYTHON) -m tests.differential --seconds 1800
	$(PYTHON) -m pytest tests/hosting/test_swarm.py --swarm-requests 20000

smoke: .venv/ready ## ask a few probes of every pair, in minutes
	$(PYTHON) -m pytest tests/pairs -m smoke -n $(JOBS)

differential: .venv/ready ## compare all pairs with each other, alone; with SECONDS=600, search for new differences
ifdef SECONDS
	$(PYTHON) -m tests.differential --seconds $(SECONDS)
else
	$(PYTHON) -m pytest tests/differential
endif

day-two: .venv/ready ## live a project's first week, run its workflow, see what goes wrong, alone
	$(PYTHON) -m pytest tests/day_two -n $(JOBS)

updating: .venv/ready ## bring projects of earlier versions up to date, alone
	$(PYTHON) -m pytest tests/updating -n $(JOBS)

overlays: .venv/ready ## run the tests of compose.dev.yaml and compose.tls.yaml alone
	$(PYTHON) -m pytest tests/overlays -n $(JOBS)

real: .venv/ready ## put applications of others into projects, and run their own tests through the proxies
	$(PYTHON) -m pytest tests/real -n $(JOBS)

lint: .venv/ready ## run the linters alone
	$(PYTHON) -m pytest tests/generation/test_linters.py tests/generation/test_workflows.py

hosting: .venv/ready ## run the tests of the hosting targets alone
	$(PYTHON) -m pytest tests/hosting -n $(JOBS) -m "not alone"
	$(PYTHON) -m pytest tests/hosting -m alone

observability: .venv/ready ## run the tests of the front page in a browser, and of metrics and traces, alone
	$(PYTHON) -m pytest tests/observability -n $(JOBS)

conformance: .venv/ready ## run every pair, write docs/conformance.md and the table of docs/applications.md; with PAIR=uwsgi-apache, that pair's part
	$(PYTHON) -m pytest -p tests.harness.conformance -n $(JOBS) tests/pairs tests/application $(addprefix --pair ,$(PAIR))
	$(PYTHON) -m tests.harness.docs

mutations: .venv/ready ## break the template in many ways, see the tests turn red, write docs/mutations.md
	$(PYTHON) -m tests.harness.mutants

bench: .venv/ready ## measure every pair in two hours, write docs/performance.md; with PAIR=uwsgi-apache, that pair's part in ten minutes
	$(PYTHON) -m tests.bench $(addprefix --pair ,$(PAIR))

bench-page: .venv/ready ## make docs/performance.md and its charts again from docs/performance.json
	$(PYTHON) -m tests.bench.page

bench-check: .venv/ready ## see in two minutes whether a response of the default server's pairs costs more CPU time than recorded
	$(PYTHON) -m tests.bench --check $(addprefix --pair ,$(PAIR))

bench-sizing: .venv/ready ## measure processes, threads, replicas and CPUs in half an hour, write docs/scaling.json
	$(PYTHON) -m tests.bench.sizing

docs: .venv/ready ## renew what the pages in docs/ and the README take from the template
	$(PYTHON) -m tests.harness.docs

links: ## ask every address that a page names: needs the network, and lychee
	lychee --no-progress --exclude-loopback '*.md' 'docs/**/*.md'

generation: .venv/ready ## run the tests that need no Docker
	$(PYTHON) -m pytest tests/generation

engine-stop: ## stop the private engine, where the tests started one
	python3 -m tests.engine down

locks: .venv/ready ## pin the newest releases of all requirements, with hashes; SERVER=name: that one's
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PYTHON) -m tests.harness.locks $(SERVER)

clean: stop ## remove what the other targets made in this folder
	rm -rf .run .venv
