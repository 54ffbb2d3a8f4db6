# SPDX-License-Identifier: GPL-2.0
#
# The verbs a person types; `make help` lists them. Nothing is compiled here:
# Kbuild says how the module is made, qemu/setup makes a machine ready.

.DEFAULT_GOAL := module

export V W CLIPPY

.PHONY: module
module: ## build feed.ko: for KDIR= if given, else the running kernel if it fits, else the newest
	@qemu/build $(if $(KDIR),--kdir '$(KDIR)')

.PHONY: kernels
kernels: ## build the module for every Debian kernel that has CONFIG_RUST=y
	@qemu/build all

.PHONY: setup
setup: ## fetch and prepare all that is needed, once (make itself runs it too)
	@qemu/setup

.PHONY: uml-debug
uml-debug: ## build the User-Mode kernel with all checkers, and the module for it
	@qemu/setup host root kernels overlay crates uml-debug
	@qemu/build uml-debug

.PHONY: demo
demo: ## five virtual machines: real content spreads, the author goes dark; CONTENT=DIR for yours
	@qemu/stage stock
	@qemu/demo $(if $(CONTENT),--content "$(CONTENT)")

include tests/test.mk

# The tests' runner needs Python, and gives what it starts no terminal: sudo
# asks for a password here or not at all.
test test-core test-stories test-mutants: host
.PHONY: host
host:
	@qemu/setup host

.PHONY: clean
clean: ## remove what was built of this checkout; what was set up stays
	rm -rf build feed.ko target
	@bash -c '. qemu/lib/paths.sh && rm -rf "$$FEED_ROOT_TARGET"'

.PHONY: help
help: ## list the verbs
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
