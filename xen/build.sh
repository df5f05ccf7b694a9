#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds Debian's Xen with XENMEM_p2m_swap.
#
#   build.sh series [4.17]       prints a directory with all of it as patches that "git am" takes, on Xen's source
#   build.sh [debug|xsm|shadow|4.17]    prints the path of a directory with
#                             xen        the 32-bit multiboot image that QEMU's -kernel takes
#                             xen-syms   the same with symbols, for gdb and addr2line
#                             config     what it was configured with
#
# "debug" is CONFIG_DEBUG: every ASSERT() in Xen's locking and P2M code is live.
# "xsm" has FLASK and its policy, which Debian's Xen does not.
# "shadow" has shadow paging, without which Xen does not move a PV guest VM live, and which trixie's Xen does not have.
# "4.17" is bookworm's Xen; the others are trixie's, 4.20.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
. "$here/../lab/cache.sh"

# Runs in the build tree: SOURCE CONFIG VARIANT SERIES DEST
build_in_tree() {
	local source=$1 config=$2 variant=$3 series=$4 dest=$5 src=$5/src p
	mkdir -p "$src"/tools/{include,libs,tests} "$src/docs/misc"
	cp -a "$source"/{Config.mk,config,xen,SUPPORT.md,CHANGELOG.md} "$src/"
	cp "$source/docs/misc/xen-command-line.pandoc" "$src/docs/misc/"
	cp -a "$source/tools/flask" "$src/tools/"
	# Only for the patches to apply to
	cp -a "$source/tools/libs/ctrl" "$src/tools/libs/"
	cp "$source/tools/include/xenctrl.h" "$src/tools/include/"; cp "$source/tools/tests/Makefile" "$src/tools/tests/"
	. lab/cache.sh
	apply_patches "$src" xen/patches/{"$series",common}/*.patch
	# For the emulator that the lab runs in; does nothing unless it is asked to.
	[ "$series" = 4.17 ] || apply_patches "$src" lab/xen/*.patch
	cp -a xen/hypervisor/. "$src/"
	cp include/xen/p2m_swap.h "$src/xen/include/public/"

	cp "$config" "$src/xen/.config"
	sed -i '/CONFIG_EXPERT/d; /CONFIG_UNSUPPORTED/d; /CONFIG_DEBUG is/d' "$src/xen/.config"
	printf 'CONFIG_%s=y\n' EXPERT UNSUPPORTED P2M_SWAP >>"$src/xen/.config"
	# What EXPERT and UNSUPPORTED would bring along by default, and Debian's Xen does not have.
	printf '# CONFIG_%s is not set\n' HVM_FEP TBOOT SCHED_RTDS SCHED_ARINC653 SCHED_NULL >>"$src/xen/.config"
	[ "$variant" != debug ] || echo CONFIG_DEBUG=y >>"$src/xen/.config"
	[ "$variant" != xsm ] || printf 'CONFIG_%s=y\n' XSM XSM_FLASK XSM_FLASK_POLICY >>"$src/xen/.config"
	[ "$variant" != shadow ] || echo CONFIG_SHADOW_PAGING=y >>"$src/xen/.config"
	cp "$src/xen/.config" "$src/wanted"
	make -C "$src/xen" -s olddefconfig
	for p in P2M_SWAP DEBUG XSM XSM_FLASK XSM_FLASK_POLICY SHADOW_PAGING; do
		! grep -qx "CONFIG_$p=y" "$src/wanted" || grep -qx "CONFIG_$p=y" "$src/xen/.config" ||
			{ echo "$p did not stay on in .config"; return 1; }
	done

	make -C "$src/xen" -s -j"$(nproc)" XEN_VENDORVERSION=+vmbeam XEN_BUILD_DATE=unknown XEN_BUILD_TIME= \
		XEN_WHOAMI=vmbeam XEN_DOMAIN=lab XEN_BUILD_HOST=lab
	cp "$src/xen/xen" "$src/xen/xen-syms" "$dest/"
	cp "$src/xen/.config" "$dest/config"
	rm -rf "$src"
}

build() {
	local source=$1 config=$2 variant=$3 series=$4 dest=$5
	"$here/../lab/tree.sh" run build bash -euc "$(declare -f build_in_tree); build_in_tree \"\$@\"" bash \
		"/cache/${source#"$VMBEAM_CACHE"/}" "/cache/${config#"$VMBEAM_CACHE"/}" "$variant" "$series" "/cache/${dest##*/}"
}

# Runs in the build tree: SOURCE SERIES DEST. The patches refer to files that are kept whole, in hypervisor/ and include/:
# these become part of the patch that makes Xen build them.
series_in_tree() {
	local source=$1 series=$2 dest=$3 p with=
	cp -a "$source" /tmp/xen
	git -C /tmp/xen init -q; git -C /tmp/xen config user.name VMBeam; git -C /tmp/xen config user.email vmbeam@localhost
	git -C /tmp/xen add -A -f; git -C /tmp/xen commit -q -m base; git -C /tmp/xen tag base
	for p in xen/patches/{"$series",common}/*.patch; do
		git -C /tmp/xen am -q "$PWD/$p"
		[[ $p == *-x86-mm-XENMEM_p2m_swap.patch ]] || continue
		cp -a xen/hypervisor/. /tmp/xen/
		cp include/xen/p2m_swap.h /tmp/xen/xen/include/public/
		git -C /tmp/xen add -A -f; git -C /tmp/xen commit -q --amend --no-edit
		with=$p
	done
	[ -n "$with" ] || { echo "no patch is there that the new files belong to"; return 1; }
	git -C /tmp/xen format-patch -q --zero-commit --no-signature -o "$dest" base
}

build_series() {
	"$here/../lab/tree.sh" run build bash -euc "$(declare -f series_in_tree); series_in_tree \"\$@\"" bash \
		"/cache/${source##*/}/xen" "$series" "/cache/${1##*/}"
}

variant=${1:-release} series=4.20 of=xen image=image
case $variant in
release|debug|xsm|shadow) ;;
4.17) series=4.17 of=xen-4.17 image=bookworm_image ;;
series) case ${2:-4.20} in
	4.20) ;;
	4.17) series=4.17 of=xen-4.17 ;;
	*) die "usage: build.sh series [4.17]" ;;
	esac ;;
*) die "usage: build.sh [debug|xsm|shadow|4.17] | series [4.17]" ;;
esac

source=$("$here/../lab/source.sh" "$of")
if [ "$variant" = series ]; then
	key=$(cache_key "=${source##*/}" "$here/hypervisor" "$here/patches/$series" "$here/patches/common" \
		"$VMBEAM_TOP/include/xen" "$here/build.sh")
	cache_entry xen-series "$key" build_series
	exit
fi
config=$("$here/../lab/tree.sh" "$image")/root/boot/xen-$series-amd64.config
[ -f "$config" ] || die "Debian's Xen configuration is missing: $config (is xen-hypervisor-$series-amd64 in the tree?)"
key=$(cache_key "=${source##*/}" "=$(sha256sum <"$config")" "=$variant" "$here/hypervisor" \
	"$here/patches/$series" "$here/patches/common" "$here/../lab/xen" "$VMBEAM_TOP/include/xen" "$here/build.sh")
cache_entry "xen-$variant" "$key" build "$source/xen" "$config" "$variant" "$series"
