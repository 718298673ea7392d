// Port I/O and the serial console of the bare guest.
#ifndef NEEP_TESTS_VM_BARE_IO_H
#define NEEP_TESTS_VM_BARE_IO_H

#include <stdint.h>

static inline uint8_t neep_inb(uint16_t port) {
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void neep_outb(uint16_t port, uint8_t value) {
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t neep_inl(uint16_t port) {
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void neep_outl(uint16_t port, uint32_t value) {
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

// Prints a text.
void neep_print(const char *text);

// Prints a number: base 10 or 16.
void neep_print_number(uint32_t value, uint32_t base);

// Prints "bare: error", what failed and a number that tells more, and stops the machine.
__attribute__((noreturn)) void neep_fail(const char *what, uint32_t value);

// Stops the machine for good; it stays up to be looked at.
__attribute__((noreturn)) void neep_halt(void);

#endif
