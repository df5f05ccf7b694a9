/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU 1, for kernels that include it: start_other_cpu() returns when it runs at other_cpu, which they have. It has no
 * stack.
 */
#define APIC_EOI	0xfee000b0
#define APIC_SPURIOUS	0xfee000f0
#define APIC_ICR	0xfee00300
#define TO_ALL_OTHERS	0xc0000
#define INIT		0x4500
#define STARTUP		0x4600
#define TRAMPOLINE	0x8000

start_other_cpu:
	movl	$0x1ff, APIC_SPURIOUS
	movl	$trampoline, %esi
	movl	$TRAMPOLINE, %edi
	movl	$trampoline_end - trampoline, %ecx
	rep	movsb
	movl	$(TO_ALL_OTHERS | INIT), APIC_ICR
1:	movl	$(TO_ALL_OTHERS | STARTUP | (TRAMPOLINE >> 12)), APIC_ICR
	pause
	cmpl	$0, started
	je	1b
	ret

	.code16
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + trampoline_gdtr - trampoline
	movl	%cr0, %eax
	orb	$CR0_PE, %al
	movl	%eax, %cr0
	ljmpl	$8, $1f
trampoline_gdtr:
	.word	23
	.long	gdt
trampoline_end:

	.code32
1:	movl	$16, %eax
	movl	%eax, %ds
	movl	$1, started
	jmp	other_cpu

	.bss
started:.long	0

	.text
