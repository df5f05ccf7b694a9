#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sources of others that the build takes from Debian; prints where each is.
#
#   source.sh xen      trixie's Xen 4.20 with Debian's patches applied
#   source.sh xen-4.17 bookworm's Xen 4.17, likewise
#   source.sh qemu     trixie's QEMU, of the version that the build tree's QEMU has, with Debian's patches applied
#   source.sh linux    of Linux: kselftest.h, kselftest_harness.h and checkpatch
#
# Xen's and QEMU's are pinned: the files are fetched one by one and checked against the SHA-256 that Debian's signed
# index gave for that version. `apt-get source` would want the newest version's .dsc, and a mirror may hold the
# binaries of a version for days before its source, or never the .dsc.
# shellcheck disable=SC2034 # NAME_version and NAME_files are looked up by name
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"

# From the signed index of Debian stable (apt-cache showsrc xen), 2026-11.
xen_version=4.20.3+127-gc42374a105-0+deb13u1
xen_files="df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3 xen_4.20.3+127-gc42374a105.orig.tar.xz
b1f909d626f3d4ba6965ba291dd97b0dfbbe48bb8e2510913cbc1760c5e8cb3e xen_4.20.3+127-gc42374a105-0+deb13u1.debian.tar.xz"

# From that of Debian oldstable, 2026-11.
xen417_version=4.17.5+72-g01140da4e8-1
xen417_files="53922f4d0a02c577f2ea9d63f65989cd88715779eebeed879ca1d314103ee06e xen_4.17.5+72-g01140da4e8.orig.tar.xz
5bcf3812c64585e270e0b3fa6ee8fd16dff7b9bc0f61375d648c64672484c4d9 xen_4.17.5+72-g01140da4e8-1.debian.tar.xz"

# From the index of stable (apt-cache showsrc qemu), 2026-11.
qemu_version=10.0.13+ds-0+deb13u1
qemu_files="6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae qemu_10.0.13+ds.orig.tar.xz
da73c092f5684c551b0334d675eb16a3dec91e1edea94759cfb1102fa4a0364e qemu_10.0.13+ds-0+deb13u1.debian.tar.xz"

# source_debian NAME VERSION FILES DIR
source_debian() {
	local dir=/cache/${4##*/}
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build bash -euc '
		cd "$1"
		while read -r sum file; do
			for pool in "debian/pool/main/${2:0:1}/$2" "debian-security/pool/updates/main/${2:0:1}/$2"; do
				/usr/lib/apt/apt-helper -o Acquire::Retries=3 download-file \
					"http://deb.debian.org/$pool/$file" "$file" "SHA256:$sum" && break
			done
			[ -s "$file" ]
		done <<<"$4"
		mkdir "$2"
		tar -C "$2" --strip-components=1 -xf ./*.orig.tar.xz; tar -C "$2" -xf ./*.debian.tar.xz
		cd "$2"
		grep -v -E "^(#|$)" debian/patches/series | while read -r p; do patch -s -p1 <"debian/patches/$p"; done
		echo "$3" >../version; rm -f ../*.tar.xz' bash "$dir" "$1" "$2" "$3"
}

source_linux() {
	local dir=/cache/${1##*/}
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build bash -euc '
		cd /tmp; apt-get update -qq; apt-get download -qq linux-source-6.12
		t=linux-source-6.12
		dpkg --fsys-tarfile ./linux-source*.deb | tar -xO "./usr/src/$t.tar.xz" |
		tar -C "$1" --strip-components=1 -xJf - "$t/tools/testing/selftests/kselftest.h" \
			"$t/tools/testing/selftests/kselftest_harness.h" "$t/scripts/checkpatch.pl" \
			"$t/scripts/spelling.txt" "$t/scripts/const_structs.checkpatch"' bash "$dir"
}

# A function as it is written here: what declare -f prints depends on the version of bash.
text() { sed -n "/^$1() {/,/^}/p" "$lab/source.sh"; }

case ${1:-} in
xen|xen-4.17|qemu)
	name=${1//[-.]/}; version=${name}_version files=${name}_files
	cache_entry "source-$1" "$(cache_key "=$(text source_debian)" "=${!version}" "=${!files}")" \
		source_debian "${1%-4.17}" "${!version}" "${!files}" ;;
linux)
	tree=$("$lab/tree.sh" build)
	cache_entry source-linux "$(cache_key "=${tree##*/}" "=$(text source_linux)")" source_linux ;;
*) die "usage: source.sh xen|xen-4.17|qemu|linux" ;;
esac
