#include "asg/ring.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "asg/bell.h"
#include "asg/layout.h"
#include "util/checked.h"
#include "util/clock.h"
#include "util/cpu.h"
#include "util/fd.h"

/* Theory of operation
 *
 * The positions in shared memory are the only ones: the guest sets them to zero once more when it maps the ring, so there
 * is no copy of them here that could disagree. A record's place is given back only when all of it has been copied out;
 * what is left of it is the one thing remembered between two reads, and it was checked when it was taken.
 *
 * Whatever has data is read, records first; the transfer mode says nothing, because the guest sets it back before we look.
 * It never fills one ring while the other has data, so the bytes stay in order.
 *
 * A wake-up costs a guest in a virtual machine a trip through its kernel and the device process, so it should almost never send
 * one. From the first byte to just before sleep the state is RENDERING, which asks for none. Before sleeping it is NEED_NOTIFY, then the
 * rings are looked at once more: either the guest sees that state after its write, or we see its write. The window for
 * which a ring is watched adapts as that of the event loop does. A watcher gives way between its looks: what it waits for
 * may need this very CPU. Not for a guest that wakes us itself, for which a sleep is cheap: it is watched briefly, and without giving
 * way, as whoever gives way may have to wait for a whole time slice of a third. Nor is one that had to be woken itself: it is not there
 * soon, and may need this processor.
 *
 * A consumer that takes a dead one's place goes back to the last record if that has had no reply: a guest sends nothing more before
 * its reply, so nothing is read twice that had one, and the bytes are still there. So it does in a large transfer, which the guest
 * waits for, if the data buffer holds all of it at once: else its beginning has been overwritten by its end.
 *
 * A sleeper waits for the bell to have another value than it had before the rings were looked at. A guest may set it back at the
 * wrong moment: it misses its own wake-up then, but a stop rings until nobody sleeps. */

#define RING_SIZE (NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)

/* A window below this is not worth its own clock reads. */
#define SPIN_MIN_NS INT64_C(2000)
/* What a wake-up may take on its way from the guest: a sleep contains it, so one that is shorter than this and the window
 * ended by data that watching would have found. */
#define WAKE_UP_NS (200 * NEEP_NS_PER_US)
/* The same for a guest that wakes us itself, and how long it is watched at most: about as long as a sleep costs. */
#define NEAR_WAKE_UP_NS (20 * NEEP_NS_PER_US)
#define NEAR_SPIN_NS    (10 * NEEP_NS_PER_US)
/* Looks before a watcher gives way. */
#define SPIN_LOOKS 16
/* What such a round and giving way take at most, when nobody else wants the processor. What lasts longer is others' time: it is
 * not spent by the watcher, and on a loaded machine the guest cannot answer within it either. */
#define SPIN_ROUND_NS (3 * NEEP_NS_PER_US)
/* Waiting for a guest that is in a loop, to take a reply or to go on sending: give way so often, then sleep for longer and
 * longer. */
#define REPLY_YIELDS    64
#define REPLY_SLEEP_MIN (50 * NEEP_NS_PER_US)
#define REPLY_SLEEP_MAX (5 * NEEP_NS_PER_MS)

struct neep_asg_ring {
	uint8_t *base;
	int64_t spin_max_ns;
	int64_t spin_ns;
	uint32_t record_offset; // what is left of the record that is being read
	uint32_t record_left;
	uint32_t large_left;    // of the large transfer that is being read
	uint32_t pauses;        // in a row, of a large transfer
	bool is_near;           // the guest wakes us itself (asg/bell.h)
	bool has_woken;         // the guest slept, and has sent nothing since
	atomic_bool is_stopped; // atomic: anybody, the consumer
	atomic_bool is_asleep;  // atomic: the consumer, anybody
};

static _Atomic uint32_t *word_at(struct neep_asg_ring *ring, uint32_t offset) {
	return (_Atomic uint32_t *)(void *)(ring->base + offset);
}

/* All accesses are sequentially consistent: a look at the positions stays behind an earlier store of the state, and copies
 * stay on their side of the position that covers them. */
static uint32_t load(struct neep_asg_ring *ring, uint32_t offset) {
	return atomic_load(word_at(ring, offset));
}

static void store(struct neep_asg_ring *ring, uint32_t offset, uint32_t value) {
	atomic_store(word_at(ring, offset), value);
}

