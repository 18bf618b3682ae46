# All there is to do here; `make help` tells it. Every target sets up what it needs first, and does nothing twice.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Said on the command line only: other tools have a variable of that name.
STACK ?= $(if $(findstring command,$(origin CLOUD)),$(CLOUD),local)
PY := .venv/bin/python
BOOTSTRAP := $(firstword $(wildcard /usr/bin/python3) python3) tools/setup.py
NODES := $(if $(filter local %-sim,$(STACK)),local)
YES_FLAG := $(if $(YES),--yes)
# Python programs of the roles whose names, as commands of the node, have no ending.
SCRIPTS := $(addprefix playbooks/roles/,base/files/status bench/files/bench fabric/files/fabric-gate \
	$(addprefix gateway/files/gateway-,certificate firewall serve) smoke/files/smoke \
	storage/files/find-volume weights/files/verify-weights)
LOCK := "$$PWD/.nodestack/uv" pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: help up verify bench down purge outputs key ca init env setup test check qualify qualify-spine qualify-planning qualify-clouds qualify-node qualify-environments lock

help: ## Show this
	@echo "nodestack: declare a GPU node stack, get a verified, private LLM endpoint."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  STACK=name chooses the stack (default: local, on this machine). Start with: make up"
	@echo "  CLOUD=spheron-sim or CLOUD=verda-sim is a stack of nodes of this machine that a simulated cloud sells."

up: ## Bring the stack up: sets up this machine, then declares, boots, configures and asks for a completion
	@$(BOOTSTRAP) venv engine $(NODES)
	@$(PY) -m nodestack.cli up -s "$(STACK)" $(YES_FLAG)

outputs: ## Print what the stack offers and what was verified, as JSON
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli outputs -s "$(STACK)"

key: ## Print the endpoint's API key
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli key -s "$(STACK)"

ca: ## Print the certificate that clients verify the endpoint with, as PEM
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli ca -s "$(STACK)"

verify: ## Run the gates again on the stack's node: fabric and smoke test
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli verify -s "$(STACK)"

bench: ## Measure the stack's node with a bounded load, and hold it against a former run
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli bench -s "$(STACK)"

down: ## Tear the stack down, all but its weights
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli down -s "$(STACK)" $(YES_FLAG)

purge: ## Tear the stack down and delete its weights too; asks first (YES=1 does not)
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.cli purge -s "$(STACK)" $(YES_FLAG)

test: ## Run the tests that CI runs
	@$(BOOTSTRAP) venv check engine local
	@$(PY) -m pytest -m "not qualify"

check: ## Run the linters, the type checker and the import contracts
	@$(BOOTSTRAP) venv check
	@$(PY) -m ruff check . $(SCRIPTS)
	@$(PY) -m ruff format --check . $(SCRIPTS)
	@$(PY) -m mypy
	@for script in $(SCRIPTS); do $(PY) -m mypy --no-error-summary "$$script" || exit 1; done
	@PATH="$$PWD/.venv/bin:$$PATH" lint-imports
	@git ls-files -z '*.yml' '*.yaml' .yamllint .ansible-lint | xargs -0 $(PY) -m yamllint --strict
	@ANSIBLE_CONFIG=playbooks/ansible.cfg PATH="$$PWD/.venv/bin:$$PATH" ansible-lint --strict
	@git ls-files -z | xargs -0 grep -lzZP '\A#!.*\b(ba|da)?sh\b' | xargs -0 shellcheck

qualify: check test qualify-spine qualify-planning qualify-clouds qualify-node qualify-environments ## Run everything: checks, tests, drills and benchmarks

qualify-spine: ## Run the drills of a single node's whole life
	@$(BOOTSTRAP) venv check engine local
	@$(PY) -m nodestack.cli up -s local
	@$(PY) -m benchmarks.noop_up --record .nodestack/qualify/noop_up.json
	@$(PY) -m nodestack.cli down -s local
	@$(PY) -m pytest -p tests.drills --figures .nodestack/qualify/noop_up.json -m "qualify or e2e" \
		$(addprefix tests/e2e/test_,engine.py faults.py interrupted.py kills.py refusals.py spine.py)

qualify-planning: ## Run all that planning promises: real parsers, real allocator, real starts, 10,000 settings
	@$(BOOTSTRAP) venv check engine local
	@NODESTACK_EXAMPLES=10000 $(PY) -m pytest -p tests.drills \
		tests/planning tests/catalog tests/settings tests/commands tests/rendering tests/tools/test_option_tables.py \
		tests/benchmarks/test_planning.py

qualify-clouds: ## Run all that clouds promise: each fault at each request as a table, a stack's life on simulated ones
	@$(BOOTSTRAP) venv check engine local
	@$(PY) -m pytest -p tests.drills tests/clouds/spheron tests/clouds/verda tests/clouds/simulated tests/clouds/test_ssh.py \
		tests/lifecycle tests/plugin tests/commands/test_offers.py tests/commands/test_sweep.py tests/e2e/test_simulated_cloud.py \
		tests/e2e/test_cloud_faults.py

qualify-node: ## Run all that a node promises: each role on both hardware, drain, rollback, gateway, alerts, speed
	@$(BOOTSTRAP) venv check engine local
	@NODESTACK_EXAMPLES=10000 $(PY) -m pytest -p tests.drills tests/playbooks tests/benchmarks/test_gateway.py tests/benchmarks/test_weights.py \
		tests/e2e/test_node_life.py tests/e2e/test_verify_and_bench.py tests/e2e/test_monitored.py

qualify-environments: ## Run all that environments promise: policies on every stack, reviews, a watch through 20 preemptions
	@$(BOOTSTRAP) venv check engine local
	@$(PY) -m pytest -p tests.drills tests/policies tests/review tests/ci tests/components tests/settings tests/docs \
		$(addprefix tests/commands/test_,environments.py policies.py explain.py stacks.py) tests/automation \
		$(addprefix tests/lifecycle/test_,watch.py journal.py) tests/provisioning/test_idle.py \
		$(addprefix tests/plugin/test_,two_stacks_in_one_account.py lost_state.py) \
		$(addprefix tests/e2e/test_,first_steps.py spot.py)

setup: ## Set up this machine and nothing more
	@$(BOOTSTRAP) venv check engine $(NODES)

init: ## Create the stack's state and secrets, for use with `pulumi` itself
	@$(BOOTSTRAP) venv engine $(NODES)
	@$(PY) -m nodestack.cli init -s "$(STACK)"

env: ## Print the engine's environment, for: eval "$(make -s env)"
	@$(BOOTSTRAP) venv engine
	@$(PY) -m nodestack.automation.engine "$(STACK)"

lock: ## Renew the hash-locked requirements
	@$(BOOTSTRAP) venv
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
	@$(LOCK) -c requirements-dev.txt requirements.in -o requirements.txt
	@$(LOCK) --no-annotate tools/uv.in -o tools/uv.txt
	@$(LOCK) --no-annotate tools/go.in -o tools/go.txt
	@UV="$$PWD/.nodestack/uv" tools/lock-engines
