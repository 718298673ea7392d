/* Split virtqueues: virtio 1.2, section "Split Virtqueues". */
#include <errno.h>

#include "util/checked.h"
#include "virtio/vring_internal.h"

static uint8_t *avail_flags(const struct neep_vring *ring) {
	return ring->config.avail;
}

static uint8_t *avail_idx(const struct neep_vring *ring) {
	return (uint8_t *)ring->config.avail + offsetof(struct vring_avail, idx);
}

static uint8_t *avail_entry(const struct neep_vring *ring, uint32_t slot) {
	return (uint8_t *)ring->config.avail + offsetof(struct vring_avail, ring) + slot * sizeof(uint16_t);
}

/* Behind the available ring: where the driver wants an interrupt. */
static uint8_t *used_event(const struct neep_vring *ring) {
	return avail_entry(ring, ring->config.size);
}

static uint8_t *used_flags(const struct neep_vring *ring) {
	return ring->config.used;
}

static uint8_t *used_idx(const struct neep_vring *ring) {
	return (uint8_t *)ring->config.used + offsetof(struct vring_used, idx);
}

static uint8_t *used_entry(const struct neep_vring *ring, uint32_t slot) {
	return (uint8_t *)ring->config.used + offsetof(struct vring_used, ring) +
	       slot * sizeof(struct vring_used_elem);
}

/* Behind the used ring: where we want a kick. */
static uint8_t *avail_event(const struct neep_vring *ring) {
	return used_entry(ring, ring->config.size);
}

static void split_start(struct neep_vring *ring, bool recover) {
	ring->avail_index = (uint16_t)ring->config.base;
	ring->used_index = vring_load(used_idx(ring));
	if (recover && neep_inflight_split_recover(ring->inflight, ring->used_index, ring->config.size)) {
		/* What was popped and not pushed is in flight: the driver's side is that far ahead. */
		ring->avail_index =
			(uint16_t)(ring->used_index + neep_inflight_resubmit_count(ring->inflight));
	} else if (ring->inflight != NULL) {
		neep_inflight_split_sync(ring->inflight, ring->used_index);
	}
	ring->avail_seen = ring->avail_index;
}

static uint32_t split_base(const struct neep_vring *ring) {
	return ring->avail_index;
}

static bool split_has_work(const struct neep_vring *ring) {
	return vring_load(avail_idx(ring)) != ring->avail_index;
}

/* The descriptor that the driver made available `ahead` places from here, as it stands now; false when it has not. */
static bool split_peek(const struct neep_vring *ring, uint16_t ahead, struct vring_descriptor *descriptor) {
	if ((uint16_t)(ring->avail_seen - ring->avail_index) <= ahead) {
		return false;
	}
	uint32_t slot = (uint16_t)(ring->avail_index + ahead) & (ring->config.size - 1);
	uint16_t head = vring_load(avail_entry(ring, slot));
	if (head >= ring->config.size) {
		return false;
	}
	*descriptor =
		vring_descriptor_load((const uint8_t *)ring->config.desc + head * sizeof(struct vring_desc));
	return true;
}

/* What the driver has just written lies in the caches of its CPU, and a chain is three steps from the ring to the bytes of
 * a command, each waiting for the one before. While one buffer is handled the next ones are on their way: the first step
 * of the third, the second step of the second. A hint only: everything is read and checked again when its turn comes. */
static void split_prefetch(struct neep_vring *ring) {
	uint64_t contiguous;
	struct vring_descriptor descriptor;
	if ((uint16_t)(ring->avail_seen - ring->avail_index) > 3) {
		uint32_t slot = (uint16_t)(ring->avail_index + 3) & (ring->config.size - 1);
		uint32_t head = vring_load(avail_entry(ring, slot)) & (ring->config.size - 1);
		__builtin_prefetch((const uint8_t *)ring->config.desc + head * sizeof(struct vring_desc));
	}
	if (split_peek(ring, 2, &descriptor)) {
		const void *next = neep_memory_translate(ring->memory, descriptor.addr, 1, &contiguous);
		if (next != NULL) {
			__builtin_prefetch(next);
		}
	}
	if (split_peek(ring, 1, &descriptor) && (descriptor.flags & VRING_DESC_F_INDIRECT) != 0) {
		const uint8_t *table = neep_memory_translate(
			ring->memory, descriptor.addr, sizeof(struct vring_desc), &contiguous);
		if (table != NULL && contiguous == sizeof(struct vring_desc)) {
			descriptor = vring_descriptor_load(table);
			const void *bytes =
				neep_memory_translate(ring->memory, descriptor.addr, 1, &contiguous);
			if (bytes != NULL) {
				__builtin_prefetch(bytes);
			}
		}
	}
}

