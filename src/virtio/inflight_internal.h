/* The rings' side of inflight tracking. Not for other rooms.
 *
 * Every function keeps the area such that a crash after any single store can be recovered from; the order of the
 * stores is the protocol's. Stores reach the area in program order, see inflight_store_*(): a crash of the process
 * loses no store that was made. */
#ifndef NEEP_VIRTIO_INFLIGHT_INTERNAL_H
#define NEEP_VIRTIO_INFLIGHT_INTERNAL_H

#include "virtio/inflight.h"

#define INFLIGHT_VERSION 1

/* "No entry": the buffer is not recorded. No size reaches it. */
#define INFLIGHT_ENTRY_NONE UINT16_MAX

/* One descriptor of a split ring, indexed by the head. */
struct inflight_split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next; // of the batch
	uint64_t counter;
};

struct inflight_split {
	uint64_t features;
	uint16_t version; // 0 in new memory
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct inflight_split_entry desc[];
};

/* One descriptor of a packed ring; those of a buffer are linked by `next`. */
struct inflight_packed_entry {
	uint8_t inflight; // heads only
	uint8_t padding;
	uint16_t next;
	uint16_t last; // heads only: the buffer's last entry
	uint16_t num;  // heads only: how many
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct inflight_packed {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[7];
	struct inflight_packed_entry desc[];
};

/* A buffer that is to be done again. */
struct inflight_resubmit {
	uint64_t counter;
	uint16_t entry;
};

struct neep_inflight_queue {
	struct inflight_split *split;   // one of the two
	struct inflight_packed *packed; //
	uint16_t size;
	bool was_new;           // nothing to recover
	uint64_t counter;       // of the next buffer
	uint16_t packed_head;   // entry of the buffer that is being recorded
	uint32_t resubmit_next; // in `resubmit`
	uint32_t resubmit_end;
	struct inflight_resubmit resubmit[]; // `size` entries
};

#define inflight_store(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)
#define inflight_load(ptr)         __atomic_load_n((ptr), __ATOMIC_RELAXED)

/* Records nothing of before as being in flight. */
void neep_inflight_clear(struct neep_inflight_queue *queue);

/* How many buffers are left to be done again. */
uint32_t neep_inflight_resubmit_count(const struct neep_inflight_queue *queue);

/* For recovery: empties the list, adds to it, brings it into the order of submission. */
void neep_inflight_resubmit_begin(struct neep_inflight_queue *queue);
void neep_inflight_resubmit_add(struct neep_inflight_queue *queue, uint16_t entry, uint64_t counter);
void neep_inflight_resubmit_sort(struct neep_inflight_queue *queue);

/* The next buffer to do again, or INFLIGHT_ENTRY_NONE. */
uint16_t neep_inflight_resubmit_take(struct neep_inflight_queue *queue);

/* ---- Split ---- */

void neep_inflight_split_init(struct neep_inflight_queue *queue);

/* A ring that starts with nothing in flight, or resumes. */
void neep_inflight_split_sync(struct neep_inflight_queue *queue, uint16_t used_idx);

/* Finds what a device before us left; heads at or above ring_size are ignored. Returns false for a new area. */
bool neep_inflight_split_recover(struct neep_inflight_queue *queue, uint16_t used_idx, uint32_t ring_size);

void neep_inflight_split_popped(struct neep_inflight_queue *queue, uint16_t head);

/* Around the store that makes the used entry visible. */
void neep_inflight_split_put(struct neep_inflight_queue *queue, uint16_t head);
void neep_inflight_split_done(struct neep_inflight_queue *queue, uint16_t head, uint16_t used_idx);

/* ---- Packed ---- */

/* A place in a packed ring. */
struct inflight_place {
	uint16_t index;
	bool wrap;
};

void neep_inflight_packed_init(struct neep_inflight_queue *queue);
void neep_inflight_packed_sync(struct neep_inflight_queue *queue, struct inflight_place used);

/* What a recovery finds. */
struct inflight_packed_state {
	struct inflight_place used; // of the next used descriptor, in the ring
	uint32_t in_use;            // descriptors of all buffers in flight
};

/* Finds what a device before us left. `ring_desc` is the descriptor ring. Returns false when there is nothing to learn:
 * a new area, or one whose numbers do not fit the ring. */
bool neep_inflight_packed_recover(struct neep_inflight_queue *queue, const uint8_t *ring_desc,
	uint32_t ring_size, struct inflight_packed_state *state);

/* Records one descriptor of a buffer; the values come from the ring. */
struct inflight_packed_record {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
	bool is_first;
	bool is_last;
};
void neep_inflight_packed_popped(
	struct neep_inflight_queue *queue, const struct inflight_packed_record *record);

/* The entry of the buffer that was recorded last, or INFLIGHT_ENTRY_NONE. */
uint16_t neep_inflight_packed_entry(const struct neep_inflight_queue *queue);

/* For a buffer that is done again: its descriptors, and each of them. *index starts as the buffer's entry and becomes
 * the next one's. Returns false when the links are broken. */
uint32_t neep_inflight_packed_count(const struct neep_inflight_queue *queue, uint16_t entry);
bool neep_inflight_packed_read(
	const struct neep_inflight_queue *queue, uint16_t *index, struct inflight_packed_record *record);

/* The buffer that was being recorded turned out to have no end. */
void neep_inflight_packed_cancel(struct neep_inflight_queue *queue);

/* Around the store that makes the used descriptor visible; `used` is the place behind it. */
void neep_inflight_packed_put(struct neep_inflight_queue *queue, uint16_t entry, struct inflight_place used);
void neep_inflight_packed_done(struct neep_inflight_queue *queue, uint16_t entry);

#endif
