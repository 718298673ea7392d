#include "virtio/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "util/fd.h"

void guest_init_memory(struct guest *guest) {
	*guest = (struct guest){ .fd = neep_memfd_create("guest", GUEST_MEMORY), .call_fd = -1 };
	assert_true(guest->fd >= 0);
	guest->mem = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert_true(guest->mem != MAP_FAILED);
	guest->memory = neep_memory_create();
	assert_non_null(guest->memory);
	struct neep_memory_region_info info = {
		.guest_addr = GUEST_ADDR, .size = GUEST_MEMORY, .user_addr = GUEST_USER
	};
	assert_int_equal(neep_memory_add(guest->memory, &info, dup(guest->fd), NULL), 0);
}

void guest_init_config(struct guest *guest, const struct guest_options *options) {
	struct neep_vring_layout layout = neep_vring_layout(options->size, options->is_packed);
	guest->config = (struct neep_vring_config){
		.size = options->size,
		.is_packed = options->is_packed,
		.has_event_idx = options->has_event_idx,
		.has_indirect = options->has_indirect,
		.base = options->is_packed ? 0x80008000 : 0,
		.desc = neep_memory_translate_user(guest->memory, GUEST_USER + GUEST_DESC, layout.desc_len),
		.avail =
			neep_memory_translate_user(guest->memory, GUEST_USER + GUEST_AVAIL, layout.avail_len),
		.used = neep_memory_translate_user(guest->memory, GUEST_USER + GUEST_USED, layout.used_len),
	};
	guest->avail_wrap = true;
	guest->used_wrap = true;
	guest->ring = neep_vring_create(guest->memory);
	assert_non_null(guest->ring);
	guest->call_fd = neep_eventfd_create();
	assert_true(guest->call_fd >= 0);
	neep_vring_set_call_fd(guest->ring, guest->call_fd);
	neep_eventfd_drain(guest->call_fd);
}

void guest_init(struct guest *guest, const struct guest_options *options) {
	guest_init_memory(guest);
	guest_init_config(guest, options);
	struct neep_error error = { 0 };
	assert_int_equal(neep_vring_start(guest->ring, &guest->config, &error), 0);
}

void guest_finish(struct guest *guest) {
	neep_vring_destroy(guest->ring);
	neep_memory_destroy(guest->memory);
	munmap(guest->mem, GUEST_MEMORY);
	neep_close_fd(&guest->fd);
}

