#include "driver/queue_internal.h"

#define FLAG_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define FLAG_USED  (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT   (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

static uint64_t packed_layout(uint32_t size, uint64_t *avail, uint64_t *used) {
	*avail = size * sizeof(struct vring_packed_desc);
	*used = *avail + sizeof(struct vring_packed_desc_event);
	return *used + sizeof(struct vring_packed_desc_event);
}

/* The bits that make a descriptor available in this lap. */
static uint16_t avail_bits(bool wrap) {
	return (uint16_t)(wrap ? FLAG_AVAIL : FLAG_USED);
}

static void step(const struct neep_queue *queue, uint16_t *slot, bool *wrap) {
	(*slot)++;
	if (*slot == queue->options.size) {
		*slot = 0;
		*wrap = !*wrap;
	}
}

static void fill_table(struct neep_queue_buffer *buffer) {
	struct vring_packed_desc *table = buffer->table.first.host;
	for (uint32_t i = 0; i < buffer->readable_count + buffer->writable_count; i++) {
		table[i] = (struct vring_packed_desc){
			.addr = buffer->pieces[i].guest_addr,
			.len = (uint32_t)buffer->pieces[i].len,
			.flags = neep_queue_piece_flags(buffer, i) & VRING_DESC_F_WRITE,
		};
	}
}

/* Descriptor `index` of the buffer, without its lap bits. */
static struct vring_packed_desc describe(
	const struct neep_queue_buffer *buffer, uint32_t index, uint16_t id) {
	if (buffer->table.size != 0) {
		return (struct vring_packed_desc){
			.addr = buffer->table.first.guest_addr,
			.len = (uint32_t)buffer->table.size,
			.id = id,
			.flags = VRING_DESC_F_INDIRECT,
		};
	}
	return (struct vring_packed_desc){
		.addr = buffer->pieces[index].guest_addr,
		.len = (uint32_t)buffer->pieces[index].len,
		.id = id,
		.flags = neep_queue_piece_flags(buffer, index),
	};
}

static void packed_add(struct neep_queue *queue, struct neep_queue_buffer *buffer, uint16_t id) {
	struct vring_packed_desc *ring = queue->desc;
	uint16_t head = queue->next_avail;
	uint16_t head_flags = 0;
	if (buffer->table.size != 0) {
		fill_table(buffer);
	}
	for (uint32_t i = 0; i < buffer->slots; i++) {
		struct vring_packed_desc desc = describe(buffer, i, id);
		desc.flags |= avail_bits(queue->avail_wrap);
		struct vring_packed_desc *slot = &ring[queue->next_avail];
		slot->addr = desc.addr;
		slot->len = desc.len;
		slot->id = desc.id;
		if (i == 0) {
			head_flags = desc.flags;
		} else {
			slot->flags = desc.flags;
		}
		step(queue, &queue->next_avail, &queue->avail_wrap);
	}
	queue->added = (uint16_t)(queue->added + buffer->slots);
	/* The device may read the whole chain as soon as it sees this store. */
	neep_queue_store16(&ring[head].flags, head_flags);
}

static bool packed_wants_kick(struct neep_queue *queue) {
	const struct vring_packed_desc_event *event = queue->used;
	uint16_t added = queue->added;
	queue->added = 0;
	uint16_t flags = neep_queue_load16(&event->flags);
	if (added == 0 || flags != VRING_PACKED_EVENT_FLAG_DESC) {
		return added != 0 && flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	}
	uint16_t off_wrap = neep_queue_load16(&event->off_wrap);
	uint16_t event_slot = off_wrap & (uint16_t)~WRAP_BIT;
	bool event_wrap = (off_wrap & WRAP_BIT) != 0;
	if (event_wrap != queue->avail_wrap) {
		event_slot = (uint16_t)(event_slot - queue->options.size);
	}
	return vring_need_event(event_slot, queue->next_avail, (uint16_t)(queue->next_avail - added)) != 0;
}

static bool packed_has_used(const struct neep_queue *queue) {
	const struct vring_packed_desc *ring = queue->desc;
	uint16_t flags = neep_queue_load16(&ring[queue->last_used].flags);
	bool is_avail = (flags & FLAG_AVAIL) != 0;
	bool is_used = (flags & FLAG_USED) != 0;
	return is_avail == is_used && is_used == queue->used_wrap;
}

static void packed_read_used(struct neep_queue *queue, uint32_t *id, uint32_t *used_len) {
	const struct vring_packed_desc *ring = queue->desc;
	*id = ring[queue->last_used].id;
	*used_len = ring[queue->last_used].len;
}

static void packed_advance_used(struct neep_queue *queue, uint32_t slots) {
	for (uint32_t i = 0; i < slots; i++) {
		step(queue, &queue->last_used, &queue->used_wrap);
	}
}

static void packed_arm(struct neep_queue *queue) {
	struct vring_packed_desc_event *event = queue->avail;
	if (queue->options.has_event_idx) {
		event->off_wrap = (uint16_t)(queue->last_used | (queue->used_wrap ? WRAP_BIT : 0));
		neep_queue_store16(&event->flags, VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		neep_queue_store16(&event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
}

static void packed_disarm(struct neep_queue *queue) {
	struct vring_packed_desc_event *event = queue->avail;
	neep_queue_store16(&event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

/* VHOST_SET_VRING_BASE of a packed ring: avail position in the low half, used position in the high half. */
static uint32_t packed_base(const struct neep_queue *queue) {
	uint32_t half = queue->last_used | (queue->used_wrap ? WRAP_BIT : 0);
	return half | half << 16;
}

static void packed_raw_publish(struct neep_queue *queue, uint16_t head) {
	(void)head;
	step(queue, &queue->next_avail, &queue->avail_wrap);
	queue->added = 0;
}

static uint16_t packed_raw_next(const struct neep_queue *queue, uint16_t *flags) {
	*flags = avail_bits(queue->avail_wrap);
	return queue->next_avail;
}

const struct neep_queue_impl neep_queue_packed_impl = {
	.layout = packed_layout,
	.add = packed_add,
	.wants_kick = packed_wants_kick,
	.has_used = packed_has_used,
	.read_used = packed_read_used,
	.advance_used = packed_advance_used,
	.arm = packed_arm,
	.disarm = packed_disarm,
	.base = packed_base,
	.raw_publish = packed_raw_publish,
	.raw_next = packed_raw_next,
};
