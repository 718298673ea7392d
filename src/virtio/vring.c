#include "virtio/vring.h"

#include <errno.h>
#include <stdlib.h>

#include "util/checked.h"
#include "util/fd.h"
#include "util/iov.h"
#include "virtio/vring_internal.h"

/* Theory of operation.
 *
 * This file knows elements and their lives; split.c and packed.c know where things lie in the driver's memory.
 * A box is spare, out (with the caller) or parked. Boxes that are out remember the epoch they were popped in: a reset
 * starts a new epoch, and a box of an old one is only ever freed. slots_out counts the places of this epoch's boxes;
 * a driver that makes more available than the ring has places has broken the rules, which bounds what a guest can
 * make us hold. A box whose memory region goes away loses its iovecs at once, see on_memory_removed(). */

/* ---- Boxes ---- */

static void box_destroy(struct vring_box *box) {
	neep_list_remove(&box->link);
	free(box->reply);
	free(box->iov);
	free(box);
}

/* The box that the next fetch fills; it stays spare until that succeeded. NULL for want of memory. */
static struct vring_box *box_peek(struct neep_vring *ring) {
	if (!neep_list_is_empty(&ring->spare)) {
		return neep_container_of(ring->spare.next, struct vring_box, link);
	}
	struct vring_box *box = calloc(1, sizeof(*box));
	if (box == NULL) {
		return NULL;
	}
	neep_list_insert(&ring->spare, &box->link);
	ring->spare_count++;
	return box;
}

static void box_take(struct neep_vring *ring, struct vring_box *box) {
	neep_list_remove(&box->link);
	neep_list_append(&ring->out, &box->link);
	ring->spare_count--;
	ring->slots_out += box->slots;
	box->state = VRING_BOX_OUT;
	box->epoch = ring->epoch;
}

static void box_release(struct neep_vring *ring, struct vring_box *box) {
	if (box->epoch == ring->epoch) {
		ring->slots_out -= box->slots;
	}
	if (ring->spare_count >= VRING_SPARE_MAX) {
		box_destroy(box);
		return;
	}
	free(box->reply);
	box->reply = NULL;
	box->state = VRING_BOX_SPARE;
	neep_vring_chain_reset(box);
	neep_list_remove(&box->link);
	neep_list_insert(&ring->spare, &box->link);
	ring->spare_count++;
}

static struct vring_box *box_from_element(struct neep_vring_element *element) {
	struct vring_box *box = neep_container_of(element, struct vring_box, element);
	neep_assert(box->state == VRING_BOX_OUT);
	return box;
}

static void boxes_destroy(struct neep_list *head) {
	neep_list_for_each_safe (box, head, struct vring_box, link) {
		box_destroy(box);
	}
}

static bool box_touches(const struct vring_box *box, uintptr_t start, size_t size) {
	uint32_t count = box->element.readable_count + box->element.writable_count;
	for (uint32_t i = 0; i < count; i++) {
		uintptr_t base = (uintptr_t)box->iov[i].iov_base;
		if (base < start + size && start < base + box->iov[i].iov_len) {
			return true;
		}
	}
	return false;
}

static void boxes_forget(struct neep_list *head, uintptr_t start, size_t size) {
	neep_list_for_each (box, head, struct vring_box, link) {
		if (box_touches(box, start, size)) {
			box->element = (struct neep_vring_element){ 0 };
		}
	}
}

static bool range_holds(uintptr_t start, size_t size, const void *ptr) {
	return (uintptr_t)ptr - start < size;
}

/* Buffers in memory that is gone are empty from now on; a ring in it is as good as stopped. */
static void on_memory_removed(struct neep_memory_listener *listener, const void *host, size_t size) {
	struct neep_vring *ring = neep_container_of(listener, struct neep_vring, listener);
	uintptr_t start = (uintptr_t)host;
	boxes_forget(&ring->out, start, size);
	boxes_forget(&ring->parked, start, size);
	if (ring->is_running && (range_holds(start, size, ring->config.desc) ||
					range_holds(start, size, ring->config.avail) ||
					range_holds(start, size, ring->config.used))) {
		neep_log_guest(&ring->log_limit, "virtio", "the memory of a running ring was taken away");
		ring->stopped_base = ring->impl->base(ring);
		ring->is_running = false;
	}
}

/* ---- Life ---- */

struct neep_vring_layout neep_vring_layout(uint32_t size, bool is_packed) {
	uint64_t count = size;
	if (is_packed) {
		return (struct neep_vring_layout){
			.desc_len = count * sizeof(struct vring_packed_desc),
			.avail_len = sizeof(struct vring_packed_desc_event),
			.used_len = sizeof(struct vring_packed_desc_event),
		};
	}
	return (struct neep_vring_layout){
		.desc_len = count * sizeof(struct vring_desc),
		.avail_len = sizeof(struct vring_avail) + (count + 1) * sizeof(uint16_t),
		.used_len =
			sizeof(struct vring_used) + count * sizeof(struct vring_used_elem) + sizeof(uint16_t),
	};
}

