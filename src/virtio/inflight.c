#include "virtio/inflight.h"

#include <errno.h>
#include <stdlib.h>

#include "util/checked.h"
#include "util/macros.h"
#include "virtio/inflight_internal.h"
#include "virtio/vring.h"

/* Of each queue's part; the protocol wants the area's lines not shared between queues. */
#define PART_ALIGNMENT 64

_Static_assert(sizeof(struct inflight_split_entry) == 16, "wire layout");
_Static_assert(sizeof(struct inflight_split) == 16, "wire layout");
_Static_assert(sizeof(struct inflight_packed_entry) == 32, "wire layout");
_Static_assert(sizeof(struct inflight_packed) == 32, "wire layout");

static uint64_t part_len(uint16_t queue_size, bool is_packed) {
	uint64_t count = queue_size;
	uint64_t len = is_packed
			       ? sizeof(struct inflight_packed) + count * sizeof(struct inflight_packed_entry)
			       : sizeof(struct inflight_split) + count * sizeof(struct inflight_split_entry);
	return (len + PART_ALIGNMENT - 1) / PART_ALIGNMENT * PART_ALIGNMENT;
}

uint64_t neep_inflight_area_len(uint16_t queue_count, uint16_t queue_size, bool is_packed) {
	return queue_count * part_len(queue_size, is_packed);
}

static int area_check(const struct neep_inflight_area *area, uint16_t index, struct neep_error *error) {
	if (index >= area->queue_count) {
		return neep_error_set(error, EINVAL, "inflight area has no queue %u", index);
	}
	if (area->queue_size == 0 || area->queue_size > NEEP_VRING_SIZE_MAX) {
		return neep_error_set(
			error, EINVAL, "inflight area for queues of %u entries", area->queue_size);
	}
	if (area->base == NULL || (uintptr_t)area->base % sizeof(uint64_t) != 0 ||
		area->len < neep_inflight_area_len(area->queue_count, area->queue_size, area->is_packed)) {
		return neep_error_set(error, EINVAL, "inflight area is too short or not aligned");
	}
	return 0;
}

static void part_init(struct neep_inflight_queue *queue) {
	if (queue->split != NULL) {
		neep_inflight_split_init(queue);
	} else {
		neep_inflight_packed_init(queue);
	}
}

/* One above all counters in the part, so that new buffers sort behind the old ones. */
static uint64_t part_next_counter(const struct neep_inflight_queue *queue) {
	uint64_t next = 0;
	for (uint32_t i = 0; i < queue->size; i++) {
		uint64_t counter = inflight_load(queue->split != NULL ? &queue->split->desc[i].counter
								      : &queue->packed->desc[i].counter);
		next = counter >= next ? counter + 1 : next;
	}
	return next;
}

/* Sets up new memory; checks what was used before. */
static int part_open(struct neep_inflight_queue *queue, struct neep_error *error) {
	uint16_t version =
		inflight_load(queue->split != NULL ? &queue->split->version : &queue->packed->version);
	uint16_t desc_num =
		inflight_load(queue->split != NULL ? &queue->split->desc_num : &queue->packed->desc_num);
	if (version == 0) {
		queue->was_new = true;
		part_init(queue);
		return 0;
	}
	if (version != INFLIGHT_VERSION || desc_num != queue->size) {
		return neep_error_set(
			error, EINVAL, "inflight area of version %u with %u entries", version, desc_num);
	}
	queue->counter = part_next_counter(queue);
	return 0;
}

struct neep_inflight_queue *neep_inflight_attach(
	const struct neep_inflight_area *area, uint16_t index, struct neep_error *error) {
	if (area_check(area, index, error) < 0) {
		return NULL;
	}
	struct neep_inflight_queue *queue =
		calloc(1, sizeof(*queue) + area->queue_size * sizeof(queue->resubmit[0]));
	if (queue == NULL) {
		neep_error_set(error, ENOMEM, "no memory for inflight tracking");
		return NULL;
	}
	void *part = (uint8_t *)area->base + index * part_len(area->queue_size, area->is_packed);
	if (area->is_packed) {
		queue->packed = part;
	} else {
		queue->split = part;
	}
	queue->size = area->queue_size;
	queue->packed_head = INFLIGHT_ENTRY_NONE;
	if (part_open(queue, error) < 0) {
		free(queue);
		return NULL;
	}
	return queue;
}

void neep_inflight_detach(struct neep_inflight_queue *queue) {
	free(queue);
}

void neep_inflight_clear(struct neep_inflight_queue *queue) {
	neep_inflight_resubmit_begin(queue);
	part_init(queue);
}

uint32_t neep_inflight_resubmit_count(const struct neep_inflight_queue *queue) {
	return queue->resubmit_end - queue->resubmit_next;
}

void neep_inflight_resubmit_begin(struct neep_inflight_queue *queue) {
	queue->resubmit_next = 0;
	queue->resubmit_end = 0;
}

void neep_inflight_resubmit_add(struct neep_inflight_queue *queue, uint16_t entry, uint64_t counter) {
	neep_assert(queue->resubmit_end < queue->size);
	queue->resubmit[queue->resubmit_end++] =
		(struct inflight_resubmit){ .counter = counter, .entry = entry };
}

static int compare_counters(const void *left, const void *right) {
	const struct inflight_resubmit *a = left;
	const struct inflight_resubmit *b = right;
	return (a->counter > b->counter) - (a->counter < b->counter);
}

void neep_inflight_resubmit_sort(struct neep_inflight_queue *queue) {
	qsort(queue->resubmit, queue->resubmit_end, sizeof(queue->resubmit[0]), compare_counters);
}

uint16_t neep_inflight_resubmit_take(struct neep_inflight_queue *queue) {
	if (queue->resubmit_next == queue->resubmit_end) {
		return INFLIGHT_ENTRY_NONE;
	}
	return queue->resubmit[queue->resubmit_next++].entry;
}
