#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deploy.sh: build the modules, the tools and the tests, carry them into a running lab and start the daemons there.
# What is tested is what is installed: DESTDIR of `make install`, with the hold points compiled in.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
. "$lab/qemu.sh"
cd "$VMBEAM_TOP"
stage=build/stage

build() {
	local helper linux
	helper=$(xen/tools/build.sh); linux=$("$lab/source.sh" linux)
	"$lab/tree.sh" run build kmod/build.sh build
	"$lab/tree.sh" run build sh -ec "
		make -s -j2 -C userspace HOLD=1
		make -s -C userspace HOLD=1 install DESTDIR=/vmbeam/$stage/root PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu
		make -s -j2 -C selftests KSELFTEST_DIR=/cache/${linux##*/}/tools/testing/selftests
		make -s -C lab/workload"
	mkdir -p $stage/root/usr/lib/vmbeam $stage/root/lab/selftests
	cp "$helper/libxl-save-helper" $stage/root/usr/lib/vmbeam/
	find build/modules-build -name '*.ko' -exec cp {} $stage/root/lab/ \;
	# Every byte is decrypted by an emulated CPU: debug information stays here.
	find $stage/root \( -name '*.ko' -o -perm -u+x -type f \) -exec strip -g {} + 2>/dev/null || true
	cp -r build/selftests/host build/selftests/guest build/selftests/tools selftests/run.sh $stage/root/lab/selftests/
	cp "$helper/test-p2m-swap" $stage/root/lab/selftests/host/
	cp lab/carry/* build/workload/* $stage/root/lab/
	cp lab/carry/vmbeamd.conf $stage/root/etc/vmbeam/
	(cd $stage/root
	 tar --owner=0 --group=0 -czf ../host.tar.gz --exclude='*/guest/*' --exclude=vmbeam-agent --exclude=libxl-save-helper .
	 tar --owner=0 --group=0 -czf ../guest.tar.gz --exclude='*/host/*' --exclude=vmbeamd --exclude='lab/vmbeam_host.ko' \
		--exclude=vmbeam_mfn.ko --exclude='lab/memcheck' --exclude='lab/diskwriter' --exclude='lab/heartbeat' .)
}

# start SYSTEM: what a package's postinst and systemd would do
start() {
	local system=$1 module=guest
	[ "$system" != host ] || module=host
	"$lab/lab" run "$system" 'tar -C / --no-same-owner --keep-directory-symlink -xzf - && ldconfig' <$stage/$module.tar.gz
	"$lab/lab" run "$system" "/lab/start $module"
}

rm -rf "$stage"
build >&2
jobs=()
for system in host $LAB_HOSTVMS; do start "$system" & jobs+=($!); done
for job in "${jobs[@]}"; do wait "$job"; done
say "deployed"
