#include <stddef.h>

#include "virtio/inflight_internal.h"
#include "virtio/vring_internal.h"

/* All entries are either free, linked from free_head, or belong to a buffer in flight. A buffer takes entries from the
 * head of the list and gives them back there. old_free_head, old_used_idx and old_used_wrap_counter are the state
 * before the step that is under way: recovery goes back to them unless the driver has seen the step. */

static struct inflight_packed_entry *entry_at(const struct neep_inflight_queue *queue, uint16_t index) {
	return index < queue->size ? &queue->packed->desc[index] : NULL;
}

void neep_inflight_packed_init(struct neep_inflight_queue *queue) {
	struct inflight_packed *area = queue->packed;
	for (uint16_t i = 0; i < queue->size; i++) {
		inflight_store(&area->desc[i].inflight, 0);
		inflight_store(&area->desc[i].next, (uint16_t)(i + 1));
	}
	inflight_store(&area->features, 0);
	inflight_store(&area->free_head, 0);
	inflight_store(&area->old_free_head, 0);
	inflight_store(&area->desc_num, queue->size);
	inflight_store(&area->version, INFLIGHT_VERSION);
}

void neep_inflight_packed_sync(struct neep_inflight_queue *queue, struct inflight_place used) {
	struct inflight_packed *area = queue->packed;
	queue->was_new = false;
	inflight_store(&area->used_idx, used.index);
	inflight_store(&area->used_wrap_counter, used.wrap);
	inflight_store(&area->old_used_idx, used.index);
	inflight_store(&area->old_used_wrap_counter, used.wrap);
}

static struct inflight_place used_place(const struct inflight_packed *area) {
	return (struct inflight_place){
		.index = inflight_load(&area->used_idx),
		.wrap = inflight_load(&area->used_wrap_counter) != 0,
	};
}

static struct inflight_place old_used_place(const struct inflight_packed *area) {
	return (struct inflight_place){
		.index = inflight_load(&area->old_used_idx),
		.wrap = inflight_load(&area->old_used_wrap_counter) != 0,
	};
}

static void commit_step(struct inflight_packed *area) {
	inflight_store(&area->old_free_head, inflight_load(&area->free_head));
	inflight_store(&area->old_used_idx, inflight_load(&area->used_idx));
	inflight_store(&area->old_used_wrap_counter, inflight_load(&area->used_wrap_counter));
}

static void roll_back_step(struct inflight_packed *area) {
	inflight_store(&area->free_head, inflight_load(&area->old_free_head));
	inflight_store(&area->used_idx, inflight_load(&area->old_used_idx));
	inflight_store(&area->used_wrap_counter, inflight_load(&area->old_used_wrap_counter));
}

/* Whether the device before us wrote the used descriptor of the step that it did not finish here: its place no
 * longer holds an available descriptor of that lap. */
static bool step_was_published(struct inflight_place old, const uint8_t *ring_desc) {
	uint16_t flags = vring_load(ring_desc + old.index * sizeof(struct vring_packed_desc) +
				    offsetof(struct vring_packed_desc, flags));
	return !vring_packed_is_available(flags, old.wrap);
}

/* Returns which of the two is the used place now. */
static struct inflight_place finish_last_step(struct inflight_packed *area, struct inflight_place used,
	struct inflight_place old, const uint8_t *ring_desc) {
	bool is_open = used.index != old.index || used.wrap != old.wrap;
	bool is_published = is_open && step_was_published(old, ring_desc);
	if (is_published) {
		commit_step(area);
	}
	roll_back_step(area);
	return is_published ? used : old;
}

static void clear_free_list(struct neep_inflight_queue *queue) {
	uint16_t index = inflight_load(&queue->packed->free_head);
	for (uint32_t i = 0; i < queue->size; i++) {
		struct inflight_packed_entry *entry = entry_at(queue, index);
		if (entry == NULL) {
			return;
		}
		inflight_store(&entry->inflight, 0);
		index = inflight_load(&entry->next);
	}
}

uint32_t neep_inflight_packed_count(const struct neep_inflight_queue *queue, uint16_t entry) {
	return inflight_load(&queue->packed->desc[entry].num);
}

/* Descriptors of all buffers in flight. */
static uint32_t count_in_use(const struct neep_inflight_queue *queue) {
	uint32_t sum = 0;
	for (uint32_t i = 0; i < queue->resubmit_end; i++) {
		sum += neep_inflight_packed_count(queue, queue->resubmit[i].entry);
	}
	return sum;
}

