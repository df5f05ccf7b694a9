#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the patched libxl-save-helper, and test-p2m-swap of Xen's tools/tests; prints the directory that holds them.
#
#   build.sh [4.17]     4.17: the test alone, of bookworm's Xen. With HOLD=1 in the environment: with hold points, for tests
#
# libxenguest and libxenctrl are linked into the helper: libxenguest uses private structures of libxenctrl, so the two
# must be of one source, and that need not be the point release that a dom0 has installed. What is left comes from
# Xen's libraries with a stable ABI. (The protocol between helper and libxl is the same throughout 4.20.)
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
. "$here/../../lab/cache.sh"

hold=${HOLD:-} series=${1:-4.20} of=xen in=build
if [ "$series" = 4.17 ]; then of=xen-4.17 in=bookworm; fi
source=$("$VMBEAM_TOP/lab/source.sh" "$of")
tree=$("$VMBEAM_TOP/lab/tree.sh" "$in")

build() {
	"$VMBEAM_TOP/lab/tree.sh" run "$in" bash /vmbeam/xen/tools/compile.sh \
		"/cache/${source##*/}/xen" "/cache/${1##*/}" "$series" "$hold"
}

held=()
if [ -n "$hold" ]; then held=("$VMBEAM_TOP"/userspace/common/{hold,log,text}.[ch]); fi
cache_entry save-helper "$(cache_key "=${source##*/}" "=${tree##*/}" "=hold:$hold" "$here/build.sh" "$here/compile.sh" \
	"$here/patches" "$here/files" "$here/../patches/$series" "$here/../patches/common" "$VMBEAM_TOP/include/xen" ${held[@]+"${held[@]}"})" build
