#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sources of others that the build takes from Debian; prints where each is.
#
#   source.sh xen      trixie's Xen 4.20 with Debian's patches applied
#   source.sh linux    of Linux: kselftest.h, kselftest_harness.h and checkpatch
#
# Xen's source is pinned: its files are fetched one by one and checked against the SHA-256 that Debian's signed
# index gave for that version. `apt-get source` would want the newest version's .dsc, and a mirror may hold the
# binaries of a version for days before its source, or never the .dsc.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"

tree=$("$lab/tree.sh" build)/root

# From the signed index of Debian stable (apt-cache showsrc xen), 2026-11.
xen_version=4.20.3+127-gc42374a105-0+deb13u1
xen_files="df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3 xen_4.20.3+127-gc42374a105.orig.tar.xz
b1f909d626f3d4ba6965ba291dd97b0dfbbe48bb8e2510913cbc1760c5e8cb3e xen_4.20.3+127-gc42374a105-0+deb13u1.debian.tar.xz"

source_xen() {
	local dir=/cache/${1##*/}
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build bash -euc '
		cd "$1"
		while read -r sum file; do
			for pool in debian/pool/main/x/xen debian-security/pool/updates/main/x/xen; do
				/usr/lib/apt/apt-helper -o Acquire::Retries=3 download-file \
					"http://deb.debian.org/$pool/$file" "$file" "SHA256:$sum" && break
			done
			[ -s "$file" ]
		done <<<"$3"
		mkdir xen
		tar -C xen --strip-components=1 -xf ./*.orig.tar.xz; tar -C xen -xf ./*.debian.tar.xz
		cd xen
		grep -v -E "^(#|$)" debian/patches/series | while read -r p; do patch -s -p1 <"debian/patches/$p"; done
		echo "$2" >../version; rm -f ../*.tar.xz' bash "$dir" "$xen_version" "$xen_files"
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

case ${1:-} in
xen|linux) cache_entry "source-$1" "$(cache_key "=$tree" "=$(declare -f "source_$1")" "=$xen_files")" "source_$1" ;;
*) die "usage: source.sh xen|linux" ;;
esac
