// The host-visible window as the PCI device shows it, past the kernel's driver. As in kms.h, what fails ends the program.
#ifndef NEEP_TESTS_VM_WINDOW_H
#define NEEP_TESTS_VM_WINDOW_H

#include <stdint.h>

struct window {
	uint64_t address; // guest-physical
	uint64_t size;
	char resource[64]; // the file of its BAR
	uint64_t offset;   // where the window begins in it
};

// Finds the window of the first virtio_gpu device: virtio 1.2, "Virtio Structure PCI Capabilities", shared memory.
void window_find(struct window *window);

// Maps `size` bytes from its beginning. The kernel must run with iomem=relaxed: a driver has the range for itself else.
volatile uint32_t *window_map(const struct window *window, uint64_t size);

// Where a page begins with that word in what window_map() gave; -1: nowhere in `size` bytes.
int64_t window_search(const volatile uint32_t *words, uint64_t size, uint32_t first);

#endif