static uint8_t *data_at(struct neep_asg_ring *ring, uint32_t offset) {
	return ring->base + NEEP_ASG_BUFFER_OFFSET + offset;
}

static bool is_stopped(struct neep_asg_ring *ring) {
	return atomic_load(&ring->is_stopped);
}

/* Bytes between the positions of the ring in `page`, or -EPROTO: no ring of `capacity` bytes holds so many. */
static int64_t count_used(struct neep_asg_ring *ring, uint32_t page, uint32_t capacity) {
	uint32_t read_pos = load(ring, page + NEEP_ASG_READ_POS);
	uint32_t used = load(ring, page + NEEP_ASG_WRITE_POS) - read_pos;
	return used < capacity ? (int64_t)used : -EPROTO;
}

static void set_state(struct neep_asg_ring *ring, enum neep_asg_state state) {
	store(ring, NEEP_ASG_HOST_STATE, state);
}

/* The guest zeroes the state when it maps its ring, perhaps after we said that we look. */
static void keep_awake(struct neep_asg_ring *ring) {
	if (load(ring, NEEP_ASG_HOST_STATE) != NEEP_ASG_RENDERING) {
		set_state(ring, NEEP_ASG_RENDERING);
	}
}

/* After a position was published, that a guest may wait for. Either the sleeper sees the position after it said that it sleeps, or we see that it does. */
static void ring_bell(struct neep_asg_ring *ring) {
	if (load(ring, NEEP_ASG_SLEEPER) == 0) {
		return;
	}
	store(ring, NEEP_ASG_SLEEPER, 0);
	neep_asg_bell_ring(word_at(ring, NEEP_ASG_BELL));
	ring->has_woken = true;
}

/* Rings no bell: most guests that sleep then wait for the reply, and would wake up twice. Others hear it when all has been
 * read. */
static void release_record(struct neep_asg_ring *ring) {
	atomic_fetch_add(word_at(ring, NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS), NEEP_ASG_RECORD_SIZE);
}

static void note_reading(struct neep_asg_ring *ring, enum neep_asg_reading what) {
	uint32_t replied = load(ring, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS);
	atomic_store_explicit(word_at(ring, NEEP_ASG_REPLIED), replied, memory_order_release);
	atomic_store_explicit(word_at(ring, NEEP_ASG_READING), what, memory_order_release);
}

/* Remembers the next record that has data. Returns 1, 0 when there is none, or -EPROTO. A guest that sends empty records
 * without end gets no further than one ring full of them at a time. */
static int open_record(struct neep_asg_ring *ring) {
	for (uint32_t i = 0; i < NEEP_ASG_RECORDS_SIZE / NEEP_ASG_RECORD_SIZE; i++) {
		int64_t used = count_used(ring, NEEP_ASG_TO_HOST, NEEP_ASG_RECORDS_SIZE);
		if (used <= 0) {
			return (int)used;
		}
		uint32_t pos = load(ring, NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS);
		if (used % NEEP_ASG_RECORD_SIZE != 0 || pos % NEEP_ASG_RECORD_SIZE != 0) {
			return -EPROTO;
		}
		uint32_t at = NEEP_ASG_TO_HOST + NEEP_ASG_RECORDS + pos % NEEP_ASG_RECORDS_SIZE;
		uint32_t offset = load(ring, at);
		uint32_t size = load(ring, at + 4);
		if (!neep_range_within(offset, size, NEEP_ASG_BUFFER_SIZE)) {
			return -EPROTO;
		}
		if (size > 0) {
			note_reading(ring, NEEP_ASG_READ_RECORD);
			ring->record_offset = offset;
			ring->record_left = size;
			return 1;
		}
		release_record(ring);
	}
	return 0;
}

static int64_t take_from_record(struct neep_asg_ring *ring, void *buf, size_t len) {
	if (ring->record_left == 0) {
		int result = open_record(ring);
		if (result <= 0) {
			return result;
		}
	}
	uint32_t count = len < ring->record_left ? (uint32_t)len : ring->record_left;
	memcpy(buf, data_at(ring, ring->record_offset), count);
	ring->record_offset += count;
	ring->record_left -= count;
	if (ring->record_left == 0) {
		release_record(ring);
	}
	return count;
}

