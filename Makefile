# SPDX-License-Identifier: MIT
# What can be done here. Everything that is needed is fetched into build/ by tools/bootstrap.py.

PYTHON ?= python3
VENV := build/venv/bin/python
# Options of tools/meter.py run, tools/bench.py, tools/sizes.py and pytest: make run ARGS="--speed 60"
ARGS ?=
# A file of tests is run by one process, and there is a process for each core, up to four.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help run test test-long fuzz soak demo bench sizes sheet lint clean firmware deploy provision \
    test-cortex-m3 test-rp2040 conformance

help: ## list the targets
	@echo "make TARGET [ARGS=\"...\"]"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

run: ## start the reference meter (on MicroPython if there is one), Ctrl-C ends it
	@$(PYTHON) tools/meter.py run $(ARGS)

sheet: ## print what a client needs to know to read the meter
	@$(PYTHON) tools/meter.py sheet $(ARGS)

demo: ## start a meter, read it with an independent client; PROFILE=optical: a conversation of a profile
	@$(PYTHON) tools/bootstrap.py demo
	@$(PYTHON) tools/demo.py $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

test: ## ruff, codespell, and all tests on CPython and MicroPython
	@$(PYTHON) tools/bootstrap.py test
	@$(MAKE) --no-print-directory lint
	@$(VENV) -m pytest $(PARALLEL) $(ARGS)

conformance: ## play the conformance cases against a meter: make conformance TARGET=tcp://HOST:4059 (none: ours)
	@$(PYTHON) tools/conformance.py $(TARGET) $(ARGS)

test-long: ## what make test tries a sample of: power cuts and full stores in all of a day, a whole year
	@$(PYTHON) tools/bootstrap.py test
	@PICOMETER_ALL=1 $(VENV) -m pytest host_tests/test_power_cuts.py host_tests/test_worn_out.py \
	    host_tests/test_ahead.py host_tests/test_update_chip.py host_tests/test_rp2040.py $(ARGS)

fuzz: ## every decoder and whole sessions under inputs of all kinds: ARGS="--seconds 60 --target hdlc"
	@$(PYTHON) tools/fuzz.py $(ARGS)

soak: ## a million requests over all profiles, with faults, in a month of meter time: ARGS="--requests 5000000"
	@$(PYTHON) tools/soak.py $(ARGS)

lint: ## ruff and codespell only (after make test has installed them)
	@$(VENV) -m ruff check --quiet .
	@$(VENV) -m codespell_lib

bench: ## how fast requests are served, on MicroPython and CPython, and traces decoded; how long flash lasts; what the page costs
	@$(PYTHON) tools/bootstrap.py run
	@$(PYTHON) tools/bench.py $(if $(RUNTIME),--runtime $(RUNTIME)) $(ARGS)
	@$(PYTHON) tools/wear.py --days 30 --check
	@$(PYTHON) tools/decode_bench.py --check
	@$(PYTHON) tools/page_bench.py --check

sizes: ## octets of each module, RAM after import and of the running meter; changes since the last commit
	@$(PYTHON) tools/bootstrap.py run
	@$(PYTHON) tools/sizes.py $(if $(RUNTIME),--runtime $(RUNTIME)) $(ARGS)
	@$(PYTHON) tools/board_pages.py

firmware: ## build the image of a board: make firmware BOARD=RPI_PICO
	@$(PYTHON) tools/images.py --board "$(BOARD)" $(ARGS)

deploy: ## to a MicroPython board: make deploy BOARD=RPI_PICO PORT=/dev/ttyACM0 [ROMFS=1] [RECORD=...]
	@$(PYTHON) tools/deploy.py --board "$(BOARD)" --port "$(PORT)" $(if $(ROMFS),--romfs) $(if $(RECORD),--provision "$(RECORD)") $(ARGS)

provision: ## records of meters: make provision ARGS="new --flag ABC --serial 42"
	@$(PYTHON) tools/provision.py $(ARGS)

test-cortex-m3: ## the meter on an emulated Cortex-M3 with a heap of 64 KiB
	@$(PYTHON) tools/bootstrap.py test
	@$(PYTHON) tools/images.py --board MPS2_AN385
	@$(VENV) -m pytest host_tests/test_cortex_m3.py host_tests/test_cortex_m3_crypto.py \
	    host_tests/test_update_chip.py $(ARGS)

test-rp2040: ## the image of RPI_PICO in an emulator: read over UART0, its power cut
	@$(PYTHON) tools/bootstrap.py test
	@$(PYTHON) tools/images.py --board RPI_PICO
	@$(VENV) -m pytest host_tests/test_rp2040.py $(ARGS)

clean: ## forget everything that was built or fetched
	rm -rf build
