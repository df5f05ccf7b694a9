#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the modules, the tools and the tests for a lab; prints the entry of the cache that holds host.tar and guest.tar,
# what the management VMs of each level get. What is tested is what is installed: DESTDIR of `make install`, with the
# hold points compiled in.
#
#   stage.sh [testing]   testing: the guest management VMs' module is for the kernel of Debian testing
#   stage.sh 4.17        the host's module and its tests alone, in bookworm's tree
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
cd "$VMBEAM_TOP"
series=4.20 tree=build guest_tree=build tests=build/selftests levels=all
case ${1:-} in
'') ;;
testing) guest_tree=testing ;;
4.17) series=4.17 tree=bookworm guest_tree='' tests=build/selftests-bookworm levels=host ;;
*) die "usage: stage.sh [testing|4.17]" ;;
esac
older=(); [ $series = 4.20 ] || older=("$series")
helper=$(HOLD=1 xen/tools/build.sh ${older[@]+"${older[@]}"})
linux=$("$lab/source.sh" linux)

build() {
	local root=build/stage/root level
	"$lab/tree.sh" run "$tree" kmod/build.sh "$tree"
	[ -z "$guest_tree" ] || [ "$guest_tree" = "$tree" ] || "$lab/tree.sh" run "$guest_tree" kmod/build.sh "$guest_tree"
	"$lab/tree.sh" run "$tree" make -s -j2 -C selftests "$levels" O="/vmbeam/$tests" KSELFTEST_DIR="/cache/${linux##*/}/tools/testing/selftests"
	rm -rf build/stage
	mkdir -p $root/lab/selftests $root/usr/lib/vmbeam $root/etc/vmbeam
	if [ -n "$guest_tree" ]; then
		"$lab/tree.sh" run build sh -ec "
			make -s -j2 -C userspace HOLD=1
			make -s -C userspace HOLD=1 install DESTDIR=/vmbeam/$root PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu"
		cp "$helper/libxl-save-helper" $root/usr/lib/vmbeam/
	fi
	find "build/modules-$tree" -name '*.ko' -exec cp {} $root/lab/ \;
	[ -z "$guest_tree" ] || cp "build/modules-$guest_tree/kmod/guest/vmbeam_guest.ko" $root/lab/
	# Every byte goes through an emulated CPU: debug information stays here.
	find $root \( -name '*.ko' -o -perm -u+x -type f \) -exec strip -g {} + 2>/dev/null || true
	for level in host guest tools; do [ ! -d "$tests/$level" ] || cp -r "$tests/$level" $root/lab/selftests/; done
	cp "$helper/test-p2m-swap" $root/lab/selftests/host/
	cp lab/carry/* $root/lab/
	cp lab/carry/vmbeamd.conf $root/etc/vmbeam/
	tar -C $root --sort=name --owner=0 --group=0 --mtime=@0 -cf "$1/host.tar" --exclude='*/guest/*' --exclude=vmbeam-agent \
		--exclude=libxl-save-helper --exclude=vmbeam_guest.ko .
	tar -C $root --sort=name --owner=0 --group=0 --mtime=@0 -cf "$1/guest.tar" --exclude='*/host/*' --exclude=vmbeamd \
		--exclude=vmbeam_host.ko --exclude=vmbeam_mfn.ko .
}

trees=$("$lab/tree.sh" "$tree")${guest_tree:+$("$lab/tree.sh" "$guest_tree")}
cache_entry "stage${1:+-$1}" "$(cache_key "=${helper##*/}" "=${linux##*/}" "=${trees//*\//}" Kbuild VERSION kmod include userspace \
	selftests/Makefile selftests/lib selftests/host selftests/guest selftests/tools selftests/mfn lab/carry lab/stage.sh)" build