/* The parts of `count` bytes of the data buffer as a ring: up to its end, and from its start. */
struct span {
	uint8_t *at;
	uint32_t count;
	uint32_t rest;
};

static struct span span_at(struct neep_asg_ring *ring, uint32_t pos, uint32_t count) {
	uint32_t offset = pos % NEEP_ASG_BUFFER_SIZE;
	uint32_t to_end = NEEP_ASG_BUFFER_SIZE - offset;
	uint32_t first = count < to_end ? count : to_end;
	return (struct span){ .at = data_at(ring, offset), .count = first, .rest = count - first };
}

/* Before the bytes are given back: once the ring is empty the guest may announce its next transfer. */
static void count_down_transfer(struct neep_asg_ring *ring, uint32_t count) {
	uint32_t left = load(ring, NEEP_ASG_TRANSFER_SIZE);
	store(ring, NEEP_ASG_TRANSFER_SIZE, left > count ? left - count : 0);
}

/* A size of 0 is that of no transfer, while the two do not belong together. */
static void note_transfer(struct neep_asg_ring *ring, uint32_t pos) {
	if (ring->large_left > 0) {
		return;
	}
	ring->large_left = load(ring, NEEP_ASG_TRANSFER_SIZE);
	store(ring, NEEP_ASG_LARGE_SIZE, 0);
	store(ring, NEEP_ASG_LARGE_START, pos);
	store(ring, NEEP_ASG_LARGE_SIZE, ring->large_left);
}

static int64_t take_from_large(struct neep_asg_ring *ring, void *buf, size_t len) {
	int64_t used = count_used(ring, NEEP_ASG_TO_HOST_LARGE, NEEP_ASG_BUFFER_SIZE);
	if (used <= 0) {
		return used;
	}
	uint32_t pos = load(ring, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS);
	uint32_t count = len < (size_t)used ? (uint32_t)len : (uint32_t)used;
	struct span span = span_at(ring, pos, count);
	note_transfer(ring, pos);
	note_reading(ring, NEEP_ASG_READ_LARGE);
	memcpy(buf, span.at, span.count);
	memcpy((uint8_t *)buf + span.count, data_at(ring, 0), span.rest);
	count_down_transfer(ring, count);
	ring->large_left -= count < ring->large_left ? count : ring->large_left;
	store(ring, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS, pos + count);
	ring_bell(ring);
	return count;
}

static int64_t take(struct neep_asg_ring *ring, void *buf, size_t len) {
	int64_t taken = take_from_record(ring, buf, len);
	return taken != 0 ? taken : take_from_large(ring, buf, len);
}

/* Positions that cannot be right are for the reader to find. */
static bool has_data(struct neep_asg_ring *ring) {
	return count_used(ring, NEEP_ASG_TO_HOST, NEEP_ASG_RECORDS_SIZE) != 0 ||
	       count_used(ring, NEEP_ASG_TO_HOST_LARGE, NEEP_ASG_BUFFER_SIZE) != 0;
}

static bool look_often(struct neep_asg_ring *ring) {
	for (int i = 0; i < SPIN_LOOKS; i++) {
		if (has_data(ring)) {
			return true;
		}
		neep_cpu_relax();
	}
	return is_stopped(ring);
}

static int64_t longest_spin(const struct neep_asg_ring *ring) {
	return ring->is_near && ring->spin_max_ns > NEAR_SPIN_NS ? NEAR_SPIN_NS : ring->spin_max_ns;
}

/* Watches the ring for as long as the window is open. Returns whether there is something to do. */
static bool spin(struct neep_asg_ring *ring) {
	int64_t now = neep_clock_ns();
	for (int64_t left = ring->spin_ns; left > 0;) {
		if (look_often(ring)) {
			ring->spin_ns = longest_spin(ring);
			return true;
		}
		if (!ring->is_near) {
			sched_yield();
		}
		int64_t before = now;
		now = neep_clock_ns();
		left -= now - before < SPIN_ROUND_NS ? now - before : SPIN_ROUND_NS;
	}
	ring->spin_ns = ring->spin_ns / 2 < SPIN_MIN_NS ? 0 : ring->spin_ns / 2;
	return false;
}

