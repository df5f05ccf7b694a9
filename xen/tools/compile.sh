#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compile libxl-save-helper, and the test of the hypercall that is in Xen's tree, from a copy of Xen's source; runs in the
# build tree, for build.sh. Of Xen 4.17 the test alone.
#
#   compile.sh SOURCE OUT 4.20|4.17 [HOLD]
set -euo pipefail
source=$1 out=$2 series=$3 hold=${4:-}
here=$(readlink -f "$(dirname "$0")")
xen=/tmp/xen

cp -a "$source" "$xen"
. "$here/../../lab/cache.sh"
apply_patches "$xen" /vmbeam/xen/patches/{"$series",common}/*.patch
if [ "$series" = 4.20 ]; then
	apply_patches "$xen" "$here"/patches/*.patch
	cp -r "$here/files/." "$xen"
fi
cp /vmbeam/include/xen/p2m_swap.h "$xen/xen/include/public/"
cd "$xen"

# What configure would have found out, as far as these few libraries ask. Debian's source has no configure script, and
# generating it needs packages that nothing else here does.
cat >config/Tools.mk <<-M
	PYTHON := python3
	PERL := perl
	AWK := awk
	BISON := bison
	FLEX := flex
	PTHREAD_CFLAGS := -pthread
	PTHREAD_LDFLAGS := -pthread
	FILE_OFFSET_BITS := 64
	CONFIG_PV_SHIM := n
M
cat >tools/config.h <<-M
	#define HAVE_PIPE2 1
	#define INCLUDE_ENDIAN_H <endian.h>
	#define XEN_RUN_DIR "/var/run/xen"
	#define XEN_LOG_DIR "/var/log/xen"
M

# Stock flags of a Debian build, and sections, so that the linker can leave out the domain builder.
flags="$(dpkg-buildflags --get CPPFLAGS) $(dpkg-buildflags --get CFLAGS) -fPIE -ffunction-sections -fdata-sections"
[ -z "$hold" ] || flags+=" -DVMBEAM_HOLD -I/vmbeam/userspace/common"
make_args=(-s -j2 XEN_TARGET_ARCH=x86_64 debug=n "EXTRA_CFLAGS_XEN_TOOLS=$flags")

make "${make_args[@]}" -C tools/include
make "${make_args[@]}" -C tools/libs/ctrl libxenctrl.a
make "${make_args[@]}" -C tools/tests/p2m-swap test-p2m-swap.o
gcc -o "$out/test-p2m-swap" tools/tests/p2m-swap/test-p2m-swap.o tools/libs/ctrl/libxenctrl.a \
	-lxencall -lxenforeignmemory -lxendevicemodel -lxenevtchn -lxengnttab -lxentoollog -lxentoolcore
[ "$series" = 4.20 ] || exit 0

make "${make_args[@]}" -C tools/libs/guest libxenguest.a
make "${make_args[@]}" -C tools/libs/light libxl_save_helper.o _libxl_save_msgs_helper.o

extra=()
[ -z "$hold" ] || extra=(/vmbeam/userspace/common/{hold,log,text}.c -DVMBEAM_HOLD -D_GNU_SOURCE)
# shellcheck disable=SC2046 # several words
gcc -pie $(dpkg-buildflags --get LDFLAGS) -Wl,-z,now -Wl,--gc-sections -Wl,--as-needed -O2 -o "$out/libxl-save-helper" \
	tools/libs/light/libxl_save_helper.o tools/libs/light/_libxl_save_msgs_helper.o ${extra[@]+"${extra[@]}"} \
	tools/libs/guest/libxenguest.a tools/libs/ctrl/libxenctrl.a \
	-lxencall -lxenforeignmemory -lxendevicemodel -lxenevtchn -lxengnttab -lxentoollog -lxentoolcore -lz -pthread
strip "$out/libxl-save-helper"
