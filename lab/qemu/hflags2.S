/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does CPU 1, which loads its FPU's status word all the time, undo what CPU 0 does to its own flags? The flag of SVM
 * that can be watched without a guest is GIF: an interrupt is pending all the time, and must not be taken between CLGI
 * and STGI. It needs two real CPUs that run at the same time.
 */
#include "kernel.S"

#define APIC_EOI	0xfee000b0
#define APIC_SPURIOUS	0xfee000f0
#define APIC_ICR	0xfee00300
#define TO_ALL_OTHERS	0xc0000
#define TO_SELF		0x40000
#define INIT		0x4500
#define STARTUP		0x4600
#define INTERRUPT	32

#define TRAMPOLINE	0x8000
#define TRIES		5000000

main:	movl	$0xc0000080, %ecx		/* EFER.SVME, for CLGI and STGI */
	rdmsr
	orl	$0x1000, %eax
	wrmsr
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

	movl	%esp, resume_stack
	movl	$taken, resume
	movl	$TRIES, %ebx
	movl	$(TO_SELF | INTERRUPT), APIC_ICR
again:	clgi
	sti
	nop
	nop
	cli
	stgi
	decl	%ebx
	jnz	again
done:	movl	$text, %esi
	call	print
	movl	lost, %eax
	call	print_number
	movl	$of, %esi
	call	print
	movl	$TRIES, %eax
	call	print_number
	movb	$'\n', %al
	outb	%al, $0xe9
	movl	lost, %eax
	ret

/* An interrupt was taken with GIF clear, or so CPU 0 has it: interrupts are off now. Have the next one pend. */
taken:	incl	lost
	movl	$0, APIC_EOI
	movl	$(TO_SELF | INTERRUPT), APIC_ICR
	stgi
	decl	%ebx
	jnz	again
	jmp	done

	.code16
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + trampoline_gdtr - trampoline
	movl	%cr0, %eax
	orb	$CR0_PE, %al
	movl	%eax, %cr0
	ljmpl	$8, $other_cpu
trampoline_gdtr:
	.word	23
	.long	gdt
trampoline_end:

	.code32
other_cpu:
	movl	$16, %eax
	movl	%eax, %ds
	movl	$1, started
1:	fldenv	environment
	jmp	1b

	.section .rodata
text:	.asciz	"CLGI undone: "
of:	.asciz	" of "
	.balign	4
environment:	/* of an FPU without exceptions */
	.long	0x37f, 0, 0xffff, 0, 0, 0, 0

	.bss
started:.long	0
lost:	.long	0