/* The `turn`-th wait in a row for another that takes or sends nothing. Each is short, so that a stop is seen soon. */
static void wait_a_turn(uint32_t turn) {
	if (turn < REPLY_YIELDS) {
		sched_yield();
		return;
	}
	uint32_t doublings = turn - REPLY_YIELDS < 10 ? turn - REPLY_YIELDS : 10;
	int64_t ns = REPLY_SLEEP_MIN << doublings;
	struct timespec pause = { .tv_nsec = (long)(ns < REPLY_SLEEP_MAX ? ns : REPLY_SLEEP_MAX) };
	nanosleep(&pause, NULL);
}

/* Unless the bell has rung since it was `bell`. */
static void sleep_until_woken(struct neep_asg_ring *ring, uint32_t bell) {
	int64_t slept_at = neep_clock_ns();
	/* Either a stop sees this, or this sees the stop. */
	atomic_store(&ring->is_asleep, true);
	if (!is_stopped(ring)) {
		neep_asg_bell_wait(word_at(ring, NEEP_ASG_HOST_BELL), bell, NULL);
	}
	atomic_store(&ring->is_asleep, false);
	ring->is_near = load(ring, NEEP_ASG_HOST_WAIT) == NEEP_ASG_AWAKE;
	int64_t wake_up_ns = ring->is_near ? NEAR_WAKE_UP_NS : WAKE_UP_NS;
	if (neep_clock_ns() - slept_at < longest_spin(ring) + wake_up_ns) {
		ring->spin_ns = longest_spin(ring);
	}
}

static void wait_for_data(struct neep_asg_ring *ring) {
	ring_bell(ring);
	bool is_worth_it = ring->spin_ns > 0 && !ring->has_woken;
	ring->has_woken = false;
	if (is_worth_it && spin(ring)) {
		return;
	}
	/* The guest sends one wake-up for a large transfer, and no other when it goes on after a pause. */
	if (load(ring, NEEP_ASG_TRANSFER_SIZE) != 0) {
		wait_a_turn(ring->pauses++);
		return;
	}
	uint32_t bell = load(ring, NEEP_ASG_HOST_BELL);
	store(ring, NEEP_ASG_HOST_WAIT, NEEP_ASG_ASLEEP);
	set_state(ring, NEEP_ASG_NEED_NOTIFY);
	if (!has_data(ring)) {
		sleep_until_woken(ring, bell);
	}
	store(ring, NEEP_ASG_HOST_WAIT, NEEP_ASG_AWAKE);
	set_state(ring, NEEP_ASG_RENDERING);
}

int64_t neep_asg_ring_read(struct neep_asg_ring *ring, void *buf, size_t len) {
	while (!is_stopped(ring)) {
		int64_t taken = take(ring, buf, len);
		if (taken != 0) {
			ring->pauses = 0;
			keep_awake(ring);
			return taken;
		}
		wait_for_data(ring);
	}
	return -ECANCELED;
}

/* Sends what fits and lets the guest see it at once. Returns the bytes, or -EPROTO. */
static int64_t put(struct neep_asg_ring *ring, const uint8_t *buf, size_t len) {
	int64_t used = count_used(ring, NEEP_ASG_FROM_HOST_LARGE, NEEP_ASG_BUFFER_SIZE);
	if (used < 0) {
		return used;
	}
	/* One byte always stays free: equal positions mean empty. */
	uint32_t space = NEEP_ASG_BUFFER_SIZE - 1 - (uint32_t)used;
	uint32_t count = len < space ? (uint32_t)len : space;
	uint32_t pos = load(ring, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS);
	struct span span = span_at(ring, pos, count);
	memcpy(span.at, buf, span.count);
	memcpy(data_at(ring, 0), buf + span.count, span.rest);
	if (count > 0) {
		store(ring, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS, pos + count);
		ring_bell(ring);
	}
	return count;
}

int neep_asg_ring_write(struct neep_asg_ring *ring, const void *buf, size_t len) {
	const uint8_t *from = buf;
	if (len >= NEEP_ASG_BUFFER_SIZE) {
		note_reading(ring, NEEP_ASG_REPLYING);
	}
	for (uint32_t turn = 0; len > 0; turn++) {
		if (is_stopped(ring)) {
			return -ECANCELED;
		}
		int64_t count = put(ring, from, len);
		if (count < 0) {
			return (int)count;
		}
		if (count == 0) {
			wait_a_turn(turn);
			continue;
		}
		from += count;
		len -= (size_t)count;
		turn = 0;
	}
	return 0;
}

