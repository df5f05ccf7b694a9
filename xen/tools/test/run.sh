#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the patched helper without Xen: it saves a made-up PV domain of a fake Xen, and the stock helper of the dom0
# image restores it. TAP.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
. "$here/../../../lab/cache.sh"

helper=$("$here/../build.sh")
out=$VMBEAM_TOP/build/save-helper-test
mkdir -p "$out"
# shellcheck disable=SC2016 # expanded in the tree
"$VMBEAM_TOP/lab/tree.sh" run build sh -euc 'cd /vmbeam/xen/tools/test
	gcc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -o "$1/fake-xen.so" fake-xen.c
	gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$1/test-keep" test-keep.c' sh /vmbeam/build/save-helper-test
exec "$VMBEAM_TOP/lab/tree.sh" run image env ${VERBOSE:+VERBOSE=1} /vmbeam/build/save-helper-test/test-keep \
	"/cache/${helper##*/}/libxl-save-helper" /usr/lib/xen-4.20/bin/libxl-save-helper \
	/vmbeam/build/save-helper-test/fake-xen.so /vmbeam/build/save-helper-test
