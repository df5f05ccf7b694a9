/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel that QEMU's -kernel loads, without an operating system: what ts.S and hflags2.S have in common. They include
 * it and have a main(). It runs at CPL 0 in 32-bit protected mode, without paging; text goes to port E9h.
 */
#define CR0_PE		0x1
#define CR0_EM		0x4
#define CR0_TS		0x8
#define CR4_OSFXSR	0x200
#define CR4_OSXSAVE	0x40000

	.code32
	.text
	.balign	4
	.long	0x1badb002, 0, -0x1badb002	/* multiboot */
	.globl	_start
_start:
	cli
	cld
	movl	$stack, %esp
	lgdt	gdtr
	ljmp	$8, $1f
1:	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$exceptions, %eax		/* a gate of 8 bytes for each, 16 bytes of code behind it */
	movl	$idt, %edi
1:	movl	%eax, %edx
	movw	%dx, (%edi)
	movl	$0x8e000008, 2(%edi)
	shrl	$16, %edx
	movw	%dx, 6(%edi)
	addl	$16, %eax
	addl	$8, %edi
	cmpl	$idt + 33 * 8, %edi
	jne	1b
	lidt	idtr
	call	main
	movw	$0xf4, %dx			/* isa-debug-exit */
	outl	%eax, %dx
	hlt

	.balign	16
exceptions:	/* 32 is an interrupt: only hflags2.S has one */
	.set	n, 0
	.rept	33
	.balign	16
	movb	$n, vector
	jmp	exception
	.set	n, n + 1
	.endr

/* Nothing returns: the test goes on at the place that it gave. */
exception:
	movl	resume_stack, %esp
	jmp	*resume

/* print: the string at %esi */
print:	lodsb
	testb	%al, %al
	jz	1f
	outb	%al, $0xe9
	jmp	print
1:	ret

/* print_number: %eax, decimal */
print_number:
	movl	$10, %ecx
	xorl	%edx, %edx
	divl	%ecx
	pushl	%edx
	testl	%eax, %eax
	jz	1f
	call	print_number
1:	popl	%eax
	addb	$'0', %al
	outb	%al, $0xe9
	ret

/* print_count: the string at %esi, %eax, " of ", %edx, as a line; leaves %eax as it is */
print_count:
	pushl	%eax
	pushl	%edx
	pushl	%eax
	call	print
	popl	%eax
	call	print_number
	movl	$of, %esi
	call	print
	popl	%eax
	call	print_number
	movb	$'\n', %al
	outb	%al, $0xe9
	popl	%eax
	ret

of:	.asciz	" of "

	.data
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word	23
	.long	gdt
idtr:	.word	33 * 8 - 1
	.long	idt
vector:	.byte	0

	.bss
	.balign	8
idt:	.fill	33 * 8
resume:	.long	0
resume_stack:
	.long	0
	.fill	4096
stack:

	.text
