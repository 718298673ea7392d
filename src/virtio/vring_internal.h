/* What vring.c, its two ring formats and the chain builder share. Not for other rooms. */
#ifndef NEEP_VIRTIO_VRING_INTERNAL_H
#define NEEP_VIRTIO_VRING_INTERNAL_H

#include <linux/virtio_ring.h>
#include <string.h>

#include "util/list.h"
#include "util/log.h"
#include "virtio/inflight_internal.h"
#include "virtio/vring.h"

/* Elements that wait for reuse, so that a command in the steady state allocates nothing: at most this many, */
#define VRING_SPARE_MAX 1024
/* with room for at most this many iovecs each, so that one huge chain does not pin its memory. */
#define VRING_SPARE_IOV_MAX 256

/* Host segments of one buffer. A descriptor may cross many small memory regions, and its guest picks both. */
#define VRING_SEGMENTS_MAX (2 * NEEP_VRING_CHAIN_MAX)

/* Malformed buffers that one pop returns before it gives the caller's other work a turn. */
#define VRING_MALFORMED_MAX 64

enum vring_box_state {
	VRING_BOX_SPARE,
	VRING_BOX_OUT,    // with the caller
	VRING_BOX_PARKED, // pushed while the ring was stopped
};

/* An element and what the ring remembers of it. */
struct vring_box {
	struct neep_vring_element element;
	struct neep_list link; // neep_vring.spare, .out or .parked
	enum vring_box_state state;
	uint32_t epoch;
	struct iovec *iov; // readable, then writable
	uint32_t iov_capacity;
	uint32_t descriptors; // walked so far, see NEEP_VRING_CHAIN_MAX
	const char *fault;    // what is wrong with the chain, NULL when it is fine
	uint16_t id;          // split: the head; packed: the buffer id
	uint16_t slots;       // places in the ring: 1 when split
	uint16_t record;      // packed, with inflight: the entry there
	uint32_t reply_len;   // parked
	void *reply;          // parked: owned copy, or NULL
};

struct vring_descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; // split; the packed layout is read by packed.c
};

struct neep_vring;

struct vring_impl {
	/* Takes the base, or what `inflight` says when `recover` is set, as its state. */
	void (*start)(struct neep_vring *ring, bool recover);
	uint32_t (*base)(const struct neep_vring *ring);
	bool (*has_work)(const struct neep_vring *ring); // of the driver, not of a recovery
	/* Takes the next buffer: 1, 0 for none, -EPROTO when the driver broke the rules. box->fault tells of a buffer
	 * that is to be returned unused. */
	int (*fetch)(struct neep_vring *ring, struct vring_box *box);
	/* Hands the buffer to the driver as used. */
	void (*publish)(struct neep_vring *ring, const struct vring_box *box, uint32_t len);
	/* Whether the driver asked for an interrupt for one of the last `unsignalled` places. */
	bool (*wants_interrupt)(const struct neep_vring *ring);
	void (*enable_kick)(struct neep_vring *ring);
	void (*disable_kick)(struct neep_vring *ring);
};

extern const struct vring_impl neep_vring_split;
extern const struct vring_impl neep_vring_packed;

struct neep_vring {
	const struct vring_impl *impl;
	struct neep_memory *memory;
	struct neep_inflight_queue *inflight; // NULL for none
	struct neep_vring_config config;
	bool is_running;
	bool is_broken;
	bool is_kick_disabled;
	bool must_signal;     // whatever the driver asked for: its wish may be from before a stop
	bool may_recover;     // the inflight region has not been looked at since it was set
	bool avail_wrap;      // packed
	bool used_wrap;       // packed
	uint16_t avail_seen;  // split: the driver's index when it was last loaded
	uint16_t avail_index; // next to pop; packed: a slot
	uint16_t used_index;  // next to push; packed: a slot
	uint32_t slots_out;   // places of the buffers that are popped and not pushed, of this epoch
	uint32_t unsignalled; // places pushed since the last notify
	uint32_t epoch;       // elements of other epochs are from before a reset
	uint32_t stopped_base;
	int call_fd;
	uint32_t spare_count;
	struct neep_list spare;  // vring_box.link
	struct neep_list out;    // vring_box.link
	struct neep_list parked; // vring_box.link, in the order of the pushes
	struct neep_memory_listener listener;
	struct neep_log_limit log_limit;
};

