#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the lab boots; prints the directory that holds it:
#
#   image.sh           of trixie, with Xen 4.20
#   image.sh 4.17      of bookworm, with Xen 4.17: for the outer system alone, there is nothing for guests in it
#
#   root.ext4      the root of every dom0, mounted read-only under a tmpfs overlay; holds all of what guest VMs boot from
#   xen            the stock hypervisor, unpacked for a multiboot loader (the nested Xens boot it)
#   vmlinuz, rd.gz the dom0s' kernel and initial ramdisk
#   guestsN.raw    the disks that both nested systems see, u1's and u2's; hvN.raw: a host VM's own, for what is installed in
#                  it; state.raw: the host management VM's own (journal)
#
# Kernels: trixie's, and with the suffix -testing those of Debian testing. A guest management VM boots either; u1 runs
# trixie's cloud kernel, u2 testing's.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"

# button and evdev: for the power button, by which a host VM is told to shut down.
modules_dom0="virtio_pci virtio_blk virtio_net xen-blkfront xen-netfront ext4 overlay button evdev"
modules_guest="xen-blkfront xen-netfront ext4"
# Of busybox, in place of Debian's: static, a program starts in half the time, and Xen's scripts start dozens. Programs
# that the project's own scripts call with options of GNU's stay.
light="basename cat chmod cut dirname expr id ln ls logger mkdir mktemp mv readlink rm sed sleep stat tail touch tr uname"

# A bzImage's payload lies behind its setup sectors; header fields: Documentation/arch/x86/boot.rst.
unpack_kernel() {
	local file=$1 sects offset length
	sects=$(od -An -tu1 -j497 -N1 "$file"); offset=$(od -An -tu4 -j584 -N4 "$file"); length=$(od -An -tu4 -j588 -N4 "$file")
	# The payload ends with the 4 bytes of its unpacked size.
	dd if="$file" bs=1M iflag=skip_bytes,count_bytes status=none skip=$(((sects + 1) * 512 + offset)) count=$((length - 4)) | zstd -dc
}

