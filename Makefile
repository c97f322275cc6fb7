# Every target does its own set-up; what is set up already is left alone, so a second call starts at once.

PYTHON_READY := .venv/.installed
NODE_READY := local/node_modules/.installed
PEERS_READY := bench/.venv-peers/.installed
IS_3_11 := import sys; sys.exit(sys.version_info[:2] != (3, 11))

.PHONY: help run demo test check faults soak crash bench setup
.DELETE_ON_ERROR:

help:
	@echo "make run     Azurite, the app on devhost and the Agents Playground; Ctrl-C stops all"
	@echo "make demo    the main job played without a browser, as a transcript with times"
	@echo "make test    every test"
	@echo "make check   ruff, mypy, the arrows"
	@echo "make faults  2,000 deliveries through every fault of the channel and fifty kills, ten minutes"
	@echo "make soak    500 turns with jobs of up to a minute, delivered again at random, and thirty kills, ten minutes"
	@echo "make crash   200 orchestrations of every kind in flight while devhost is killed 200 times, ten to fifteen minutes"
	@echo "make bench   the speed beside other SDKs, half an hour on a quiet machine (QUICK=1: whether it runs)"
	@echo "make setup   only what the others need: .venv and local/node_modules"

run: setup local.settings.json
	@exec .venv/bin/python -m local run

demo: setup local.settings.json
	@exec .venv/bin/python -m local demo

# Two at once, for most of them wait; a file's tests stay together, as they share what they start.
test: setup
	@exec .venv/bin/python -m pytest -n 2 --dist loadfile

check: $(PYTHON_READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_arrows.py

faults: setup
	.venv/bin/python -m tests.faults --when-ambiguous resend
	.venv/bin/python -m tests.faults --when-ambiguous hold

soak: setup
	@exec .venv/bin/python -m tests.soak --turns 500 --kills 30 --seed 1

crash: setup
	@exec .venv/bin/python -m tests.crash --instances 200 --kills 200 --seed 1

bench: setup $(PEERS_READY)
	@exec .venv/bin/python -m bench all $(if $(QUICK),--quick) --to bench/results

setup: $(PYTHON_READY) $(NODE_READY)

local.settings.json:
	@cp local.settings.json.example $@

$(PYTHON_READY): requirements.txt requirements-dev.txt
	@python=$$(for name in python3.11 python3; do \
	    if $$name -c '$(IS_3_11)' 2>/dev/null; then echo $$name; break; fi; done); \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 is missing: install it (on Debian 12: sudo apt-get install -y python3 python3-venv)" >&2; \
	    exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "The venv module of $$python is missing: sudo apt-get install -y python3-venv" >&2; \
	    exit 1; \
	fi; \
	echo "Installing the Python packages into .venv ..."; \
	$$python -m venv .venv && \
	.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(PEERS_READY): bench/requirements-peers.txt | $(PYTHON_READY)
	@echo "Installing the peers into bench/.venv-peers ..."
	@.venv/bin/python -m venv bench/.venv-peers
	@bench/.venv-peers/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(NODE_READY): local/package.json local/package-lock.json | $(PYTHON_READY)
	@echo "Installing Azurite and the Agents Playground into local/node_modules ..."
	@cd local && ../.venv/bin/npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
