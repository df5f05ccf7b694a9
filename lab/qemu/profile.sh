#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds profile.c, a plugin for the QEMU of the build tree; prints its path. Debian ships the interface's header with
# QEMU's source only.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
. "$here/../cache.sh"

build() {
	# shellcheck disable=SC2016 # expanded in the tree
	"$here/../tree.sh" run build sh -euc 'gcc -Wall -Wextra -Wno-unused-parameter -Werror -O2 -fPIC -shared -I"$1" \
		$(pkgconf --cflags glib-2.0) -o "$2" lab/qemu/profile.c $(pkgconf --libs glib-2.0)' sh \
		"/cache/${source#"$VMBEAM_CACHE"/}/qemu/include/qemu" "/cache/${1##*/}/profile.so"
}

source=$("$here/../source.sh" qemu)
tree=$("$here/../tree.sh" build)
echo "$(cache_entry qemu-profile "$(cache_key "=${source##*/}" "=${tree##*/}" "$here/profile.sh" "$here/profile.c")" build)/profile.so"
