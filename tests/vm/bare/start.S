// The multiboot header, which QEMU's -kernel looks for, and the way into C: 32 bits, flat segments, no paging, interrupts off.
#define MAGIC 0x1badb002
#define FLAGS 1 // modules begin at pages

	.section .multiboot, "a"
	.balign 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.globl neep_bare_start
neep_bare_start:
	mov $neep_bare_stack_end, %esp
	cld
	push %ebx
	call neep_bare_main
1:	hlt
	jmp 1b

	.bss
	.balign 16
	.skip 16384
neep_bare_stack_end:

	.section .note.GNU-stack, "", @progbits