bool guest_interrupted(struct guest *guest) {
	uint64_t count;
	return read(guest->call_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

uint64_t guest_addr(uint32_t offset) {
	return GUEST_ADDR + offset;
}

struct vring_desc *guest_desc(struct guest *guest, uint32_t index) {
	return (struct vring_desc *)(void *)(guest->mem + GUEST_DESC) + index;
}

void guest_set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next) {
	*desc = (struct vring_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

struct vring_avail *guest_avail(struct guest *guest) {
	return (struct vring_avail *)(void *)(guest->mem + GUEST_AVAIL);
}

struct vring_used *guest_used_ring(struct guest *guest) {
	return (struct vring_used *)(void *)(guest->mem + GUEST_USED);
}

uint16_t *guest_used_event(struct guest *guest) {
	return &guest_avail(guest)->ring[guest->config.size];
}

uint16_t *guest_avail_event(struct guest *guest) {
	return (uint16_t *)(void *)&guest_used_ring(guest)->ring[guest->config.size];
}

void guest_offer(struct guest *guest, uint16_t head) {
	struct vring_avail *avail = guest_avail(guest);
	avail->ring[guest->avail % guest->config.size] = head;
	guest->avail++;
	__atomic_store_n(&avail->idx, guest->avail, __ATOMIC_RELEASE);
}

struct vring_packed_desc *guest_packed_desc(struct guest *guest, uint32_t index) {
	return (struct vring_packed_desc *)(void *)(guest->mem + GUEST_DESC) + index;
}

void guest_offer_packed(struct guest *guest, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id) {
	struct vring_packed_desc *desc = guest_packed_desc(guest, guest->avail);
	desc->addr = addr;
	desc->len = len;
	desc->id = id;
	flags |= guest->avail_wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
	__atomic_store_n(&desc->flags, flags, __ATOMIC_RELEASE);
	if (++guest->avail == guest->config.size) {
		guest->avail = 0;
		guest->avail_wrap = !guest->avail_wrap;
	}
}

static bool take_used_packed(struct guest *guest, uint32_t slots, struct guest_used *used) {
	struct vring_packed_desc *desc = guest_packed_desc(guest, guest->used);
	uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);
	bool is_avail = (flags >> VRING_PACKED_DESC_F_AVAIL & 1) != 0;
	bool is_used = (flags >> VRING_PACKED_DESC_F_USED & 1) != 0;
	if (is_avail != guest->used_wrap || is_used != guest->used_wrap) {
		return false;
	}
	*used = (struct guest_used){ .id = desc->id, .len = desc->len };
	assert_int_equal((flags & VRING_DESC_F_WRITE) != 0, used->len > 0);
	uint32_t next = guest->used + slots;
	if (next >= guest->config.size) {
		next -= guest->config.size;
		guest->used_wrap = !guest->used_wrap;
	}
	guest->used = (uint16_t)next;
	return true;
}

bool guest_take_used(struct guest *guest, uint32_t slots, struct guest_used *used) {
	if (guest->config.is_packed) {
		return take_used_packed(guest, slots, used);
	}
	struct vring_used *ring = guest_used_ring(guest);
	if (__atomic_load_n(&ring->idx, __ATOMIC_ACQUIRE) == guest->used) {
		return false;
	}
	const struct vring_used_elem *entry = &ring->ring[guest->used % guest->config.size];
	*used = (struct guest_used){ .id = entry->id, .len = entry->len };
	guest->used++;
	return true;
}

void guest_offer_simple(struct guest *guest, uint16_t slot, uint32_t readable, uint32_t writable) {
	uint64_t in = guest_addr(GUEST_BUFFER + slot * 0x100u);
	uint64_t out = in + 0x80;
	uint16_t next = readable > 0 && writable > 0 ? VRING_DESC_F_NEXT : 0;
	if (guest->config.is_packed) {
		if (readable > 0) {
			guest_offer_packed(guest, in, readable, next, slot);
		}
		if (writable > 0) {
			guest_offer_packed(guest, out, writable, VRING_DESC_F_WRITE, slot);
		}
		return;
	}
	uint16_t second = readable > 0 ? slot + 1 : slot;
	if (readable > 0) {
		guest_set_desc(guest_desc(guest, slot), in, readable, next, second);
	}
	if (writable > 0) {
		guest_set_desc(guest_desc(guest, second), out, writable, VRING_DESC_F_WRITE, 0);
	}
	guest_offer(guest, slot);
}

struct neep_vring_element *guest_pop(struct guest *guest) {
	struct neep_vring_element *element = NULL;
	assert_int_equal(neep_vring_pop(guest->ring, &element), 1);
	assert_non_null(element);
	return element;
}

void guest_expect_used(struct guest *guest, uint32_t slots, uint32_t id, uint32_t len) {
	struct guest_used used = { 0 };
	assert_true(guest_take_used(guest, slots, &used));
	assert_int_equal(used.id, id);
	assert_int_equal(used.len, len);
}

void guest_expect_malformed(struct guest *guest, uint32_t slots, uint32_t id) {
	struct neep_vring_element *element = NULL;
	assert_int_equal(neep_vring_pop(guest->ring, &element), 0);
	assert_false(neep_vring_is_broken(guest->ring));
	guest_expect_used(guest, slots, id, 0);
	guest_offer_simple(guest, 6, 4, 4);
	element = guest_pop(guest);
	assert_int_equal(element->readable_size, 4);
	assert_int_equal(neep_vring_push(guest->ring, element, "okay", 4), 4);
	guest_expect_used(guest, guest->config.is_packed ? 2 : 1, 6, 4);
}

void guest_offer_malformed(struct guest *guest, uint16_t head) {
	guest_offer(guest, head);
	guest_expect_malformed(guest, 1, head);
}

void guest_expect_broken(struct guest *guest) {
	struct neep_vring_element *element = NULL;
	assert_int_equal(neep_vring_pop(guest->ring, &element), -EPROTO);
	assert_true(neep_vring_is_broken(guest->ring));
	assert_int_equal(neep_vring_pop(guest->ring, &element), 0);
	assert_false(neep_vring_has_work(guest->ring));
	assert_false(neep_vring_enable_kick(guest->ring));
}
