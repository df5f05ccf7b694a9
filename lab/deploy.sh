#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deploy.sh: build the modules, the tools and the tests, carry them into a running lab and start the daemons there.
# What is tested is what is installed: DESTDIR of `make install`, with the hold points compiled in.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
cd "$VMBEAM_TOP"
stage=build/stage

build() {
	local helper linux
	helper=$(xen/tools/build.sh); linux=$("$lab/source.sh" linux)
	"$lab/tree.sh" run build kmod/build.sh build
	"$lab/tree.sh" run build sh -ec "
		make -s -j2 -C userspace HOLD=1 install DESTDIR=/vmbeam/$stage/root PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu
		make -s -j2 -C selftests KSELFTEST_DIR=/cache/${linux##*/}/tools/testing/selftests
		make -s -C lab/workload"
	mkdir -p $stage/root/usr/lib/vmbeam $stage/root/lab/selftests
	cp "$helper/libxl-save-helper" $stage/root/usr/lib/vmbeam/
	find build/modules-build -name '*.ko' -exec cp {} $stage/root/lab/ \;
	cp -r build/selftests/host build/selftests/guest selftests/run.sh $stage/root/lab/selftests/
	cp lab/carry/* build/workload/* $stage/root/lab/
	cp lab/carry/vmbeamd.conf $stage/root/etc/vmbeam/
	tar -C $stage/root --owner=0 --group=0 -czf $stage/all.tar.gz .
}

# start SYSTEM: what a package's postinst and systemd would do
start() {
	local system=$1 module=guest
	[ "$system" != host ] || module=host
	"$lab/lab" run "$system" 'tar -C / --no-same-owner --keep-directory-symlink -xzf - && ldconfig' <$stage/all.tar.gz
	"$lab/lab" run "$system" "/lab/start $module"
}

rm -rf "$stage"
build >&2
for system in host hv1 hv2; do start "$system"; done
say "deployed"
