# SPDX-License-Identifier: GPL-2.0
#
# The verbs of the Makefile that test. Suites and what they need: suites.toml.

.PHONY: test
test: ## run every test, or SUITES='name pattern…'; what they need is made first
	@tests/run $(SUITES)

.PHONY: test-core
test-core: ## the protocol core alone, on this machine
	@tests/run harness 'core*'

.PHONY: test-stories
test-stories: ## the namespace stories, on uml-debug and on the stock kernel
	@tests/run 'stories*'

.PHONY: test-full
test-full: ## the stories at full size on the stock kernel too, which takes an hour and more
	@tests/run stories-uml 'full-*'

.PHONY: test-mutants
test-mutants: ## break the code in ten and more ways: each must turn its test red
	@tests/mutants/run

.PHONY: bench
bench: host ## measure beside rivals and floors; LINE=N for one line of the table
	@tests/bench/run $(if $(LINE),--line $(LINE))

.PHONY: bench-quick
bench-quick: host ## the same in two minutes: fewer rounds, less work
	@tests/bench/run --quick $(if $(LINE),--line $(LINE))

.PHONY: bench-profile
bench-profile: host ## say where the time of LINE=N goes, by function; CASES=N,N for some of its cases
	@tests/bench/profile $(LINE) $(CASES)
