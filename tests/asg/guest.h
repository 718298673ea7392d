/* A guest thread's end of an ASG ring, as Mesa's gfxstream guest behaves: the records and their slots, large transfers in
 * pieces, replies taken in a loop that gives way, wake-ups by what the consumer says of itself. Never from two threads. */
#ifndef NEEP_TESTS_ASG_GUEST_H
#define NEEP_TESTS_ASG_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asg/layout.h"

#define ASG_GUEST_SIZE ((size_t)NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)

struct asg_guest {
	uint8_t *base;
	int memory_fd;
	uint32_t slot; // offset of the slot that the next record uses
	bool is_far;   // in a virtual machine: the device process rings for it
	uint64_t pings;
	int64_t ping_ns; // what a wake-up costs the guest, as far as this thread is concerned
	size_t taken;    // of the reply bytes in `reply`
	size_t count;
	uint8_t reply[512 << 10];
};

/* A prepared ring of its own memory and eventfd. Asserts that it works. */
struct asg_guest *asg_guest_create(void);
void asg_guest_destroy(struct asg_guest *guest);

/* What the guest does to the pages when its ring is there. */
void asg_guest_init(struct asg_guest *guest);

_Atomic uint32_t *asg_guest_word(struct asg_guest *guest, uint32_t offset);
uint32_t asg_guest_load(struct asg_guest *guest, uint32_t offset);
void asg_guest_store(struct asg_guest *guest, uint32_t offset, uint32_t value);

/* Sends up to NEEP_ASG_FLUSH_INTERVAL bytes as one record. False when the ring has lost its consumer. */
bool asg_guest_send(struct asg_guest *guest, const void *buf, size_t len);

/* Sends any number of bytes through the large ring; `waits` until they were taken. */
bool asg_guest_send_large(struct asg_guest *guest, const void *buf, size_t len, bool waits);

/* Takes exactly `len` bytes of replies. Waits for ever, as the guest does. */
void asg_guest_receive(struct asg_guest *guest, void *buf, size_t len);

#endif