# All that a guest VM runs is in its initial ramdisk, and static: nothing is read from a disk through three device
# models, and a program starts in a fraction of the time.
guest_root() {
	local root=$1 rd=$2 f
	for f in $(chroot "$root" busybox --list); do [ -e "$rd/bin/$f" ] || ln -s busybox "$rd/bin/$f"; done
	mkdir -p "$rd"/{sbin,usr,run,var/log,tmp,etc,root,lab}
	ln -s ../bin ../sbin "$rd/usr/"
	ln -s ../bin/busybox "$rd/sbin/poweroff"	# the kernel starts it by this name when its toolstack asks for a shutdown
	install -D -m 644 -t "$rd/etc" "$root"/etc/{passwd,group,shells}
	cp -a /vmbeam/lab/image/guest/. "$rd/"
	cp "$bin"/* "$rd/lab/"
}

# make_initrd ROOT KERNEL OUT [--guest] MODULE...
make_initrd() {
	local root=$1 kernel=$2 out=$3 guest='' rd m; shift 3
	[ "$1" != --guest ] || { guest=1; shift; }
	rd=$(mktemp -d)
	mkdir -p "$rd"/{bin,dev,proc,sys,mnt,mod,ro,rw}
	cp "$root/usr/bin/busybox" "$rd/bin/"
	for m in sh mount insmod switch_root sleep cat echo mkdir sed; do ln -s busybox "$rd/bin/$m"; done
	# xz -f: what is not compressed is copied.
	for m in "$@"; do chroot "$root" modprobe --show-depends -S "$kernel" "$m"; done |
	awk '/^insmod/ && !seen[$2]++ {print $2}' | while read -r m; do
		xz -dcf "$root$m" >"$rd/mod/$(basename "$m" .xz)"; basename "$m" .xz >>"$rd/mod/order"
	done
	cp /vmbeam/lab/image/init "$rd/init"
	[ -z "$guest" ] || guest_root "$root" "$rd"
	(cd "$rd" && find . | cpio -o -H newc --quiet | gzip -1) >"$out"
	rm -rf "$rd"
}

# kernels TREE ROOT SUFFIX: the dom0 kernel and the guests' of a Debian tree, as files of $out; its modules into ROOT
kernels() {
	local tree=$1 img=$2 suffix=$3 kernel cloud
	kernel=$(basename "$tree"/boot/vmlinuz-*[0-9]-amd64); kernel=${kernel#vmlinuz-}
	cloud=$(basename "$tree"/boot/vmlinuz-*cloud-amd64); cloud=${cloud#vmlinuz-}
	[ "$tree" = "$img" ] || cp -a "$tree/usr/lib/modules/"{"$kernel","$cloud"} "$img/usr/lib/modules/"
	cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz$suffix"
	# shellcheck disable=SC2086 # lists of words
	make_initrd "$img" "$kernel" "$out/rd$suffix.gz" $modules_dom0
	[ "$cloud" != '*cloud-amd64' ] || return 0	# bookworm's outer system has no guest VMs
	# shellcheck disable=SC2086
	make_initrd "$img" "$cloud" "$out/rd-guest$suffix.gz" --guest $modules_guest
	unpack_kernel "$tree/boot/vmlinuz-$cloud" >"$out/vmlinux-guest$suffix"
	rm -rf "$img/usr/lib/modules/$cloud"
}

# Runs in the build tree, as root, with the trees under /cache: IMAGE TESTING OUT
image_in_tree() {
	local image=$1 testing=$2 out=$3 img bin
	bin=$out/bin; mkdir "$bin"
	make -s -C /vmbeam/lab/checkers O="$bin"; make -s -C /vmbeam/lab/channel O="$bin"
	strip "$bin"/*

	img=$out/img; cp -a "$image" "$img"
	mkdir -p "$img"/{var/lib/xenstored,run}
	cp -a /vmbeam/lab/image/lab "$img/"; cp -a /vmbeam/lab/image/etc/. "$img/etc/"; cp "$bin"/* "$img/lab/"
	chown -R 0:0 "$img/lab" "$img/root"
	for a in $light top; do ln -sf busybox "$img/usr/bin/$a"; done
	for a in poweroff reboot halt; do ln -sf /usr/bin/busybox "$img/usr/sbin/$a"; done

	zcat "$img"/boot/xen-4.*-amd64.gz >"$out/xen"
	kernels "$img" "$img" ''
	[ -z "$testing" ] || kernels "$testing" "$img" -testing

	(cd "$img"
	 rm -rf boot/* usr/share/{doc,man,locale,info,mime} usr/lib/modules/*/kernel/drivers/{gpu,media,infiniband,usb,sound,scsi,iio,staging,mmc,mtd,nvme,ata,md,bluetooth,hid,input,isdn,thunderbolt} \
		usr/lib/modules/*/kernel/{sound,net/wireless,net/bluetooth,net/mac80211} usr/lib/modules/*/kernel/drivers/net/{wireless,ethernet} \
		var/lib/apt var/cache usr/share/qemu/{edk2*,*.fd} vmbeam cache)
	mkdir "$img/var/cache"
	cp "$out"/{xen,vmlin*,*.gz} "$img/boot/"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -N 40000 -d "$img" "$out/root.ext4" 1G
	rm -rf "$img" "$bin"
	for disk in guests1 guests2 hv1 hv2; do truncate -s 1G "$out/$disk.raw"; mke2fs -q -t ext4 -L "$disk" "$out/$disk.raw"; done
	truncate -s 64M "$out/state.raw"; mke2fs -q -t ext4 -L state "$out/state.raw"
}

image_make() {
	"$lab/tree.sh" run build bash /vmbeam/lab/image.sh --in-tree "/cache/${image##*/}/root" \
		"${testing:+/cache/${testing##*/}/root}" "/cache/${1##*/}"
}

if [ "${1:-}" = --in-tree ]; then image_in_tree "$2" "$3" "$4"; exit; fi
name=image testing=
if [ "${1:-}" = 4.17 ]; then name="image-4.17"; image=$("$lab/tree.sh" bookworm_image)
else image=$("$lab/tree.sh" image); testing=$("$lab/tree.sh" testing); fi
cache_entry "$name" "$(cache_key "=${image##*/}" "=${testing##*/}" "$lab/image" "$lab/channel" "$lab/checkers" \
	"$lab/image.sh")" image_make