/* Whether buffers of a device before us are left to be done again. */
static inline bool vring_has_resubmits(const struct neep_vring *ring) {
	return ring->inflight != NULL && neep_inflight_resubmit_count(ring->inflight) > 0;
}

/* Logs why the ring is broken and returns -EPROTO. */
int neep_vring_break(struct neep_vring *ring, const char *why);

/* ---- chain.c: from descriptors to iovecs ---- */

/* Adds one buffer descriptor. Returns false, with box->fault set, when the chain is malformed. */
bool neep_vring_chain_add(
	struct neep_vring *ring, struct vring_box *box, const struct vring_descriptor *descriptor);

/* Points readable and writable into the array, once the chain is complete. */
void neep_vring_chain_finish(struct vring_box *box);

/* Forgets the chain and keeps the array unless it is large. */
void neep_vring_chain_reset(struct vring_box *box);

/* An indirect table: in place, or a copy when it crosses memory regions. */
struct vring_table {
	const uint8_t *base;
	uint32_t count;
	void *copy; // owned; NULL when in place
};

/* Opens the table that `descriptor` tells of. Returns false with box->fault set. */
bool neep_vring_table_open(struct neep_vring *ring, struct vring_box *box,
	const struct vring_descriptor *descriptor, struct vring_table *table);

void neep_vring_table_close(struct vring_table *table);

/* ---- Words that the driver may change at any moment: loaded once ---- */

static inline uint16_t vring_load(const void *ptr) {
	return __atomic_load_n((const uint16_t *)ptr, __ATOMIC_RELAXED);
}

static inline uint16_t vring_load_acquire(const void *ptr) {
	return __atomic_load_n((const uint16_t *)ptr, __ATOMIC_ACQUIRE);
}

static inline void vring_store(void *ptr, uint16_t value) {
	__atomic_store_n((uint16_t *)ptr, value, __ATOMIC_RELAXED);
}

static inline void vring_store_release(void *ptr, uint16_t value) {
	__atomic_store_n((uint16_t *)ptr, value, __ATOMIC_RELEASE);
}

/* Between a store of ours and a load of what the driver stored in answer to it, or the other way round. */
static inline void vring_full_fence(void) {
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Whether a packed descriptor with these flags is the driver's, for a lap with this wrap counter. */
static inline bool vring_packed_is_available(uint16_t flags, bool wrap) {
	bool avail = (flags >> VRING_PACKED_DESC_F_AVAIL & 1) != 0;
	bool used = (flags >> VRING_PACKED_DESC_F_USED & 1) != 0;
	return avail == wrap && used != wrap;
}

/* The two words of a descriptor, which need not be aligned in an indirect table. */
struct vring_words {
	uint64_t low;
	uint64_t high;
};

static inline struct vring_words vring_words_load(const uint8_t *ptr) {
	struct vring_words words;
	memcpy(&words, ptr, sizeof(words));
	/* The compiler forgets where the values came from, and so cannot load them again after a check. */
	__asm__ volatile("" : "+r"(words.low), "+r"(words.high));
	return words;
}

static inline struct vring_descriptor vring_descriptor_load(const uint8_t *ptr) {
	struct vring_words words = vring_words_load(ptr);
	return (struct vring_descriptor){
		.addr = words.low,
		.len = (uint32_t)words.high,
		.flags = (uint16_t)(words.high >> 32),
		.next = (uint16_t)(words.high >> 48),
	};
}

#endif
