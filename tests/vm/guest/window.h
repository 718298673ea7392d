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

// What the kernel's allocator says of the window (debugfs must be mounted).
struct window_use {
	uint64_t used; // bytes that have an owner
	uint64_t end;  // of the highest of them, from the window's beginning
};
struct window_use window_use(const struct window *window);

// Where in the window the only blob of that size lies.
uint64_t window_find_blob(const struct window *window, uint64_t size);

// Waits until no blob of that size has a place: the device has answered that it is gone, which it is asked for a little
// after the last handle is closed.
void window_await_end(const struct window *window, uint64_t size);

#endif
