#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deploy.sh: build the modules, the tools and the tests, carry them into a running lab and start the daemons there.
# What is tested is what is installed: DESTDIR of `make install`, with the hold points compiled in.
# Under Xen 4.17 it is the host's module and its tests alone, built in bookworm's tree.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
. "$lab/qemu.sh"
cd "$VMBEAM_TOP"
stage=build/stage

tree=build tests=build/selftests levels=all
if [ "$LAB_SERIES" = 4.17 ]; then tree=bookworm tests=build/selftests-bookworm levels=host; fi

build() {
	local helper linux level
	helper=$(xen/tools/build.sh ${LAB_SERIES:+"$LAB_SERIES"}); linux=$("$lab/source.sh" linux)
	"$lab/tree.sh" run "$tree" kmod/build.sh "$tree"
	"$lab/tree.sh" run "$tree" make -s -j2 -C selftests "$levels" O="/vmbeam/$tests" KSELFTEST_DIR="/cache/${linux##*/}/tools/testing/selftests"
	mkdir -p $stage/root/lab/selftests $stage/root/usr/lib/vmbeam $stage/root/etc/vmbeam
	if [ -z "$LAB_SERIES" ]; then
		"$lab/tree.sh" run build sh -ec "
			make -s -j2 -C userspace HOLD=1
			make -s -C userspace HOLD=1 install DESTDIR=/vmbeam/$stage/root PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu
			make -s -C lab/workload"
		cp "$helper/libxl-save-helper" $stage/root/usr/lib/vmbeam/
		cp build/workload/* $stage/root/lab/
	fi
	find "build/modules-$tree" -name '*.ko' -exec cp {} $stage/root/lab/ \;
	# Every byte is decrypted by an emulated CPU: debug information stays here.
	find $stage/root \( -name '*.ko' -o -perm -u+x -type f \) -exec strip -g {} + 2>/dev/null || true
	cp selftests/run.sh $stage/root/lab/selftests/
	for level in host guest tools; do [ ! -d "$tests/$level" ] || cp -r "$tests/$level" $stage/root/lab/selftests/; done
	cp "$helper/test-p2m-swap" $stage/root/lab/selftests/host/
	cp lab/carry/* $stage/root/lab/
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
