/* Packed virtqueues: virtio 1.2, section "Packed Virtqueues". */
#include <errno.h>

#include "virtio/vring_internal.h"

#define WRAP_BIT     15
#define INDEX_MASK   ((1u << WRAP_BIT) - 1)
#define FLAGS_OFFSET offsetof(struct vring_packed_desc, flags)

static uint8_t *desc_at(const struct neep_vring *ring, uint32_t index) {
	return (uint8_t *)ring->config.desc + index * sizeof(struct vring_packed_desc);
}

/* The driver's wishes for interrupts, ours for kicks: the same structure in both directions. */
static uint8_t *event_off_wrap(void *event) {
	return (uint8_t *)event + offsetof(struct vring_packed_desc_event, off_wrap);
}

static uint8_t *event_flags(void *event) {
	return (uint8_t *)event + offsetof(struct vring_packed_desc_event, flags);
}

static void place_advance(const struct neep_vring *ring, struct inflight_place *place, uint32_t slots) {
	uint32_t index = place->index + slots;
	if (index >= ring->config.size) {
		index -= ring->config.size;
		place->wrap = !place->wrap;
	}
	place->index = (uint16_t)index;
}

static struct inflight_place place_unpack(uint32_t word) {
	return (struct inflight_place){ .index = (uint16_t)(word & INDEX_MASK),
		.wrap = (word >> WRAP_BIT & 1) != 0 };
}

static uint32_t place_pack(struct inflight_place place) {
	return place.index | (uint32_t)place.wrap << WRAP_BIT;
}

static struct inflight_place avail_place(const struct neep_vring *ring) {
	return (struct inflight_place){ .index = ring->avail_index, .wrap = ring->avail_wrap };
}

static void avail_set(struct neep_vring *ring, struct inflight_place place) {
	ring->avail_index = place.index;
	ring->avail_wrap = place.wrap;
}

static struct inflight_place used_place(const struct neep_vring *ring) {
	return (struct inflight_place){ .index = ring->used_index, .wrap = ring->used_wrap };
}

static void used_set(struct neep_vring *ring, struct inflight_place place) {
	ring->used_index = place.index;
	ring->used_wrap = place.wrap;
}

static void packed_start(struct neep_vring *ring, bool recover) {
	struct inflight_packed_state state;
	avail_set(ring, place_unpack(ring->config.base));
	used_set(ring, place_unpack(ring->config.base >> 16));
	if (ring->inflight == NULL) {
		return;
	}
	if (recover &&
		neep_inflight_packed_recover(ring->inflight, desc_at(ring, 0), ring->config.size, &state)) {
		used_set(ring, state.used);
		/* What was popped and not pushed is in flight: the driver's side is that far ahead. */
		place_advance(ring, &state.used, state.in_use);
		avail_set(ring, state.used);
		return;
	}
	if (recover) {
		neep_inflight_clear(ring->inflight);
	}
	neep_inflight_packed_sync(ring->inflight, used_place(ring));
}

static uint32_t packed_base(const struct neep_vring *ring) {
	return place_pack(avail_place(ring)) | place_pack(used_place(ring)) << 16;
}

static bool packed_has_work(const struct neep_vring *ring) {
	uint16_t flags = vring_load_acquire(desc_at(ring, ring->avail_index) + FLAGS_OFFSET);
	return vring_packed_is_available(flags, ring->avail_wrap);
}

/* The layout differs from a split descriptor in its last words: `next` is where the flags lie here. */
static struct vring_descriptor packed_descriptor_load(const uint8_t *ptr, uint16_t *id) {
	struct vring_words words = vring_words_load(ptr);
	*id = (uint16_t)(words.high >> 32);
	return (struct vring_descriptor){
		.addr = words.low,
		.len = (uint32_t)words.high,
		.flags = (uint16_t)(words.high >> 48),
	};
}

/* Entries follow each other, and WRITE is the only flag that means anything. */
static void packed_walk_indirect(
	struct neep_vring *ring, struct vring_box *box, const struct vring_descriptor *descriptor) {
	struct vring_table table;
	if (!neep_vring_table_open(ring, box, descriptor, &table)) {
		return;
	}
	for (uint32_t i = 0; i < table.count; i++) {
		uint16_t id;
		struct vring_descriptor entry =
			packed_descriptor_load(table.base + i * sizeof(struct vring_packed_desc), &id);
		if (!neep_vring_chain_add(ring, box, &entry)) {
			break;
		}
	}
	neep_vring_table_close(&table);
}

/* A fault does not end the walk along the ring: the buffer's length must be known to give it back. */
static void packed_add(
	struct neep_vring *ring, struct vring_box *box, const struct vring_descriptor *descriptor) {
	if (box->fault != NULL) {
		return;
	}
	if ((descriptor->flags & VRING_DESC_F_INDIRECT) != 0) {
		packed_walk_indirect(ring, box, descriptor);
	} else {
		neep_vring_chain_add(ring, box, descriptor);
	}
}

static void packed_record(
	struct neep_vring *ring, const struct vring_descriptor *descriptor, uint16_t id, bool is_first) {
	if (ring->inflight == NULL) {
		return;
	}
	struct inflight_packed_record record = {
		.addr = descriptor->addr,
		.len = descriptor->len,
		.id = id,
		.flags = descriptor->flags,
		.is_first = is_first,
		.is_last = (descriptor->flags & VRING_DESC_F_NEXT) == 0,
	};
	neep_inflight_packed_popped(ring->inflight, &record);
}

