/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does CPU 1, which loads its FPU's status word all the time, undo what CPU 0 does to its own flags? The flag of SVM
 * that can be watched without a guest is GIF: an interrupt is pending all the time, and must not be taken between CLGI
 * and STGI. It needs two real CPUs that run at the same time.
 */
#include "kernel.S"
#include "second.S"

#define TO_SELF		0x40000
#define INTERRUPT	32
#define TRIES		5000000

main:	movl	$0xc0000080, %ecx		/* EFER.SVME, for CLGI and STGI */
	rdmsr
	orl	$0x1000, %eax
	wrmsr
	call	start_other_cpu

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
	movl	lost, %eax
	movl	$TRIES, %edx
	jmp	print_count

/* An interrupt was taken with GIF clear, or so CPU 0 has it: interrupts are off now. Have the next one pend. */
taken:	incl	lost
	movl	$0, APIC_EOI
	movl	$(TO_SELF | INTERRUPT), APIC_ICR
	stgi
	decl	%ebx
	jnz	again
	jmp	done

other_cpu:
1:	fldenv	environment
	jmp	1b

	.section .rodata
text:	.asciz	"CLGI undone: "
	.balign	4
environment:	/* of an FPU without exceptions */
	.long	0x37f, 0, 0xffff, 0, 0, 0, 0

	.bss
lost:	.long	0