bool neep_inflight_packed_recover(struct neep_inflight_queue *queue, const uint8_t *ring_desc,
	uint32_t ring_size, struct inflight_packed_state *state) {
	struct inflight_packed *area = queue->packed;
	neep_inflight_resubmit_begin(queue);
	/* Others may write there: what is checked is not read again. */
	struct inflight_place used = used_place(area), old = old_used_place(area);
	if (queue->was_new || used.index >= ring_size || old.index >= ring_size) {
		return false;
	}
	state->used = finish_last_step(area, used, old, ring_desc);
	clear_free_list(queue);
	for (uint16_t index = 0; index < queue->size; index++) {
		if (inflight_load(&area->desc[index].inflight) != 0) {
			neep_inflight_resubmit_add(queue, index, inflight_load(&area->desc[index].counter));
		}
	}
	neep_inflight_resubmit_sort(queue);
	state->in_use = count_in_use(queue);
	return state->in_use <= ring_size;
}

static void record_begin(struct neep_inflight_queue *queue) {
	uint16_t head = inflight_load(&queue->packed->free_head);
	struct inflight_packed_entry *entry = entry_at(queue, head);
	queue->packed_head = entry != NULL ? head : INFLIGHT_ENTRY_NONE;
	if (entry != NULL) {
		inflight_store(&entry->num, 0);
		inflight_store(&entry->counter, queue->counter++);
		inflight_store(&entry->inflight, 1);
	}
}

static void record_one(struct neep_inflight_queue *queue, struct inflight_packed_entry *head,
	const struct inflight_packed_record *record) {
	struct inflight_packed *area = queue->packed;
	uint16_t index = inflight_load(&area->free_head);
	struct inflight_packed_entry *entry = entry_at(queue, index);
	if (entry == NULL) {
		neep_inflight_packed_cancel(queue);
		return;
	}
	if (record->is_last) {
		inflight_store(&head->last, index);
	}
	inflight_store(&head->num, (uint16_t)(inflight_load(&head->num) + 1));
	inflight_store(&entry->addr, record->addr);
	inflight_store(&entry->len, record->len);
	inflight_store(&entry->flags, record->flags);
	inflight_store(&entry->id, record->id);
	inflight_store(&area->free_head, inflight_load(&entry->next));
	if (record->is_last) {
		inflight_store(&area->old_free_head, inflight_load(&area->free_head));
	}
}

void neep_inflight_packed_popped(
	struct neep_inflight_queue *queue, const struct inflight_packed_record *record) {
	if (record->is_first) {
		record_begin(queue);
	}
	struct inflight_packed_entry *head = entry_at(queue, queue->packed_head);
	if (head != NULL) {
		record_one(queue, head, record);
	}
}

uint16_t neep_inflight_packed_entry(const struct neep_inflight_queue *queue) {
	return queue->packed_head;
}

bool neep_inflight_packed_read(
	const struct neep_inflight_queue *queue, uint16_t *index, struct inflight_packed_record *record) {
	const struct inflight_packed_entry *entry = entry_at(queue, *index);
	if (entry == NULL) {
		return false;
	}
	*record = (struct inflight_packed_record){
		.addr = inflight_load(&entry->addr),
		.len = inflight_load(&entry->len),
		.id = inflight_load(&entry->id),
		.flags = inflight_load(&entry->flags),
	};
	*index = inflight_load(&entry->next);
	return true;
}

void neep_inflight_packed_cancel(struct neep_inflight_queue *queue) {
	struct inflight_packed_entry *head = entry_at(queue, queue->packed_head);
	if (head != NULL) {
		inflight_store(&head->inflight, 0);
		inflight_store(&queue->packed->free_head, inflight_load(&queue->packed->old_free_head));
	}
	queue->packed_head = INFLIGHT_ENTRY_NONE;
}

void neep_inflight_packed_put(struct neep_inflight_queue *queue, uint16_t entry, struct inflight_place used) {
	struct inflight_packed *area = queue->packed;
	struct inflight_packed_entry *head = entry_at(queue, entry);
	if (head != NULL && inflight_load(&head->inflight) != 0) {
		struct inflight_packed_entry *last = entry_at(queue, inflight_load(&head->last));
		if (last != NULL) {
			inflight_store(&last->next, inflight_load(&area->free_head));
			inflight_store(&area->free_head, entry);
		}
	}
	inflight_store(&area->used_idx, used.index);
	inflight_store(&area->used_wrap_counter, used.wrap);
}

void neep_inflight_packed_done(struct neep_inflight_queue *queue, uint16_t entry) {
	struct inflight_packed_entry *head = entry_at(queue, entry);
	if (head != NULL) {
		inflight_store(&head->inflight, 0);
	}
	commit_step(queue->packed);
}
