#include "asg/guest.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "asg/bell.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

/* The real one waits for ever. A test should end. */
#define GIVE_UP_NS (60 * NEEP_NS_PER_S)

#define MASK (NEEP_ASG_BUFFER_SIZE - 1)

struct asg_guest *asg_guest_create(void) {
	struct asg_guest *guest = calloc(1, sizeof(*guest));
	neep_assert(guest != NULL);
	guest->memory_fd = neep_memfd_create("ring", ASG_GUEST_SIZE);
	neep_assert(guest->memory_fd >= 0);
	neep_assert(neep_asg_prepare(guest->memory_fd, ASG_GUEST_SIZE) == 0);
	guest->base = mmap(NULL, ASG_GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->memory_fd, 0);
	neep_assert(guest->base != MAP_FAILED);
	return guest;
}

void asg_guest_destroy(struct asg_guest *guest) {
	munmap(guest->base, ASG_GUEST_SIZE);
	neep_close_fd(&guest->memory_fd);
	free(guest);
}

_Atomic uint32_t *asg_guest_word(struct asg_guest *guest, uint32_t offset) {
	return (_Atomic uint32_t *)(void *)(guest->base + offset);
}

uint32_t asg_guest_load(struct asg_guest *guest, uint32_t offset) {
	return atomic_load(asg_guest_word(guest, offset));
}

void asg_guest_store(struct asg_guest *guest, uint32_t offset, uint32_t value) {
	atomic_store(asg_guest_word(guest, offset), value);
}

void asg_guest_init(struct asg_guest *guest) {
	static const uint32_t pages[] = { NEEP_ASG_TO_HOST, NEEP_ASG_TO_HOST_LARGE,
		NEEP_ASG_FROM_HOST_LARGE };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(pages); i++) {
		asg_guest_store(guest, pages[i], 1);
		asg_guest_store(guest, pages[i] + NEEP_ASG_WRITE_POS, 0);
		asg_guest_store(guest, pages[i] + NEEP_ASG_READ_POS, 0);
		asg_guest_store(guest, pages[i] + NEEP_ASG_HOST_STATE, 0);
	}
	asg_guest_store(guest, NEEP_ASG_TRANSFER_MODE, NEEP_ASG_TRANSFER_RECORDS);
	asg_guest_store(guest, NEEP_ASG_CONFIG_CONSUMED, 0);
	asg_guest_store(guest, NEEP_ASG_CONFIG_GUEST_POS, 0);
}

static void ping(struct asg_guest *guest) {
	guest->pings++;
	for (int64_t end = neep_clock_ns() + guest->ping_ns; neep_clock_ns() < end;) {
	}
	if (guest->is_far) {
		neep_asg_bell_ring(asg_guest_word(guest, NEEP_ASG_HOST_BELL));
	} else {
		neep_asg_host_wake(guest->base + NEEP_ASG_BELL_PAGE);
	}
}

static bool must_ping(struct asg_guest *guest) {
	uint32_t state = asg_guest_load(guest, NEEP_ASG_HOST_STATE);
	return state != NEEP_ASG_CAN_CONSUME && state != NEEP_ASG_RENDERING;
}

static void ping_at_the_end(struct asg_guest *guest) {
	if (asg_guest_load(guest, NEEP_ASG_HOST_STATE) != NEEP_ASG_RENDERING) {
		ping(guest);
	}
}

/* Mesa's guest does not ask this; it lets tests end that only send. */
static bool is_unserved(struct asg_guest *guest) {
	return asg_guest_load(guest, NEEP_ASG_HOST_STATE) == NEEP_ASG_EXIT;
}

static uint32_t used(struct asg_guest *guest, uint32_t page) {
	return asg_guest_load(guest, page + NEEP_ASG_WRITE_POS) -
	       asg_guest_load(guest, page + NEEP_ASG_READ_POS);
}

static bool wait_until_empty(struct asg_guest *guest, uint32_t page, bool pings) {
	while (used(guest, page) != 0) {
		if (pings && must_ping(guest)) {
			ping(guest);
		}
		sched_yield();
		if (is_unserved(guest)) {
			return false;
		}
	}
	return true;
}

/* One slot always stays free. */
static bool wait_for_slot(struct asg_guest *guest) {
	uint32_t records = NEEP_ASG_BUFFER_SIZE / NEEP_ASG_FLUSH_INTERVAL - 1;
	while (used(guest, NEEP_ASG_TO_HOST) / NEEP_ASG_RECORD_SIZE >= records) {
		sched_yield();
		if (is_unserved(guest)) {
			return false;
		}
	}
	return true;
}

