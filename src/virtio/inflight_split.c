#include "virtio/inflight_internal.h"

void neep_inflight_split_init(struct neep_inflight_queue *queue) {
	struct inflight_split *area = queue->split;
	for (uint32_t i = 0; i < queue->size; i++) {
		inflight_store(&area->desc[i].inflight, 0);
	}
	inflight_store(&area->features, 0);
	inflight_store(&area->desc_num, queue->size);
	inflight_store(&area->version, INFLIGHT_VERSION);
}

void neep_inflight_split_sync(struct neep_inflight_queue *queue, uint16_t used_idx) {
	queue->was_new = false;
	inflight_store(&queue->split->used_idx, used_idx);
}

/* The device before us told the driver of its last batch, but perhaps not the area. */
static void finish_last_batch(struct neep_inflight_queue *queue, uint16_t used_idx) {
	struct inflight_split *area = queue->split;
	uint16_t count = (uint16_t)(used_idx - inflight_load(&area->used_idx));
	uint16_t head = inflight_load(&area->last_batch_head);
	for (uint16_t i = 0; i < count && i < queue->size && head < queue->size; i++) {
		inflight_store(&area->desc[head].inflight, 0);
		head = inflight_load(&area->desc[head].next);
	}
	inflight_store(&area->used_idx, used_idx);
}

bool neep_inflight_split_recover(struct neep_inflight_queue *queue, uint16_t used_idx, uint32_t ring_size) {
	neep_inflight_resubmit_begin(queue);
	if (queue->was_new) {
		neep_inflight_split_sync(queue, used_idx);
		return false;
	}
	finish_last_batch(queue, used_idx);
	for (uint16_t head = 0; head < queue->size && head < ring_size; head++) {
		const struct inflight_split_entry *entry = &queue->split->desc[head];
		if (inflight_load(&entry->inflight) != 0) {
			neep_inflight_resubmit_add(queue, head, inflight_load(&entry->counter));
		}
	}
	neep_inflight_resubmit_sort(queue);
	return true;
}

void neep_inflight_split_popped(struct neep_inflight_queue *queue, uint16_t head) {
	if (head < queue->size) {
		struct inflight_split_entry *entry = &queue->split->desc[head];
		inflight_store(&entry->counter, queue->counter++);
		inflight_store(&entry->inflight, 1);
	}
}

void neep_inflight_split_put(struct neep_inflight_queue *queue, uint16_t head) {
	if (head < queue->size) {
		struct inflight_split *area = queue->split;
		inflight_store(&area->desc[head].next, inflight_load(&area->last_batch_head));
		inflight_store(&area->last_batch_head, head);
	}
}

void neep_inflight_split_done(struct neep_inflight_queue *queue, uint16_t head, uint16_t used_idx) {
	if (head < queue->size) {
		inflight_store(&queue->split->desc[head].inflight, 0);
	}
	inflight_store(&queue->split->used_idx, used_idx);
}
