# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The machine that the outer Xen runs on: its QEMU command line, and how it is talked to. Sourced, never run.
# Why each option is there: docs/lab.md.

LAB_DIR=${LAB_DIR:-$VMBEAM_TOP/build/lab}
LAB_MIB=${LAB_MIB:-9216}
LAB_DOM0_MIB=1536
LAB_HOSTVM_MIB=${LAB_HOSTVM_MIB:-2560}
LAB_ICOUNT=${LAB_ICOUNT:-}
# Not empty: without what the lab does for the sake of QEMU's faults, on a QEMU that has them fixed, or bare
LAB_QEMU=${LAB_QEMU:-}
case $LAB_QEMU in ''|fixed|bare) ;; *) die "LAB_QEMU is $LAB_QEMU: neither fixed nor bare" ;; esac

# 0: the guest management VMs without swiotlb=force, so that their device models map guest VMs' frames
LAB_SWIOTLB=${LAB_SWIOTLB:-force}

# 4.17, of LAB_XEN_VARIANT: the outer system is bookworm's; nothing nested is made of that
# shellcheck disable=SC2034 # for those that source this
LAB_SERIES=$([ "${LAB_XEN_VARIANT:-}" != 4.17 ] || echo 4.17)
[ -z "$LAB_SERIES" ] || [ -n "${LAB_HOST_ONLY:-}" ] || die "LAB_XEN_VARIANT=4.17 goes with LAB_HOST_ONLY=1"

# Not empty: where lab/qemu/profile.c writes its counts
LAB_PROFILE=${LAB_PROFILE:-}

# Not empty: the outer Xen and its dom0 alone, for what needs no nested system; one more CPU, so that flushes of TLBs
# have somewhere to go
LAB_HOST_ONLY=${LAB_HOST_ONLY:-}
LAB_HOSTVMS="hv1 hv2" LAB_CPUS=5
# shellcheck disable=SC2034 # for those that source this
if [ -n "$LAB_HOST_ONLY" ]; then LAB_HOSTVMS='' LAB_CPUS=3; fi

# A /dev/kvm alone proves nothing: it may be unable to nest.
qemu_accel() {
	if [ "${LAB_ACCEL:-auto}" = tcg ] || [ -n "$LAB_QEMU" ]; then echo tcg
	elif [ -w /dev/kvm ] && grep -q -E '^flags.*\b(svm|vmx)\b' /proc/cpuinfo; then echo kvm
	else echo tcg; fi
}

# What the machine is made of, on one line each: also the part of the snapshot's key that is QEMU's.
qemu_args() {
	local accel sha=,-sha-ni pin=" dom0_vcpus_pin" xen_extra=xsave=0 cpus='' hostvms=''
	accel=$(qemu_accel)
	if [ -n "$LAB_QEMU" ]; then sha='' pin='' xen_extra='' cpus=" lab.cpus=all"; fi
	[ -z "$LAB_HOST_ONLY" ] || hostvms=" lab.hostvms=none"
	[ "$LAB_SWIOTLB" = force ] || hostvms+=" lab.swiotlb=off"
	if [ -n "$LAB_ICOUNT" ]; then
		printf '%s\n' -accel tcg -icount "shift=0" -cpu "max,-x2apic$sha"
	elif [ "$accel" = tcg ]; then
		printf '%s\n' -accel tcg -cpu "max$sha"
	else
		printf '%s\n' -accel kvm -cpu host
		xen_extra=
	fi
	printf '%s\n' -machine pc -smp "$LAB_CPUS" -m "$LAB_MIB" -display none -no-reboot -nodefaults \
		-kernel /image/xen-outer \
		-append "console=com1 com1=115200,8n1 loglvl=info guest_loglvl=warning bootscrub=0 dom0_mem=${LAB_DOM0_MIB}M,max:${LAB_DOM0_MIB}M dom0_max_vcpus=1$pin spec-ctrl=no noreboot $xen_extra" \
		-initrd "/image/vmlinuz console=hvc0 loglevel=4 xen_timer_slop=20000000 random.trust_cpu=on net.ifnames=0 panic=0 lab.role=host lab.ip=10.0.2.10 lab.root=/dev/vda lab.hostvm_mib=$LAB_HOSTVM_MIB$cpus$hostvms,/image/rd.gz" \
		-device virtio-rng-pci
}

