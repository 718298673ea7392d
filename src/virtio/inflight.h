/* Which buffers are with the device, told in memory that outlives it: vhost-user, "Inflight I/O tracking".
 *
 * The front-end keeps the area over a crash of the device and gives it to the next one, which finds there what it must
 * do again, in the order it was submitted, and what was answered already. The layout is the protocol's. The front-end
 * can write to the area, so its indices are checked whenever they are used. Belongs to one thread. */
#ifndef NEEP_VIRTIO_INFLIGHT_H
#define NEEP_VIRTIO_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct neep_inflight_queue;

/* Mapped shared memory, all zeros when new. The queues' parts follow each other. */
struct neep_inflight_area {
	void *base; // 8-byte aligned
	uint64_t len;
	uint16_t queue_count;
	uint16_t queue_size; // entries, the same for all queues; 1..NEEP_VRING_SIZE_MAX
	bool is_packed;
};

/* Bytes that an area for so many queues needs. */
uint64_t neep_inflight_area_len(uint16_t queue_count, uint16_t queue_size, bool is_packed);

/* Opens the part of queue `index`; a new one is set up. The area is borrowed and must outlive the result. Returns NULL
 * with `error` set: index or size out of range, area too short, unknown version, no memory. */
struct neep_inflight_queue *neep_inflight_attach(
	const struct neep_inflight_area *area, uint16_t index, struct neep_error *error);

/* Leaves the area as it is. NULL is fine; no ring may have it set. */
void neep_inflight_detach(struct neep_inflight_queue *queue);

#endif