bool asg_guest_send(struct asg_guest *guest, const void *buf, size_t len) {
	neep_assert(len <= NEEP_ASG_FLUSH_INTERVAL);
	if (!wait_until_empty(guest, NEEP_ASG_TO_HOST_LARGE, true) || !wait_for_slot(guest)) {
		return false;
	}
	memcpy(guest->base + NEEP_ASG_BUFFER_OFFSET + guest->slot, buf, len);
	uint32_t record[2] = { guest->slot, (uint32_t)len };
	uint32_t pos = asg_guest_load(guest, NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS);
	uint32_t at = NEEP_ASG_RECORDS + pos % NEEP_ASG_RECORDS_SIZE;
	asg_guest_store(guest, at, record[0]);
	asg_guest_store(guest, at + 4, record[1]);
	atomic_fetch_add(asg_guest_word(guest, NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS), NEEP_ASG_RECORD_SIZE);
	if (must_ping(guest)) {
		ping(guest);
	}
	ping_at_the_end(guest);
	guest->slot = (guest->slot + NEEP_ASG_FLUSH_INTERVAL) & MASK;
	return true;
}

static void copy_to_large(struct asg_guest *guest, const uint8_t *buf, uint32_t len) {
	uint32_t pos = asg_guest_load(guest, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS);
	uint32_t at = pos & MASK;
	uint32_t first = len < NEEP_ASG_BUFFER_SIZE - at ? len : NEEP_ASG_BUFFER_SIZE - at;
	memcpy(guest->base + NEEP_ASG_BUFFER_OFFSET + at, buf, first);
	memcpy(guest->base + NEEP_ASG_BUFFER_OFFSET, buf + first, len - first);
	atomic_fetch_add(asg_guest_word(guest, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS), len);
}

static bool send_chunks(struct asg_guest *guest, const uint8_t *buf, size_t len, uint32_t chunk_max) {
	while (len > 0) {
		uint32_t chunk = len < chunk_max ? (uint32_t)len : chunk_max;
		if (MASK - used(guest, NEEP_ASG_TO_HOST_LARGE) >= chunk) {
			copy_to_large(guest, buf, chunk);
			buf += chunk;
			len -= chunk;
		} else {
			sched_yield();
		}
		if (must_ping(guest)) {
			ping(guest);
		}
		if (is_unserved(guest)) {
			return false;
		}
	}
	return true;
}

bool asg_guest_send_large(struct asg_guest *guest, const void *buf, size_t len, bool waits) {
	if (!wait_until_empty(guest, NEEP_ASG_TO_HOST_LARGE, true) ||
		!wait_until_empty(guest, NEEP_ASG_TO_HOST, false)) {
		return false;
	}
	asg_guest_store(guest, NEEP_ASG_TRANSFER_SIZE, (uint32_t)len);
	asg_guest_store(guest, NEEP_ASG_TRANSFER_MODE, NEEP_ASG_TRANSFER_LARGE);
	if (!send_chunks(guest, buf, len, NEEP_ASG_BUFFER_SIZE / (waits ? 4 : 2))) {
		return false;
	}
	ping_at_the_end(guest);
	if (waits && !wait_until_empty(guest, NEEP_ASG_TO_HOST_LARGE, true)) {
		return false;
	}
	asg_guest_store(guest, NEEP_ASG_TRANSFER_MODE, NEEP_ASG_TRANSFER_RECORDS);
	return true;
}

static void refill(struct asg_guest *guest) {
	uint32_t count;
	int64_t deadline = neep_clock_ns() + GIVE_UP_NS;
	while ((count = used(guest, NEEP_ASG_FROM_HOST_LARGE)) == 0) {
		neep_assert(neep_clock_ns() < deadline);
		sched_yield();
	}
	if (count > sizeof(guest->reply)) {
		count = sizeof(guest->reply);
	}
	uint32_t at = asg_guest_load(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS) & MASK;
	uint32_t first = count < NEEP_ASG_BUFFER_SIZE - at ? count : NEEP_ASG_BUFFER_SIZE - at;
	memcpy(guest->reply, guest->base + NEEP_ASG_BUFFER_OFFSET + at, first);
	memcpy(guest->reply + first, guest->base + NEEP_ASG_BUFFER_OFFSET, count - first);
	atomic_fetch_add(asg_guest_word(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS), count);
	guest->taken = 0;
	guest->count = count;
}

void asg_guest_receive(struct asg_guest *guest, void *buf, size_t len) {
	uint8_t *out = buf;
	while (len > 0) {
		if (guest->taken == guest->count) {
			refill(guest);
		}
		size_t left = guest->count - guest->taken;
		size_t count = len < left ? len : left;
		memcpy(out, guest->reply + guest->taken, count);
		guest->taken += count;
		out += count;
		len -= count;
	}
}
