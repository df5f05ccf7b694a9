/* SPDX-License-Identifier: GPL-2.0 */
/* Which exceptions do instructions raise that use the registers of the FPU or of SSE, if CR0.TS is set and else? */
#include "kernel.S"

#define NONE	0xff
#define UD	6
#define NM	7
#define GP	13

/* TEST "what", CR0 bits, CR4 bits, vector that must come, instruction (%ebx is the address of an aligned area) */
	.macro	TEST what:req, cr0:req, cr4:req, must:req, insn:vararg
	.section .rodata
what\@:	.asciz	"\what"
	.text
	movl	%cr4, %eax
	andl	$~(CR4_OSFXSR | CR4_OSXSAVE), %eax
	orl	$\cr4, %eax
	movl	%eax, %cr4
	movl	%cr0, %eax
	andl	$~(CR0_EM | CR0_TS), %eax
	orl	$\cr0, %eax
	movl	%eax, %cr0
	movl	$7, %eax			/* XSAVE's mask */
	xorl	%edx, %edx
	movl	$area, %ebx
	movl	%esp, resume_stack
	movl	$over\@, resume
	movb	$NONE, vector
	\insn
over\@:	movl	$what\@, %esi
	movb	$\must, %al
	call	report
	.endm

#define OS	(CR4_OSFXSR | CR4_OSXSAVE)
	.macro	CLEAR_AND_SET what:req, insn:vararg
	TEST	"\what", 0, OS, NONE, \insn
	TEST	"\what, CR0.TS", CR0_TS, OS, NM, \insn
	.endm
	.macro	SSE what:req, insn:vararg
	CLEAR_AND_SET "\what", \insn
	TEST	"\what, CR0.EM", CR0_EM, OS, UD, \insn
	TEST	"\what, no CR4.OSFXSR", 0, CR4_OSXSAVE, UD, \insn
	.endm

main:	movl	%cr4, %eax
	orl	$OS, %eax
	movl	%eax, %cr4
	movl	$7, %eax			/* x87, SSE, AVX: VEX encodings are enabled by it */
	xorl	%edx, %edx
	xorl	%ecx, %ecx
	xsetbv

	CLEAR_AND_SET "FXSAVE", fxsave (%ebx)	/* was never wrong: the test itself is tried */

	CLEAR_AND_SET "XSAVE", xsave (%ebx)
	CLEAR_AND_SET "XSAVEOPT", xsaveopt (%ebx)
	CLEAR_AND_SET "XRSTOR", xrstor (%ebx)
	TEST	"XSAVE, CR0.EM", CR0_EM, OS, NONE, xsave (%ebx)
	TEST	"XSAVE, no CR4.OSXSAVE, CR0.TS", CR0_TS, CR4_OSFXSR, UD, xsave (%ebx)
	TEST	"XRSTOR, no CR4.OSXSAVE, CR0.TS", CR0_TS, CR4_OSFXSR, UD, xrstor (%ebx)
	TEST	"XSAVE, misaligned", 0, OS, GP, xsave 4(%ebx)
	TEST	"XSAVE, misaligned, CR0.TS", CR0_TS, OS, NM, xsave 4(%ebx)

	SSE	"SHA1NEXTE", sha1nexte %xmm1, %xmm2
	SSE	"SHA1MSG1", sha1msg1 %xmm1, %xmm2
	SSE	"SHA1MSG2", sha1msg2 %xmm1, %xmm2
	SSE	"SHA1RNDS4", sha1rnds4 $1, %xmm1, %xmm2
	SSE	"SHA256RNDS2", sha256rnds2 %xmm0, %xmm1, %xmm2
	SSE	"SHA256MSG1", sha256msg1 %xmm1, %xmm2
	SSE	"SHA256MSG2", sha256msg2 %xmm1, %xmm2
	TEST	"SHA256MSG1, aligned", 0, OS, NONE, sha256msg1 16(%ebx), %xmm2
	TEST	"SHA256MSG1, misaligned", 0, OS, GP, sha256msg1 4(%ebx), %xmm2
	/* C4 E2 70: 0F 38 with VEX, no prefix, vvvv = xmm1; C4 E3 78: 0F 3A, no vvvv */
	TEST	"SHA256MSG1 with VEX", 0, OS, UD, .byte 0xc4, 0xe2, 0x70, 0xcc, 0xd1
	TEST	"SHA1RNDS4 with VEX", 0, OS, UD, .byte 0xc4, 0xe3, 0x78, 0xcc, 0xd1, 1

	SSE	"CVTPI2PS", cvtpi2ps %mm1, %xmm2
	SSE	"CVTPI2PD", cvtpi2pd %mm1, %xmm2
	SSE	"CVTPS2PI", cvtps2pi %xmm1, %mm2
	SSE	"CVTPD2PI", cvtpd2pi %xmm1, %mm2
	SSE	"CVTTPS2PI", cvttps2pi %xmm1, %mm2
	SSE	"CVTTPD2PI", cvttpd2pi %xmm1, %mm2
	TEST	"CVTPS2PI, misaligned", 0, OS, NONE, cvtps2pi 4(%ebx), %mm2
	TEST	"CVTPD2PI, misaligned", 0, OS, GP, cvtpd2pi 4(%ebx), %mm2
	SSE	"MOVQ2DQ", movq2dq %mm1, %xmm2
	SSE	"MOVDQ2Q", movdq2q %xmm1, %mm2
	SSE	"EXTRQ", extrq %xmm1, %xmm2
	SSE	"EXTRQ with immediates", extrq $1, $2, %xmm2
	SSE	"INSERTQ", insertq %xmm1, %xmm2
	SSE	"INSERTQ with immediates", insertq $1, $2, %xmm1, %xmm2
	TEST	"MOVQ2DQ with VEX", 0, OS, UD, .byte 0xc5, 0xfa, 0xd6, 0xd1
	CLEAR_AND_SET "EMMS", emms
	CLEAR_AND_SET "FEMMS", femms
	TEST	"EMMS, CR0.EM", CR0_EM, OS, UD, emms
	TEST	"EMMS, no CR4.OSFXSR", 0, CR4_OSXSAVE, NONE, emms

	movl	$total, %esi
	call	print
	movl	tried, %eax
	call	print_number
	movl	$wrong_text, %esi
	call	print
	movl	wrong, %eax
	call	print_number
	movb	$'\n', %al
	outb	%al, $0xe9
	movl	wrong, %eax
	ret

/* report: %esi what was tried, %al the vector that must come */
report:	movb	vector, %ah
	pushl	%eax
	incl	tried
	cmpb	%al, %ah
	je	1f
	incl	wrong
	call	print
	popl	%eax
	pushl	%eax
	movl	$must_text, %esi
	call	print_vector
	movb	1(%esp), %al
	movl	$is_text, %esi
	call	print_vector
	movb	$'\n', %al
	outb	%al, $0xe9
1:	popl	%eax
	ret

/* print_vector: the string at %esi, then %al as the exception of this number */
print_vector:
	movb	%al, %bl
	call	print
	movl	$none, %esi
	cmpb	$NONE, %bl
	je	print
	movl	$hash, %esi
	call	print
	movzbl	%bl, %eax
	jmp	print_number

	.section .rodata
must_text:
	.asciz	": must be "
is_text:.asciz	", is "
none:	.asciz	"no exception"
hash:	.asciz	"exception "
total:	.asciz	"tried "
wrong_text:
	.asciz	", wrong "

	.bss
tried:	.long	0
wrong:	.long	0
	.balign	64
area:	.fill	4096
