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
#   guests.raw     the disk that both nested systems see; state.raw: the host management VM's own (journal)
#   id             the ssh key that lets the lab in
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"

modules_dom0="virtio_pci virtio_blk virtio_net xen-blkfront xen-netfront ext4 overlay"
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

# All that a guest VM runs is in its initial ramdisk: nothing is read from a disk through three device models.
guest_root() {
	local root=$1 rd=$2 f
	for f in $(chroot "$root" busybox --list); do [ -e "$rd/bin/$f" ] || ln -s busybox "$rd/bin/$f"; done
	rm "$rd/bin/sh"
	for f in /usr/bin/bash /usr/sbin/dropbear; do
		chroot "$root" ldd "$f" | grep -o '/[^ ]*'; echo "$f"
	done | sort -u | while read -r f; do install -D "$root$f" "$rd${f#/usr}"; done
	ln -s bash "$rd/bin/sh"; mkdir "$rd/usr"; ln -s ../bin ../sbin "$rd/usr/"
	ln -s ../bin/busybox "$rd/sbin/poweroff"	# the kernel starts it by this name when its toolstack asks for a shutdown
	install -D -m 644 -t "$rd/etc" "$root"/etc/{passwd,group,shells}; cp -a "$root"/etc/{inittab,dropbear} "$rd/etc/"
	cp -a "$root/lab" "$root/root" "$rd/"
	mkdir -p "$rd"/{run,var/log,tmp}
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

# Runs in the build tree, as root, with the image tree under /cache.
image_in_tree() {
	local image=$1 out=$2 img kernel cloud
	kernel=$(basename "$image"/boot/vmlinuz-*[0-9]-amd64); kernel=${kernel#vmlinuz-}
	cloud=$(basename "$image"/boot/vmlinuz-*cloud-amd64); cloud=${cloud#vmlinuz-}
	ssh-keygen -q -t ed25519 -N '' -f "$out/id"

	img=$out/img; cp -a "$image" "$img"
	mkdir -p "$img"/{var/lib/xenstored,root/.ssh,run,etc/dropbear}
	cp -a /vmbeam/lab/image/lab "$img/"; cp -a /vmbeam/lab/image/etc/. "$img/etc/"
	cp "$out/id.pub" "$img/root/.ssh/authorized_keys"
	rm -f "$img"/etc/dropbear/*; chroot "$img" dropbearkey -t ed25519 -f /etc/dropbear/host_key >/dev/null
	chmod 700 "$img/root/.ssh"; chown -R 0:0 "$img/lab" "$img/root"
	for a in $light top; do ln -sf busybox "$img/usr/bin/$a"; done
	for a in poweroff reboot halt; do ln -sf /usr/bin/busybox "$img/usr/sbin/$a"; done

	zcat "$img"/boot/xen-4.*-amd64.gz >"$out/xen"
	cp "$img/boot/vmlinuz-$kernel" "$out/vmlinuz"
	# shellcheck disable=SC2086 # lists of words
	make_initrd "$img" "$kernel" "$out/rd.gz" $modules_dom0
	if [ "$cloud" != '*cloud-amd64' ]; then
		# shellcheck disable=SC2086
		make_initrd "$img" "$cloud" "$out/rd-guest.gz" --guest $modules_guest
		unpack_kernel "$img/boot/vmlinuz-$cloud" >"$out/vmlinux-guest"
	fi

	(cd "$img"
	 rm -rf boot/* usr/share/{doc,man,locale,info,mime} usr/lib/modules/*/kernel/drivers/{gpu,media,infiniband,usb,sound,scsi,iio,staging,mmc,mtd,nvme,ata,md,bluetooth,hid,input,isdn,thunderbolt} \
		usr/lib/modules/*/kernel/{sound,net/wireless,net/bluetooth,net/mac80211} usr/lib/modules/*/kernel/drivers/net/{wireless,ethernet} \
		var/lib/apt var/cache usr/share/qemu/{edk2*,*.fd} vmbeam cache)
	mkdir "$img/var/cache"
	cp "$out"/{xen,vmlinuz,*.gz} "$img/boot/"; [ "$cloud" = '*cloud-amd64' ] || cp "$out/vmlinux-guest" "$img/boot/"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -N 30000 -d "$img" "$out/root.ext4" 640M
	rm -rf "$img"
	truncate -s 1G "$out/guests.raw"; mke2fs -q -t ext4 -L guests "$out/guests.raw"
	truncate -s 64M "$out/state.raw"; mke2fs -q -t ext4 -L state "$out/state.raw"
}

image_make() { "$lab/tree.sh" run build bash /vmbeam/lab/image.sh --in-tree "/cache/$(basename "$(dirname "$image")")/root" "/cache/${1##*/}"; }

if [ "${1:-}" = --in-tree ]; then image_in_tree "$2" "$3"; exit; fi
tree=image name=image
if [ "${1:-}" = 4.17 ]; then tree=bookworm_image name=image-4.17; fi
image=$("$lab/tree.sh" "$tree")/root
cache_entry "$name" "$(cache_key "=$image" "$lab/image" "$lab/image.sh")" image_make
