/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is an interrupt that VMRUN injects into a guest delivered once? The guest's handler, with interrupts off, counts how
 * often it is entered before it leaves the guest. CPU 1 changes the map of the physical memory all the time: for that
 * QEMU makes CPU 0 leave its loop, without there being an interrupt for it.
 */
#include "kernel.S"
#include "second.S"

#define EFER		0xc0000080
#define EFER_SVME	0x1000
#define VM_HSAVE_PA	0xc0010117
#define INTERRUPT	32
#define TRIES		20000

/* The VMCB, as far as it is needed. */
#define INTERCEPT_MISC2		0x010	/* VMRUN, VMMCALL */
#define ASID			0x058
#define INT_CTL			0x060
#define V_INTR_MASKING		0x1000000
#define EXIT_CODE		0x070
#define EXIT_VMMCALL		0x81
#define EVENT_INJ		0x0a8
#define EVENT_VALID		0x80000000
#define SEG_ES			0x400
#define SEG_CS			0x410
#define SEG_SS			0x420
#define SEG_DS			0x430
#define GUEST_GDTR		0x460
#define GUEST_IDTR		0x480
#define GUEST_EFER		0x4d0
#define GUEST_CR0		0x558
#define GUEST_RFLAGS		0x570
#define GUEST_RIP		0x578
#define GUEST_RSP		0x5d8

/* Selector, attributes, limit; the base is zero. */
#define SET_SEGMENT(at, selector, attributes)			\
	movl	$(selector | attributes << 16), vmcb + at;	\
	movl	$0xffffffff, vmcb + at + 4
#define SET_TABLE(at, limit, base)				\
	movl	$limit, vmcb + at + 4;				\
	movl	$base, vmcb + at + 8

main:	movl	$EFER, %ecx
	rdmsr
	orl	$EFER_SVME, %eax
	wrmsr
	movl	%eax, vmcb + GUEST_EFER
	movl	$VM_HSAVE_PA, %ecx
	movl	$hsave, %eax
	xorl	%edx, %edx
	wrmsr
	call	start_other_cpu

	movl	$3, vmcb + INTERCEPT_MISC2
	movl	$1, vmcb + ASID
	movl	$V_INTR_MASKING, vmcb + INT_CTL
	SET_SEGMENT(SEG_CS, 8, 0xc9b)
	SET_SEGMENT(SEG_DS, 16, 0xc93)
	SET_SEGMENT(SEG_ES, 16, 0xc93)
	SET_SEGMENT(SEG_SS, 16, 0xc93)
	SET_TABLE(GUEST_GDTR, 23, gdt)
	SET_TABLE(GUEST_IDTR, (33 * 8 - 1), idt)
	movl	%cr0, %eax
	movl	%eax, vmcb + GUEST_CR0
	movl	$handler, resume
	movl	$guest_stack, resume_stack

	movl	$TRIES, tries
again:	movl	$0, entered
	movl	$(EVENT_VALID | INTERRUPT), vmcb + EVENT_INJ
	movl	$guest, vmcb + GUEST_RIP
	movl	$guest_stack, vmcb + GUEST_RSP
	movl	$0x202, vmcb + GUEST_RFLAGS
	movl	$vmcb, %eax
	vmrun	%eax
	cmpl	$EXIT_VMMCALL, vmcb + EXIT_CODE
	jne	1f
	cmpl	$1, entered
	je	2f
1:	incl	wrong
2:	decl	tries
	jnz	again

	movl	$text, %esi
	movl	wrong, %eax
	movl	$TRIES, %edx
	jmp	print_count

guest:	pause
	jmp	guest
handler:incl	entered
	movl	$2000, %ecx
1:	loop	1b
	vmmcall

/* Which memory is behind the BIOS: register 59h of the host bridge of QEMU's "pc". */
other_cpu:
	movl	$0x80000058, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfd, %dx
1:	xorb	$0x30, %bl
	movb	%bl, %al
	outb	%al, %dx
	jmp	1b

	.section .rodata
text:	.asciz	"injected interrupts not taken once: "

	.bss
	.balign	4096
vmcb:	.fill	4096
hsave:	.fill	4096
	.fill	4096
guest_stack:
tries:	.long	0
entered:.long	0
wrong:	.long	0