struct neep_vring *neep_vring_create(struct neep_memory *memory) {
	struct neep_vring *ring = malloc(sizeof(*ring));
	if (ring == NULL) {
		return NULL;
	}
	*ring = (struct neep_vring){ .memory = memory, .call_fd = -1, .listener.removed = on_memory_removed };
	neep_list_init(&ring->spare);
	neep_list_init(&ring->out);
	neep_list_init(&ring->parked);
	neep_memory_add_listener(memory, &ring->listener);
	return ring;
}

void neep_vring_destroy(struct neep_vring *ring) {
	if (ring == NULL) {
		return;
	}
	neep_memory_remove_listener(&ring->listener);
	boxes_destroy(&ring->out);
	boxes_destroy(&ring->parked);
	boxes_destroy(&ring->spare);
	neep_close_fd(&ring->call_fd);
	free(ring);
}

static bool is_aligned(const void *ptr, uintptr_t alignment) {
	return ptr != NULL && (uintptr_t)ptr % alignment == 0;
}

static int config_check(const struct neep_vring_config *config, struct neep_error *error) {
	if (config->size == 0 || config->size > NEEP_VRING_SIZE_MAX) {
		return neep_error_set(
			error, EINVAL, "ring size %u is not 1 to %d", config->size, NEEP_VRING_SIZE_MAX);
	}
	if (!config->is_packed && !neep_is_power_of_two(config->size)) {
		return neep_error_set(
			error, EINVAL, "split ring size %u is not a power of two", config->size);
	}
	if (!is_aligned(config->desc, 16) || !is_aligned(config->avail, config->is_packed ? 4 : 2) ||
		!is_aligned(config->used, 4)) {
		return neep_error_set(error, EINVAL, "a ring address is missing or not aligned");
	}
	uint32_t base = config->base;
	bool is_base_good = config->is_packed
				    ? (base & 0x7fff) < config->size && (base >> 16 & 0x7fff) < config->size
				    : base <= UINT16_MAX;
	if (!is_base_good) {
		return neep_error_set(error, EINVAL, "ring base 0x%x is beyond the ring", base);
	}
	return 0;
}

/* Whether this is the end of a pause: the driver knows nothing of it, and what it waits for must come. */
static bool is_resumed(const struct neep_vring *ring, const struct neep_vring_config *config) {
	const struct neep_vring_config *old = &ring->config;
	return ring->impl != NULL && config->base == ring->stopped_base && config->size == old->size &&
	       config->is_packed == old->is_packed && config->desc == old->desc &&
	       config->avail == old->avail && config->used == old->used;
}

/* Starts a new epoch: what is out or parked belongs to a driver that is gone. */
static void forget_driver(struct neep_vring *ring) {
	neep_list_for_each_safe (box, &ring->parked, struct vring_box, link) {
		box_release(ring, box);
	}
	ring->epoch++;
	ring->slots_out = 0;
}

static void publish(struct neep_vring *ring, const struct vring_box *box, uint32_t len) {
	ring->impl->publish(ring, box, len);
	/* Saturates far above any ring's size: wants_interrupt() cannot tell laps apart. */
	if (ring->unsignalled <= UINT16_MAX) {
		ring->unsignalled += box->slots;
	}
}

static uint32_t reply_write(struct vring_box *box, const void *reply, uint32_t len) {
	const struct neep_vring_element *element = &box->element;
	return (uint32_t)neep_iov_write(element->writable, element->writable_count, 0, reply, len);
}

static void publish_parked(struct neep_vring *ring) {
	neep_list_for_each_safe (box, &ring->parked, struct vring_box, link) {
		publish(ring, box, reply_write(box, box->reply, box->reply_len));
		box_release(ring, box);
	}
	neep_vring_notify(ring);
}

/* A start at another place. The marks in a region that is new to the ring are not ours to clear. */
static void forget_old_life(struct neep_vring *ring) {
	if (ring->may_recover) {
		forget_driver(ring);
	} else {
		neep_vring_reset(ring);
	}
}

int neep_vring_start(
	struct neep_vring *ring, const struct neep_vring_config *config, struct neep_error *error) {
	int result = config_check(config, error);
	if (result < 0) {
		return result;
	}
	if (ring->is_running) {
		neep_vring_stop(ring);
	}
	if (!is_resumed(ring, config)) {
		forget_old_life(ring);
	}
	ring->config = *config;
	ring->impl = config->is_packed ? &neep_vring_packed : &neep_vring_split;
	/* While buffers of this life are out, their marks are ours and not those of a device before us. */
	ring->impl->start(ring, ring->may_recover && ring->slots_out == 0);
	ring->may_recover = false;
	ring->is_running = true;
	ring->is_broken = false;
	ring->must_signal = true;
	ring->unsignalled = 0;
	ring->impl->enable_kick(ring);
	ring->is_kick_disabled = false;
	publish_parked(ring);
	return 0;
}

