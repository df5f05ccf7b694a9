# SPDX-License-Identifier: GPL-2.0
# VMBeam: see README.md. Everything is built in a Debian trixie tree that the first target makes (lab/tree.sh), so the
# distribution underneath does not matter; it needs root.
TREE := lab/tree.sh run

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: deps ## build all, start the lab, give a host VM another Xen while its guest VM runs on, say what happened
	lab/lab demo

check: deps ## all tests, or those of T="ADDRESS...": style, native, builds, and all levels in the lab
	selftests/check

tests: deps ## the addresses of all tests
	selftests/check --list -m "soak or not soak"

soak: deps ## what takes long: demos and cold boots in a row, checksums, races, other hypervisors; build/soak/*.json
	selftests/check -m soak

mutations: deps ## can the tests fail? breaks the code in one place after the other; hours
	selftests/check -m mutations

swap-cost: deps ## what a swap costs, in instructions; the table in docs/hypercall.md; fails if a bound is passed
	selftests/swap-cost.sh

swap-profile: deps ## where the instructions of a swap go, by function: CASE="2m", "4k scattered", "4k runs of 512", "2m with 8 excluded"
	selftests/swap-profile.sh "$(or $(CASE),2m)"

bench: deps ## what a swap costs beside what else there is; build/bench. SIZE="128 256" RUNS=10 ROW="memory/128/*" CUT=4 KEEP=1 DOCS=1
	lab/lab bench $(if $(SIZE),--size "$(SIZE)") $(if $(ROW),--row "$(ROW)") $(if $(RUNS),--runs "$(RUNS)") $(if $(CUT),--cut "$(CUT)") $(if $(KEEP),--keep) $(if $(DOCS),--docs)

bench-native: deps ## what a swap costs on this very processor, beside memcpy; build/bench/native.json. BENCH="--docs" or bench.c's options
	$(TREE) build python3 selftests/native/p2m-swap/bench.py $(BENCH)

modules: deps ## both kernel modules, against the headers of Debian's 6.12, 6.1 and testing's kernel, warnings as errors
	lab/source.sh linux >/dev/null
	$(TREE) build kmod/build.sh build
	$(TREE) bookworm kmod/build.sh bookworm
	$(TREE) testing kmod/build.sh testing

qemu: deps ## Debian's QEMU with the fixes of lab/qemu, which the lab does not need; prints where it is
	lab/qemu/build.sh

tools: deps ## library, daemon, agent, command; and the save helper
	$(TREE) build make -C userspace -j2
	xen/tools/build.sh

xen: deps ## the patched host hypervisor; prints where it is
	xen/build.sh

lint: deps ## style of all sources
	./lint.sh

install: tools ## tools, library and units into DESTDIR
	$(MAKE) -C userspace install DESTDIR="$(DESTDIR)"
	install -D -m 755 -t "$(DESTDIR)/usr/lib/vmbeam" "$$(xen/tools/build.sh)/libxl-save-helper"

clean: ## what was built in the checkout; lab/lab clean deletes the snapshots, and the rest of the cache stays
	lab/lab down
	rm -rf build

deps: # what the host needs to make the trees; everything else is in them
	@command -v mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq mmdebstrap debian-archive-keyring; }

.PHONY: help demo check tests soak mutations swap-cost swap-profile bench bench-native modules tools xen qemu lint install clean deps
