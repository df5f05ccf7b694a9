#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds Debian's QEMU with the fixes that lie beside this script; prints the directory that holds qemu-system-x86_64.
# It has what the lab's machine needs and nothing else. It runs in the build tree, with the firmware of that tree.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
. "$here/../cache.sh"

# Runs in the QEMU tree: SOURCE DEST
build_in_tree() {
	local source=$1 dest=$2 src=$2/src
	mkdir "$src" "$src/build"
	tar -C "$source" -cf - --exclude=./roms . | tar -C "$src" -xf -
	. lab/cache.sh
	apply_patches "$src" lab/qemu/*.patch
	cd "$src/build"
	# Firmware is looked for where Debian's QEMU looks for it.
	../configure --target-list=x86_64-softmmu --without-default-features --enable-tcg --enable-slirp --enable-pixman \
		--enable-fdt=system --disable-debug-info --disable-download --disable-install-blobs --disable-relocatable \
		--prefix=/usr --firmwarepath=/usr/share/qemu:/usr/share/seabios \
		--with-pkgversion="Debian $(cat "$source/../version"), vmbeam"
	ninja -j"$(nproc)" qemu-system-x86_64
	strip -o "$dest/qemu-system-x86_64" qemu-system-x86_64
	rm -rf "$src"
}

build() {
	"$here/../tree.sh" run qemu bash -euc "$(declare -f build_in_tree); build_in_tree \"\$@\"" bash \
		"/cache/${source#"$VMBEAM_CACHE"/}/qemu" "/cache/${1##*/}"
}

source=$("$here/../source.sh" qemu)
tree=$("$here/../tree.sh" qemu)
cache_entry qemu-fixed "$(cache_key "=${source##*/}" "=${tree##*/}" "$here/build.sh" "$here"/*.patch)" build