# The program, as the build tree sees it; another one cannot take over a snapshot, so it is part of its key, too.
qemu_binary() {
	local fixed
	if [ "$LAB_QEMU" = fixed ]; then fixed=$("$VMBEAM_TOP/lab/qemu/build.sh") && echo "$(tree_of "$fixed")/qemu-system-x86_64"
	else echo qemu-system-x86_64; fi
}

# qemu_start IMAGE XEN DISKS LOG [ARG...]: DISKS holds guests.qcow2 and state.qcow2; all three are entries of the cache
# or, DISKS, below the checkout; paths are those inside the build tree
qemu_start() {
	local image=$1 xen=$2 disks=$3 log=$4 args=() a binary; shift 4
	binary=$(qemu_binary) || die "there is no QEMU with the fixes"
	while read -r a; do
		a=${a//\/image\/xen-outer/$xen}
		args+=("${a//\/image\//$image/}")
	done < <(qemu_args)
	[ -z "$LAB_PROFILE" ] ||
		args+=(-plugin "file=$(tree_of "$("$VMBEAM_TOP/lab/qemu/profile.sh")"),out=$(tree_of "$LAB_PROFILE")")
	qemu_in_tree "$binary" "${args[@]}" -daemonize -pidfile "$(tree_of "$LAB_DIR/qemu.pid")" \
		-serial "file:$log" -monitor "unix:$(tree_of "$LAB_DIR/monitor"),server,nowait" \
		-drive "file=$image/root.ext4,if=virtio,format=raw,readonly=on,file.locking=off" \
		-drive "file=$disks/guests.qcow2,if=virtio,format=qcow2" \
		-drive "file=$disks/state.qcow2,if=virtio,format=qcow2" \
		-netdev "user,id=net,net=10.0.2.0/24,host=10.0.2.2,$(qemu_forwards)" -device virtio-net-pci,netdev=net,mac=00:16:3e:00:00:10,romfile= "$@"
}

# One loopback port for each system that has an ssh server; port 0 lets the kernel choose.
LAB_SYSTEMS="host hv1 hv2 u1 u2 u3"
qemu_address() { case $1 in host) echo 10.0.2.10 ;; hv1) echo 10.0.2.11 ;; hv2) echo 10.0.2.12 ;; u[0-9]) echo "10.0.2.2${1#u}" ;; esac; }
qemu_forwards() { local s; for s in $LAB_SYSTEMS; do printf 'hostfwd=tcp:127.0.0.1:0-%s:22,' "$(qemu_address "$s")"; done | sed 's/,$//'; }

# The loopback port that leads to a system, as QEMU chose it.
qemu_port() {
	qemu_monitor "info usernet" | awk -v a="$(qemu_address "$1")" '$1 ~ /HOST_FORWARD/ && $5 == a && $6 == 22 {print $4}'
}

qemu_in_tree() { "$VMBEAM_TOP/lab/tree.sh" run build "$@"; }

# A path of the checkout or the cache, as the build tree sees it.
tree_of() {
	case $1 in
	"$VMBEAM_TOP"/*) printf '/vmbeam%s\n' "${1#"$VMBEAM_TOP"}" ;;
	"$VMBEAM_CACHE"/*) printf '/cache%s\n' "${1#"$VMBEAM_CACHE"}" ;;
	*) die "$1 is neither in the checkout nor in the cache" ;;
	esac
}

# qemu_monitor COMMAND: the answer of QEMU's monitor
qemu_monitor() {
	printf '%s\n' "$1" | qemu_in_tree socat -t 20 - "UNIX-CONNECT:$(tree_of "$LAB_DIR/monitor")" | tr -d '\r' | sed -e 1,2d -e '/^(qemu)/d'
}

qemu_running() { [ -s "$LAB_DIR/qemu.pid" ] && kill -0 "$(cat "$LAB_DIR/qemu.pid")" 2>/dev/null; }

qemu_stop() {
	local pid
	qemu_running || return 0
	pid=$(cat "$LAB_DIR/qemu.pid")
	kill "$pid"
	for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$LAB_DIR/qemu.pid" "$LAB_DIR/monitor"
}
