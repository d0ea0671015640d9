# SPDX-License-Identifier: GPL-2.0
# The person's entry. What the kernel's build system reads is Kbuild; the work is done in scripts/.

# An empty value stands for the test kernel, which scripts/setup builds.
KDIR ?=
DEBUG ?= 0
export KDIR DEBUG V

setup-debug := $(if $(filter-out 0,$(DEBUG)),--debug)

.DEFAULT_GOAL := all
.PHONY: all setup demo test check bench install clean help

all: ## Build erofs.ko against KDIR (default: the test kernel)
	+@scripts/module

setup: ## Install, fetch and build whatever is missing (DEBUG=1: the debug kernel too)
	@scripts/setup $(setup-debug)

demo: setup ## Show what sharing saves: two real images in a VM
	+@KDIR= scripts/module
	@scripts/demo

test: setup ## Host tests, then the kernel selftests in a VM (DEBUG=1: on the debug kernel)
	+@KDIR= scripts/module
	@scripts/test

check: setup ## rustfmt, clippy with the kernel's lints and no warnings, host tests
	@scripts/check

bench: setup ## Compare this module with the C driver by instruction counts
	+@KDIR= DEBUG=0 scripts/module
	@tests/bench/run

install: all ## Install the module for KDIR's kernel under updates/ (INSTALL_MOD_PATH as in the kernel)
	+@scripts/module modules_install

clean: ## Remove what was built here; the caches outside stay
	rm -rf build erofs.ko
	@if [ -d tests/selftests ]; then $(MAKE) --no-print-directory -C tests/selftests clean; fi
	rm -rf tests/format/target

help: ## Print this list
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-12s%s\n", $$1, $$2 }'
	@echo
	@echo "Variables: KDIR=FOLDER  DEBUG=1  V=1 (whole commands and kernel messages)  INSTALL_MOD_PATH=FOLDER"
	@echo "scripts/vm --help tells how to run anything in the VM."