void neep_asg_ring_stop(struct neep_asg_ring *ring) {
	atomic_store(&ring->is_stopped, true);
	for (uint32_t turn = 0; atomic_load(&ring->is_asleep); turn++) {
		neep_asg_bell_ring(word_at(ring, NEEP_ASG_HOST_BELL));
		wait_a_turn(turn);
	}
}

static int map_ring(struct neep_asg_ring *ring, int fd, uint64_t size, struct neep_error *error) {
	struct stat st;
	if (fstat(fd, &st) < 0) {
		return neep_error_set(error, errno, "cannot look at the memory of a ring");
	}
	if (size < RING_SIZE || st.st_size < 0 || (uint64_t)st.st_size < size) {
		return neep_error_set(error, EINVAL, "a ring of %llu bytes in a memory of %lld: it needs %u",
			(unsigned long long)size, (long long)st.st_size, RING_SIZE);
	}
	ring->base = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return ring->base == MAP_FAILED ? neep_error_set(error, errno, "cannot map a ring") : 0;
}

/* Whether the guest has gone on since the consumer took what it took last. */
static bool has_gone_on(struct neep_asg_ring *ring) {
	return has_data(ring) || load(ring, NEEP_ASG_TRANSFER_SIZE) != 0;
}

/* Returns false when the beginning of the transfer is not there any more. */
static bool go_back_in_transfer(struct neep_asg_ring *ring) {
	uint32_t start = load(ring, NEEP_ASG_LARGE_START);
	uint32_t size = load(ring, NEEP_ASG_LARGE_SIZE);
	uint32_t taken = load(ring, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS) - start;
	if (taken > size || (taken == size && has_gone_on(ring))) {
		return true;
	}
	if (size >= NEEP_ASG_BUFFER_SIZE) {
		return false;
	}
	store(ring, NEEP_ASG_TRANSFER_SIZE, size);
	store(ring, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS, start);
	return true;
}

/* Where another consumer was. */
static int take_over(struct neep_asg_ring *ring, struct neep_error *error) {
	uint32_t reading = load(ring, NEEP_ASG_READING);
	bool is_answered =
		load(ring, NEEP_ASG_REPLIED) != load(ring, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS);
	if (reading == NEEP_ASG_REPLYING ||
		(reading == NEEP_ASG_READ_LARGE && !is_answered && !go_back_in_transfer(ring))) {
		return neep_error_set(error, EBUSY, "its last consumer was in the middle of something");
	}
	if (reading == NEEP_ASG_READ_RECORD && !is_answered && !has_gone_on(ring)) {
		atomic_fetch_sub(word_at(ring, NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS), NEEP_ASG_RECORD_SIZE);
	}
	return 0;
}

struct neep_asg_ring *neep_asg_ring_create(int owned_memory_fd, uint64_t size,
	const struct neep_asg_options *options, struct neep_error *error) {
	neep_autoclose int memory_fd = owned_memory_fd;
	struct neep_asg_ring *ring = calloc(1, sizeof(*ring));
	if (ring == NULL) {
		neep_error_set(error, ENOMEM, "cannot serve a ring");
		return NULL;
	}
	if (map_ring(ring, memory_fd, size, error) < 0) {
		free(ring);
		return NULL;
	}
	if (options->had_consumer && take_over(ring, error) < 0) {
		neep_asg_ring_destroy(ring);
		return NULL;
	}
	ring->spin_max_ns = options->spin_ns;
	store(ring, NEEP_ASG_HOST_WAIT, NEEP_ASG_AWAKE);
	return ring;
}

void neep_asg_ring_destroy(struct neep_asg_ring *ring) {
	if (ring == NULL) {
		return;
	}
	store(ring, NEEP_ASG_HOST_WAIT, NEEP_ASG_UNSERVED);
	set_state(ring, NEEP_ASG_EXIT);
	munmap(ring->base, RING_SIZE);
	free(ring);
}

uint8_t *neep_asg_bell_map(int fd) {
	void *page = mmap(
		NULL, NEEP_ASG_BELL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, NEEP_ASG_BELL_PAGE);
	return page == MAP_FAILED ? NULL : page;
}

void neep_asg_bell_unmap(uint8_t *page) {
	if (page != NULL) {
		munmap(page, NEEP_ASG_BELL_PAGE_SIZE);
	}
}
