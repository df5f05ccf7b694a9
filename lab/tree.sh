#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Debian trees that everything is built in and booted from.
#
#   tree.sh build      trixie: compilers, 6.12 headers, QEMU to run the lab; prints its path
#   tree.sh image      trixie: what the three kinds of dom0 boot from
#   tree.sh bookworm   bookworm: 6.1 headers, to build the modules against; and libraries of Xen 4.17
#   tree.sh testing    testing: headers of the kernel it has, to build the modules against; and that kernel
#   tree.sh bookworm_image   bookworm: what a dom0 under Xen 4.17 boots from
#   tree.sh qemu       trixie: what building QEMU takes; the result runs in "build"
#   tree.sh sources SUITE   what apt's sources.list says for a suite
#   tree.sh run NAME COMMAND...   run a command in a tree, with this checkout at /vmbeam and the cache at /cache
#
# All of it works inside the build tree, too: that is where the lab's driver and the tests run.
# shellcheck disable=SC2034 # packages_* are looked up by name: tree_path()
set -euo pipefail
. "$(dirname "$0")/cache.sh"

packages_build="build-essential,bc,bison,flex,libelf-dev,kmod,cpio,xz-utils,zstd,python3,pkgconf,git,
	linux-headers-amd64,linux-headers-cloud-amd64,sparse,shellcheck,codespell,clang,libclang-rt-19-dev,
	uuid-dev,libncurses-dev,libyajl-dev,zlib1g-dev,acpica-tools,gettext,checkpolicy,m4,libglib2.0-dev,libpixman-1-dev,
	liblzma-dev,libbz2-dev,liblzo2-dev,libzstd-dev,libnl-3-dev,libnl-route-3-dev,libfdt-dev,libssl-dev,
	libxen-dev,libjson-c-dev,libsystemd-dev,libaio-dev,python3-dev,python3-setuptools,
	qemu-system-x86,qemu-utils,seabios,e2fsprogs,jq,wget,ca-certificates,dwarves,
	mmdebstrap,debian-archive-keyring,python3-pytest,python3-pytest-xdist,mypy,gnuplot-nox,python3-prometheus-client,zsh"
packages_image="xen-hypervisor-4.20-amd64,xen-utils-4.20,xenstore-utils,linux-image-amd64,linux-image-cloud-amd64,
	qemu-system-xen,seabios,busybox-static,iproute2,bridge-utils,kmod,udev,e2fsprogs,xz-utils,procps,
	systemd-sysv,dbus,libjson-c5,libsystemd0,jq,psmisc,util-linux,strace,gdb-minimal,iperf3,socat"
packages_bookworm="build-essential,linux-headers-amd64,linux-headers-cloud-amd64,kmod,python3,libxen-dev"
packages_bookworm_image="xen-hypervisor-4.17-amd64,xen-utils-4.17,xenstore-utils,linux-image-amd64,
	busybox-static,iproute2,bridge-utils,kmod,udev,e2fsprogs,xz-utils,procps,
	systemd-sysv,dbus,jq,psmisc,util-linux"
packages_testing="build-essential,kmod,linux-headers-amd64,linux-headers-cloud-amd64,linux-image-amd64,
	linux-image-cloud-amd64"
packages_qemu="build-essential,pkgconf,ninja-build,meson,python3-venv,flex,bison,libglib2.0-dev,libpixman-1-dev,
	libslirp-dev,libfdt-dev,zlib1g-dev"

sources() {
	local suite=$1
	if [ "$suite" = testing ]; then
		# A mirror may be behind: this index is valid for a week only.
		echo "deb [check-valid-until=no] http://deb.debian.org/debian testing main"
		return
	fi
	cat <<-S
	deb http://deb.debian.org/debian $suite main
	deb http://deb.debian.org/debian $suite-updates main
	deb http://deb.debian.org/debian-security $suite-security main
	deb-src http://deb.debian.org/debian $suite main
	deb-src http://deb.debian.org/debian $suite-updates main
	deb-src http://deb.debian.org/debian-security $suite-security main
	S
}

tree_make() {
	local suite=$1 packages=$2 dir=$3
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
	sources "$suite" | mmdebstrap --variant=minbase --quiet \
		--aptopt='Acquire::Retries "3"' --dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/doc/* \
		--include="$(tr -d ' \t\n' <<<"$packages")" "$suite" "$dir/root" -
	mkdir -p "$dir/root/vmbeam" "$dir/root/cache"
}

tree_path() {
	local name=$1 suite=trixie list
	case $name in bookworm*) suite=bookworm ;; testing) suite=testing ;; esac
	list=packages_$name
	[ -n "${!list:-}" ] || die "no tree called $name"
	cache_entry "tree-$name" "$(cache_key "=$suite" "=${!list}" "=$(sources "$suite")")" \
		tree_make "$suite" "${!list}"
}

# The mounts live in a namespace of their own and end with the command. The root is bound to itself, since unshare makes
# "/" private, which takes a mount point: without it a tree could not be used from inside another.
tree_run() {
	local root pass=() name; root=$(tree_path "$1")/root; shift
	for name in $(compgen -e); do
		case $name in
		VMBEAM_TOP|VMBEAM_CACHE) ;;	# they have other names in there
		VMBEAM_*|LAB_*|T|PYTEST_ADDOPTS|TERM|http_proxy|https_proxy|no_proxy) pass+=("$name=${!name}") ;;
		esac
	done
	# shellcheck disable=SC2016 # expanded by the inner shells
	unshare --mount --propagation private sh -ec '
		root=$1 top=$2 cache=$3; shift 3
		mount --bind "$root" "$root"
		mount --bind "$top" "$root/vmbeam"
		mount --bind "$cache" "$root/cache"
		mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"
		mount --bind /sys "$root/sys"; mount -o remount,bind,ro "$root/sys"
		mount -t tmpfs -o size=100% tmpfs "$root/tmp"
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"' \
		sh "$root" "$VMBEAM_TOP" "$VMBEAM_CACHE" ${pass[@]+"${pass[@]}"} VMBEAM_CACHE=/cache \
		sh -c 'cd /vmbeam && exec "$@"' sh "$@"
}

case ${1:-} in
build|image|bookworm|bookworm_image|testing|qemu) tree_path "$1" ;;
sources) sources "${2:?}" ;;
run) tree_run "${@:2}" ;;
*) die "usage: tree.sh build|image|bookworm|bookworm_image|testing|qemu | sources SUITE | run NAME COMMAND..." ;;
esac
