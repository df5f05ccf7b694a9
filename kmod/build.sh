#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build all modules against a Debian kernel's headers, warnings being errors.
#
#   build.sh TREE [FLAVOUR]   run it inside the tree of that name (lab/tree.sh run TREE kmod/build.sh TREE)
#
# It prints the modules' paths, and make's own words as messages.
# The sources are copied to build/modules-TREE[-FLAVOUR]/ first: kbuild writes beside them, and the suites would clash.
set -euo pipefail
tree=${1:?usage: build.sh TREE [FLAVOUR]}
flavour=${2:-amd64}
top=$(readlink -f "$(dirname "$0")/..")
out=$top/build/modules-$tree
[ "$flavour" = amd64 ] || out=$out-$flavour

shopt -s nullglob
# The digit keeps "cloud-amd64" out where "amd64" is wanted.
headers=(/usr/src/linux-headers-*[0-9]-"$flavour")
if [ ${#headers[@]} -ne 1 ]; then
	echo "build.sh: need the headers of one $flavour kernel in /usr/src, found ${#headers[@]}" >&2
	exit 1
fi

mkdir -p "$out/selftests"
for dir in kmod include selftests/mfn; do
	mkdir -p "$out/$dir"
	# -u: what did not change keeps its object.
	cp -ru "$top/$dir/." "$out/$dir/"
done
cp -u "$top/Kbuild" "$top/VERSION" "$out/"
make --no-print-directory -j"${JOBS:-2}" -C "${headers[0]}" "M=$out" W=1 KCFLAGS=-Werror VMBEAM_TESTS=1 modules >&2
find "$out" -name '*.ko' -printf '%p\n' | sort
