#include "io.h"

#define COM1            0x3f8
#define COM1_STATUS     (COM1 + 5)
#define STATUS_CAN_TAKE 0x20

static void put(char c) {
	while ((neep_inb(COM1_STATUS) & STATUS_CAN_TAKE) == 0) {
	}
	neep_outb(COM1, (uint8_t)c);
}

void neep_print(const char *text) {
	for (; *text != '\0'; text++) {
		put(*text);
	}
}

void neep_print_number(uint32_t value, uint32_t base) {
	char digits[11];
	char *p = digits + sizeof(digits);
	*--p = '\0';
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	neep_print(p);
}

void neep_fail(const char *what, uint32_t value) {
	neep_print("bare: error ");
	neep_print(what);
	neep_print(" 0x");
	neep_print_number(value, 16);
	neep_print("\n");
	neep_halt();
}

void neep_halt(void) {
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}