/* Takes the next head off the available ring. */
static int split_next_available(struct neep_vring *ring, uint16_t *head) {
	if (ring->avail_seen == ring->avail_index) {
		ring->avail_seen = vring_load_acquire(avail_idx(ring));
		if (ring->avail_seen == ring->avail_index) {
			return 0;
		}
		if ((uint16_t)(ring->avail_seen - ring->avail_index) > ring->config.size) {
			return neep_vring_break(ring, "the available index jumped");
		}
	}
	if (ring->slots_out >= ring->config.size) {
		return neep_vring_break(ring, "more buffers than the ring has places");
	}
	*head = vring_load(avail_entry(ring, ring->avail_index & (ring->config.size - 1)));
	if (*head >= ring->config.size) {
		return neep_vring_break(ring, "an available head beyond the ring");
	}
	if (ring->inflight != NULL) {
		neep_inflight_split_popped(ring->inflight, *head);
	}
	split_prefetch(ring);
	ring->avail_index++;
	return 1;
}

struct split_walk {
	struct vring_table table;
	uint32_t index;
	uint32_t left; // descriptors until the chain must have looped
	bool is_indirect;
};

static bool split_enter_indirect(struct neep_vring *ring, struct vring_box *box, struct split_walk *walk,
	const struct vring_descriptor *descriptor) {
	if (walk->is_indirect) {
		box->fault = "an indirect table inside another";
		return false;
	}
	if (!neep_vring_table_open(ring, box, descriptor, &walk->table)) {
		return false;
	}
	walk->is_indirect = true;
	walk->index = 0;
	walk->left = walk->table.count;
	return true;
}

/* One descriptor. Returns whether the chain goes on. */
static bool split_step(struct neep_vring *ring, struct vring_box *box, struct split_walk *walk) {
	if (walk->index >= walk->table.count) {
		box->fault = "a descriptor index beyond its table";
		return false;
	}
	if (walk->left-- == 0) {
		box->fault = "a chain that loops";
		return false;
	}
	const uint8_t *place = walk->table.base + walk->index * sizeof(struct vring_desc);
	struct vring_descriptor descriptor = vring_descriptor_load(place);
	if ((descriptor.flags & VRING_DESC_F_INDIRECT) != 0) {
		return split_enter_indirect(ring, box, walk, &descriptor);
	}
	walk->index = descriptor.next;
	return neep_vring_chain_add(ring, box, &descriptor) && (descriptor.flags & VRING_DESC_F_NEXT) != 0;
}

static int split_fetch(struct neep_vring *ring, struct vring_box *box) {
	uint16_t head =
		ring->inflight != NULL ? neep_inflight_resubmit_take(ring->inflight) : INFLIGHT_ENTRY_NONE;
	int found = head != INFLIGHT_ENTRY_NONE ? 1 : split_next_available(ring, &head);
	if (found != 1) {
		return found;
	}
	box->id = head;
	box->slots = 1;
	box->record = INFLIGHT_ENTRY_NONE;
	struct split_walk walk = {
		.table = { .base = ring->config.desc, .count = ring->config.size },
		.index = head,
		.left = ring->config.size,
	};
	while (split_step(ring, box, &walk)) {
	}
	neep_vring_table_close(&walk.table);
	return 1;
}

static void split_publish(struct neep_vring *ring, const struct vring_box *box, uint32_t len) {
	if (ring->inflight != NULL) {
		neep_inflight_split_put(ring->inflight, box->id);
	}
	struct vring_used_elem entry = { .id = box->id, .len = len };
	memcpy(used_entry(ring, ring->used_index & (ring->config.size - 1)), &entry, sizeof(entry));
	ring->used_index++;
	vring_store_release(used_idx(ring), ring->used_index);
	if (ring->inflight != NULL) {
		neep_inflight_split_done(ring->inflight, box->id, ring->used_index);
	}
}

static bool split_wants_interrupt(const struct neep_vring *ring) {
	vring_full_fence();
	if (!ring->config.has_event_idx) {
		return (vring_load(avail_flags(ring)) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
	}
	uint16_t old = (uint16_t)(ring->used_index - ring->unsignalled);
	return ring->unsignalled > UINT16_MAX ||
	       vring_need_event(vring_load(used_event(ring)), ring->used_index, old) != 0;
}

static void split_enable_kick(struct neep_vring *ring) {
	if (ring->config.has_event_idx) {
		vring_store(avail_event(ring), ring->avail_index);
	}
	vring_store(used_flags(ring), 0);
}

static void split_disable_kick(struct neep_vring *ring) {
	if (ring->config.has_event_idx) {
		/* The place that the driver passes last. */
		vring_store(avail_event(ring), (uint16_t)(ring->avail_index - 1));
		return;
	}
	vring_store(used_flags(ring), VRING_USED_F_NO_NOTIFY);
}

const struct vring_impl neep_vring_split = {
	.start = split_start,
	.base = split_base,
	.has_work = split_has_work,
	.fetch = split_fetch,
	.publish = split_publish,
	.wants_interrupt = split_wants_interrupt,
	.enable_kick = split_enable_kick,
	.disable_kick = split_disable_kick,
};
