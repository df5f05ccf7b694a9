#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the fixes change, without a lab, in seconds: three small kernels on Debian's QEMU, then on the one with the fixes.
#
#   ts       exceptions of instructions that use the registers of the FPU or of SSE: each that is wrong
#   hflags2  how often CPU 1 undid what CPU 0 did to its own flags; it shows only if both run at the same time
#   inject   interrupts that VMRUN injects: how many a guest took twice; likewise
#
# Exit status: 0 if the QEMU with the fixes has nothing wrong.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")

if [ "${1:-}" != --in-tree ]; then
	fixed=$("$here/build.sh")
	exec "$here/../tree.sh" run build bash /vmbeam/lab/qemu/try.sh --in-tree "/cache/${fixed##*/}/qemu-system-x86_64"
fi

for test in ts hflags2 inject; do
	gcc -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x100000,--build-id=none,-z,noexecstack -o "/tmp/$test" "$here/$test.S"
done
for qemu in qemu-system-x86_64 "$2"; do
	echo "# $("$qemu" --version | head -1)"
	rc=0
	for test in ts hflags2 inject; do
		echo "$test:"
		# isa-debug-exit: QEMU's exit status is twice what main() returned, plus 1
		timeout 60 "$qemu" -accel tcg,thread=multi -cpu max -machine pc -smp 2 -m 64 -nodefaults -display none -no-reboot \
			-kernel "/tmp/$test" -device isa-debug-exit,iobase=0xf4,iosize=4 -debugcon file:/tmp/out >/tmp/messages 2>&1 || true
		sed 's/^/	/' /tmp/messages /tmp/out
		tail -n 1 /tmp/out | grep -q -E '^(tried [0-9]+, wrong 0|CLGI undone: 0 of [0-9]+|injected interrupts not taken once: 0 of [0-9]+)$' || rc=1
	done
done
exit "$rc"