static int packed_no_end(struct neep_vring *ring) {
	if (ring->inflight != NULL) {
		neep_inflight_packed_cancel(ring->inflight);
	}
	return neep_vring_break(ring, "a chain without an end, or more buffers than the ring has places");
}

static int packed_next_available(struct neep_vring *ring, struct vring_box *box) {
	if (!packed_has_work(ring)) {
		return 0;
	}
	struct inflight_place place = avail_place(ring);
	struct vring_descriptor descriptor;
	uint32_t slots = 0;
	do {
		if (slots >= ring->config.size - ring->slots_out) {
			return packed_no_end(ring);
		}
		descriptor = packed_descriptor_load(desc_at(ring, place.index), &box->id);
		packed_add(ring, box, &descriptor);
		packed_record(ring, &descriptor, box->id, slots == 0);
		place_advance(ring, &place, 1);
		slots++;
	} while ((descriptor.flags & VRING_DESC_F_NEXT) != 0);
	box->slots = (uint16_t)slots;
	box->record =
		ring->inflight != NULL ? neep_inflight_packed_entry(ring->inflight) : INFLIGHT_ENTRY_NONE;
	avail_set(ring, place);
	return 1;
}

/* A buffer of a device before us, from its record: the ring's own descriptors may be overwritten already. */
static int packed_fetch_again(struct neep_vring *ring, struct vring_box *box, uint16_t entry) {
	uint32_t count = neep_inflight_packed_count(ring->inflight, entry);
	uint16_t index = entry;
	if (count == 0 || count > ring->config.size - ring->slots_out) {
		return neep_vring_break(ring, "the inflight area is damaged");
	}
	for (uint32_t i = 0; i < count; i++) {
		struct inflight_packed_record record;
		if (!neep_inflight_packed_read(ring->inflight, &index, &record)) {
			return neep_vring_break(ring, "the inflight area is damaged");
		}
		struct vring_descriptor descriptor = {
			.addr = record.addr, .len = record.len, .flags = record.flags
		};
		packed_add(ring, box, &descriptor);
		box->id = record.id;
	}
	box->slots = (uint16_t)count;
	box->record = entry;
	return 1;
}

static int packed_fetch(struct neep_vring *ring, struct vring_box *box) {
	uint16_t entry =
		ring->inflight != NULL ? neep_inflight_resubmit_take(ring->inflight) : INFLIGHT_ENTRY_NONE;
	if (entry != INFLIGHT_ENTRY_NONE) {
		return packed_fetch_again(ring, box, entry);
	}
	return packed_next_available(ring, box);
}

static void packed_publish(struct neep_vring *ring, const struct vring_box *box, uint32_t len) {
	struct inflight_place next = used_place(ring);
	place_advance(ring, &next, box->slots);
	if (ring->inflight != NULL) {
		neep_inflight_packed_put(ring->inflight, box->record, next);
	}
	uint8_t *desc = desc_at(ring, ring->used_index);
	uint16_t flags = len > 0 ? VRING_DESC_F_WRITE : 0;
	if (ring->used_wrap) {
		flags |= 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	}
	memcpy(desc + offsetof(struct vring_packed_desc, id), &box->id, sizeof(box->id));
	memcpy(desc + offsetof(struct vring_packed_desc, len), &len, sizeof(len));
	vring_store_release(desc + FLAGS_OFFSET, flags);
	used_set(ring, next);
	if (ring->inflight != NULL) {
		neep_inflight_packed_done(ring->inflight, box->record);
	}
}

static bool packed_wants_interrupt(const struct neep_vring *ring) {
	vring_full_fence();
	uint16_t flags = vring_load_acquire(event_flags(ring->config.avail));
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->config.has_event_idx) {
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	}
	struct inflight_place wish = place_unpack(vring_load(event_off_wrap(ring->config.avail)));
	/* Indices of this lap; those of the lap before are negative, modulo 2^16. */
	uint16_t event =
		wish.wrap == ring->used_wrap ? wish.index : (uint16_t)(wish.index - ring->config.size);
	uint16_t old = (uint16_t)(ring->used_index - ring->unsignalled);
	return ring->unsignalled >= ring->config.size || vring_need_event(event, ring->used_index, old) != 0;
}

static void packed_enable_kick(struct neep_vring *ring) {
	void *event = ring->config.used;
	if (!ring->config.has_event_idx) {
		vring_store(event_flags(event), VRING_PACKED_EVENT_FLAG_ENABLE);
		return;
	}
	vring_store(event_off_wrap(event), (uint16_t)place_pack(avail_place(ring)));
	vring_store_release(event_flags(event), VRING_PACKED_EVENT_FLAG_DESC);
}

static void packed_disable_kick(struct neep_vring *ring) {
	vring_store(event_flags(ring->config.used), VRING_PACKED_EVENT_FLAG_DISABLE);
}

const struct vring_impl neep_vring_packed = {
	.start = packed_start,
	.base = packed_base,
	.has_work = packed_has_work,
	.fetch = packed_fetch,
	.publish = packed_publish,
	.wants_interrupt = packed_wants_interrupt,
	.enable_kick = packed_enable_kick,
	.disable_kick = packed_disable_kick,
};
