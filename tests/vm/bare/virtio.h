// A virtio 1.x driver without interrupts: the device's start and its split rings.
#ifndef NEEP_TESTS_VM_BARE_VIRTIO_H
#define NEEP_TESTS_VM_BARE_VIRTIO_H

#include <linux/virtio_ring.h>
#include <stdint.h>

#include "pci.h"

#define NEEP_RING_SIZE 16

struct neep_ring {
	struct vring_desc desc[NEEP_RING_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags;
		uint16_t idx;
		uint16_t ring[NEEP_RING_SIZE];
	} avail __attribute__((aligned(2)));
	struct {
		uint16_t flags;
		uint16_t idx;
		struct vring_used_elem ring[NEEP_RING_SIZE];
	} used __attribute__((aligned(4)));
	uint16_t index;
	volatile uint16_t *doorbell;
};

struct neep_part { // of a command
	void *data;
	uint32_t size;
	uint32_t flags; // VRING_DESC_F_WRITE or 0
};

// Resets the device and negotiates those of the wanted features that it has. Returns their lower half. Stops the machine
// when the device is no virtio 1.x device or does not take the features.
uint32_t neep_virtio_start(const struct neep_windows *w, uint32_t wanted);

// Hands an empty ring to the device; for between neep_virtio_start() and neep_virtio_ready().
void neep_ring_open(struct neep_ring *ring, const struct neep_windows *w, uint16_t index);

// Says that the driver is ready.
void neep_virtio_ready(const struct neep_windows *w);

// Sends a chain of n <= NEEP_RING_SIZE parts and waits for its return. Returns how many bytes the device says it wrote.
uint32_t neep_ring_call(struct neep_ring *ring, const struct neep_part *parts, uint16_t n);

#endif