uint32_t neep_vring_stop(struct neep_vring *ring) {
	if (ring->is_running) {
		neep_vring_notify(ring);
		ring->stopped_base = ring->impl->base(ring);
		ring->is_running = false;
	}
	return ring->stopped_base;
}

void neep_vring_reset(struct neep_vring *ring) {
	forget_driver(ring);
	if (ring->inflight != NULL) {
		neep_inflight_clear(ring->inflight);
	}
}

bool neep_vring_is_running(const struct neep_vring *ring) {
	return ring->is_running;
}

bool neep_vring_is_broken(const struct neep_vring *ring) {
	return ring->is_broken;
}

int neep_vring_break(struct neep_vring *ring, const char *why) {
	neep_log_guest(&ring->log_limit, "virtio", "ring is broken: %s", why);
	ring->is_broken = true;
	return -EPROTO;
}

void neep_vring_set_inflight(struct neep_vring *ring, struct neep_inflight_queue *inflight) {
	ring->inflight = inflight;
	ring->may_recover = inflight != NULL;
}

/* ---- Buffers ---- */

int neep_vring_pop(struct neep_vring *ring, struct neep_vring_element **element) {
	if (!ring->is_running || ring->is_broken) {
		return 0;
	}
	for (int malformed = 0; malformed < VRING_MALFORMED_MAX; malformed++) {
		struct vring_box *box = box_peek(ring);
		int found = box != NULL ? ring->impl->fetch(ring, box) : 0;
		if (found != 1) {
			if (box != NULL) {
				neep_vring_chain_reset(box);
			}
			return found;
		}
		box_take(ring, box);
		if (box->fault == NULL) {
			neep_vring_chain_finish(box);
			*element = &box->element;
			return 1;
		}
		neep_log_guest(&ring->log_limit, "virtio", "returned a buffer with %s", box->fault);
		publish(ring, box, 0);
		box_release(ring, box);
		neep_vring_notify(ring);
	}
	return 0;
}

/* A reply that finds no memory for its copy is one of no bytes; the buffer itself still goes back. */
static void park(struct neep_vring *ring, struct vring_box *box, const void *reply, uint32_t len) {
	box->reply = len > 0 ? malloc(len) : NULL;
	box->reply_len = box->reply != NULL ? len : 0;
	if (box->reply != NULL) {
		memcpy(box->reply, reply, len);
	}
	box->state = VRING_BOX_PARKED;
	neep_list_remove(&box->link);
	neep_list_append(&ring->parked, &box->link);
}

uint32_t neep_vring_push(
	struct neep_vring *ring, struct neep_vring_element *element, const void *reply, size_t reply_len) {
	struct vring_box *box = box_from_element(element);
	uint64_t room = element->writable_size < UINT32_MAX ? element->writable_size : UINT32_MAX;
	uint32_t len = (uint32_t)(reply_len < room ? reply_len : room);
	if (box->epoch != ring->epoch) {
		box_release(ring, box);
		return len;
	}
	if (!ring->is_running) {
		park(ring, box, reply, len);
		return len;
	}
	reply_write(box, reply, len);
	publish(ring, box, len);
	box_release(ring, box);
	return len;
}

void neep_vring_discard(struct neep_vring *ring, struct neep_vring_element *element) {
	box_release(ring, box_from_element(element));
}

/* ---- Events ---- */

void neep_vring_notify(struct neep_vring *ring) {
	if (!ring->is_running || ring->unsignalled == 0) {
		return;
	}
	bool is_wanted = ring->must_signal || ring->impl->wants_interrupt(ring);
	ring->must_signal = false;
	ring->unsignalled = 0;
	if (is_wanted && ring->call_fd >= 0) {
		neep_eventfd_signal(ring->call_fd);
	}
}

void neep_vring_set_call_fd(struct neep_vring *ring, int owned_fd) {
	neep_close_fd(&ring->call_fd);
	ring->call_fd = owned_fd;
	if (owned_fd >= 0) {
		neep_eventfd_signal(owned_fd);
	}
}

bool neep_vring_enable_kick(struct neep_vring *ring) {
	if (!ring->is_running || ring->is_broken) {
		return false;
	}
	ring->impl->enable_kick(ring);
	ring->is_kick_disabled = false;
	vring_full_fence();
	return ring->impl->has_work(ring) || vring_has_resubmits(ring);
}

void neep_vring_disable_kick(struct neep_vring *ring) {
	if (ring->is_running && !ring->is_broken && !ring->is_kick_disabled) {
		ring->impl->disable_kick(ring);
		ring->is_kick_disabled = true;
	}
}

bool neep_vring_has_work(const struct neep_vring *ring) {
	return ring->is_running && !ring->is_broken &&
	       (ring->impl->has_work(ring) || vring_has_resubmits(ring));
}
