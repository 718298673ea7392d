/* What the two ring formats share. Room-internal. */
#ifndef NEEP_DRIVER_QUEUE_INTERNAL_H
#define NEEP_DRIVER_QUEUE_INTERNAL_H

#include <stdatomic.h>

#include "driver/queue.h"

struct neep_queue_impl {
	/* Bytes of ring memory for `size` entries; and where avail and used start in it. */
	uint64_t (*layout)(uint32_t size, uint64_t *avail, uint64_t *used);
	/* Describes the buffer under `id`; there is room. */
	void (*add)(struct neep_queue *queue, struct neep_queue_buffer *buffer, uint16_t id);
	/* Makes what add() described visible. may be NULL: add() does it */
	void (*publish)(struct neep_queue *queue);
	bool (*wants_kick)(struct neep_queue *queue);
	bool (*has_used)(const struct neep_queue *queue);
	/* Reads the next used entry, which is there. Advances where that needs no knowledge of the buffer. */
	void (*read_used)(struct neep_queue *queue, uint32_t *id, uint32_t *used_len);
	/* The entry read last took `slots` slots. */
	void (*advance_used)(struct neep_queue *queue, uint32_t slots);
	void (*arm)(struct neep_queue *queue);
	void (*disarm)(struct neep_queue *queue);
	uint32_t (*base)(const struct neep_queue *queue);
	void (*raw_publish)(struct neep_queue *queue, uint16_t head);
	uint16_t (*raw_next)(const struct neep_queue *queue, uint16_t *flags);
};
extern const struct neep_queue_impl neep_queue_split_impl;
extern const struct neep_queue_impl neep_queue_packed_impl;

struct neep_queue {
	const struct neep_queue_impl *impl;
	struct neep_queue_options options;
	struct neep_guest_memory *memory;
	struct neep_guest_buffer ring;
	struct neep_guest_buffer tables; // a small indirect table for each id
	void *desc;
	void *avail;
	void *used;
	int kick_fd;
	int call_fd;
	int err_fd;
	struct neep_queue_buffer **buffers; // by id; NULL: the id is free
	uint16_t *free_ids;                 // a stack; split: ids are descriptor slots
	uint32_t free_id_count;
	uint32_t free_slots; // packed: ring slots; split: the same as free_id_count
	uint32_t outstanding;
	bool is_broken;

	uint16_t next_avail;  // split: free-running; packed: slot
	uint16_t last_kicked; // split: next_avail at the last kick decision
	uint16_t last_used;   // split: free-running; packed: slot
	uint16_t added;       // packed: slots added since the last kick decision
	bool avail_wrap;      // packed
	bool used_wrap;       // packed

	uint16_t *chain; // split: for each slot the one that follows it in its chain
};

/* Ring words that the device writes or reads at any moment. */
static inline uint16_t neep_queue_load16(const __virtio16 *word) {
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void neep_queue_store16(__virtio16 *word, uint16_t value) {
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void neep_queue_full_fence(void) {
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The flags of piece `index` of the buffer, WRITE and NEXT. */
static inline uint16_t neep_queue_piece_flags(const struct neep_queue_buffer *buffer, uint32_t index) {
	uint32_t count = buffer->readable_count + buffer->writable_count;
	return (uint16_t)((index >= buffer->readable_count ? VRING_DESC_F_WRITE : 0) |
			  (index + 1 < count ? VRING_DESC_F_NEXT : 0));
}

#endif
