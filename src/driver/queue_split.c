#include "driver/queue_internal.h"

static uint64_t split_layout(uint32_t size, uint64_t *avail, uint64_t *used) {
	*avail = size * sizeof(struct vring_desc);
	uint64_t avail_end = *avail + sizeof(struct vring_avail) + (size + 1) * sizeof(__virtio16);
	*used = (avail_end + VRING_USED_ALIGN_SIZE - 1) & ~(uint64_t)(VRING_USED_ALIGN_SIZE - 1);
	return *used + sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

static uint16_t slot_of(const struct neep_queue *queue, uint16_t index) {
	return (uint16_t)(index & (queue->options.size - 1));
}

static __virtio16 *used_event(const struct neep_queue *queue) {
	struct vring_avail *avail = queue->avail;
	return &avail->ring[queue->options.size];
}

static const __virtio16 *avail_event(const struct neep_queue *queue) {
	const struct vring_used *used = queue->used;
	return (const __virtio16 *)(const void *)&used->ring[queue->options.size];
}

static void fill_table(struct neep_queue_buffer *buffer) {
	struct vring_desc *table = buffer->table.first.host;
	for (uint32_t i = 0; i < buffer->readable_count + buffer->writable_count; i++) {
		table[i] = (struct vring_desc){
			.addr = buffer->pieces[i].guest_addr,
			.len = (uint32_t)buffer->pieces[i].len,
			.flags = neep_queue_piece_flags(buffer, i),
			.next = (uint16_t)(i + 1),
		};
	}
}

static void fill_chain(struct neep_queue *queue, struct neep_queue_buffer *buffer, uint16_t head) {
	struct vring_desc *desc = queue->desc;
	uint16_t slot = head;
	for (uint32_t i = 0; i < buffer->slots; i++) {
		/* The head was taken by the caller; each further slot is taken here. */
		uint16_t next = i + 1 < buffer->slots ? queue->free_ids[--queue->free_id_count] : 0;
		queue->chain[slot] = next;
		desc[slot] = (struct vring_desc){
			.addr = buffer->pieces[i].guest_addr,
			.len = (uint32_t)buffer->pieces[i].len,
			.flags = neep_queue_piece_flags(buffer, i),
			.next = next,
		};
		slot = next;
	}
}

static void put_head(struct neep_queue *queue, uint16_t head) {
	struct vring_avail *avail = queue->avail;
	avail->ring[slot_of(queue, queue->next_avail)] = head;
	queue->next_avail++;
}

static void split_publish(struct neep_queue *queue) {
	struct vring_avail *avail = queue->avail;
	/* The device may read the chains as soon as it sees this store. */
	neep_queue_store16(&avail->idx, queue->next_avail);
}

static void split_add(struct neep_queue *queue, struct neep_queue_buffer *buffer, uint16_t id) {
	if (buffer->table.size == 0) {
		fill_chain(queue, buffer, id);
	} else {
		struct vring_desc *desc = queue->desc;
		fill_table(buffer);
		queue->chain[id] = 0;
		desc[id] = (struct vring_desc){
			.addr = buffer->table.first.guest_addr,
			.len = (uint32_t)buffer->table.size,
			.flags = VRING_DESC_F_INDIRECT,
		};
	}
	put_head(queue, id);
}

static bool split_wants_kick(struct neep_queue *queue) {
	uint16_t old = queue->last_kicked;
	queue->last_kicked = queue->next_avail;
	if (queue->options.has_event_idx) {
		return vring_need_event(neep_queue_load16(avail_event(queue)), queue->next_avail, old) != 0;
	}
	const struct vring_used *used = queue->used;
	return old != queue->next_avail && (neep_queue_load16(&used->flags) & VRING_USED_F_NO_NOTIFY) == 0;
}

static bool split_has_used(const struct neep_queue *queue) {
	const struct vring_used *used = queue->used;
	return neep_queue_load16(&used->idx) != queue->last_used;
}

static void split_read_used(struct neep_queue *queue, uint32_t *id, uint32_t *used_len) {
	const struct vring_used *used = queue->used;
	struct vring_used_elem element = used->ring[slot_of(queue, queue->last_used)];
	*id = element.id;
	*used_len = element.len;
}

static void split_advance_used(struct neep_queue *queue, uint32_t slots) {
	(void)slots;
	queue->last_used++;
}

static void split_arm(struct neep_queue *queue) {
	struct vring_avail *avail = queue->avail;
	if (queue->options.has_event_idx) {
		neep_queue_store16(used_event(queue), queue->last_used);
	} else {
		neep_queue_store16(&avail->flags, 0);
	}
}

static void split_disarm(struct neep_queue *queue) {
	struct vring_avail *avail = queue->avail;
	/* With EVENT_IDX the event index lies behind the used index already, which asks for nothing. */
	if (!queue->options.has_event_idx) {
		neep_queue_store16(&avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	}
}

static uint32_t split_base(const struct neep_queue *queue) {
	/* The used index is what the device published last, whether or not the driver has looked. */
	const struct vring_used *used = queue->used;
	return neep_queue_load16(&used->idx);
}

static void split_raw_publish(struct neep_queue *queue, uint16_t head) {
	put_head(queue, head);
	split_publish(queue);
	queue->last_kicked = queue->next_avail;
}

static uint16_t split_raw_next(const struct neep_queue *queue, uint16_t *flags) {
	*flags = 0;
	return slot_of(queue, queue->next_avail);
}

const struct neep_queue_impl neep_queue_split_impl = {
	.layout = split_layout,
	.add = split_add,
	.publish = split_publish,
	.wants_kick = split_wants_kick,
	.has_used = split_has_used,
	.read_used = split_read_used,
	.advance_used = split_advance_used,
	.arm = split_arm,
	.disarm = split_disarm,
	.base = split_base,
	.raw_publish = split_raw_publish,
	.raw_next = split_raw_next,
};
