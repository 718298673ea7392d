/* Virtqueues, driver side: split and packed rings with indirect descriptors and event suppression.
 * virtio 1.2, "Split Virtqueues" and "Packed Virtqueues".
 *
 * A buffer is the caller's struct with `readable_count` device-readable pieces followed by `writable_count`
 * device-writable ones; it stays the device's from neep_queue_add() until neep_queue_get() returns it, in whatever order
 * the device completes. Ring memory and indirect tables come from guest memory. Not thread safe: the driver's lock guards
 * a queue. The device is a peer that may err: an id it never got breaks the queue, not the process.
 *
 * neep_queue_raw() gives hostile tests every word of the ring. */
#ifndef NEEP_DRIVER_QUEUE_H
#define NEEP_DRIVER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "driver/memory.h"
#include "util/error.h"

struct neep_queue;

struct neep_queue_options {
	uint32_t size; // split: a power of two; 1..32768
	bool is_packed;
	bool has_event_idx;
	bool has_indirect; // describe every buffer of more than one piece by an indirect table
};

/* Embedded in its owner, who finds itself by neep_container_of(). */
struct neep_queue_buffer {
	const struct neep_guest_piece *pieces; // read by neep_queue_add() only
	uint32_t readable_count;
	uint32_t writable_count;

	uint32_t used_len; // what the device says it wrote, bytes

	struct neep_guest_buffer table; // private: the indirect table
	uint32_t slots;                 // private: descriptors it takes in the ring
};

/* `memory` is borrowed and outlives the queue. NULL with `error` set. */
struct neep_queue *neep_queue_create(
	struct neep_guest_memory *memory, const struct neep_queue_options *options, struct neep_error *error);

/* Frees the ring's memory; the device must have stopped. Buffers that are out are forgotten, their tables freed. NULL is
 * fine. */
void neep_queue_destroy(struct neep_queue *queue);

/* Makes the ring as new, at the same place; the device must have stopped. Buffers that are out are forgotten. */
void neep_queue_reset(struct neep_queue *queue);

/* What SET_VRING_NUM, _ADDR and _BASE say. Addresses are host pointers, that is to say vhost-user's user addresses. */
struct neep_queue_setup {
	uint32_t size;
	void *desc;
	void *avail;   // packed: driver event suppression
	void *used;    // packed: device event suppression
	uint32_t base; // of a ring in which everything that was made available up to now was also used
};
struct neep_queue_setup neep_queue_setup(const struct neep_queue *queue);

/* eventfds: kick wakes the device, call wakes the driver, err tells that the device gave the ring up. Borrowed. */
int neep_queue_kick_fd(const struct neep_queue *queue);
int neep_queue_call_fd(const struct neep_queue *queue);
int neep_queue_err_fd(const struct neep_queue *queue);

/* Describes `buffer` in the ring; the device sees it at the latest after neep_queue_publish(). Returns 0, -ENOSPC while the ring is full, -E2BIG when it can never fit, -EINVAL for no
 * pieces or one of 4 GiB and more, -ENOMEM for want of memory for its table. */
int neep_queue_add(struct neep_queue *queue, struct neep_queue_buffer *buffer);

/* Makes what was added available to the device: one store for many buffers, so that the two sides do not pass the index
 * to and fro for each. */
void neep_queue_publish(struct neep_queue *queue);

/* Publishes, and notifies the device if it wants to hear of what was added since the last call. Returns whether it did. */
bool neep_queue_kick(struct neep_queue *queue);

/* The next buffer that the device has used, or NULL. */
struct neep_queue_buffer *neep_queue_get(struct neep_queue *queue);

/* One load: whether neep_queue_get() has something. */
bool neep_queue_has_used(const struct neep_queue *queue);

/* Asks for an interrupt at the next used buffer, then looks once more: true when one is there already. */
bool neep_queue_arm(struct neep_queue *queue);

/* Says that interrupts are not wanted; a hint. */
void neep_queue_disarm(struct neep_queue *queue);

/* Buffers that the device has. */
uint32_t neep_queue_outstanding(const struct neep_queue *queue);

/* Ring slots that are free. */
uint32_t neep_queue_free_slots(const struct neep_queue *queue);

/* Whether the device used an id that it never got. */
bool neep_queue_is_broken(const struct neep_queue *queue);

/* ---- for hostile tests ---- */

/* The ring's memory, which may be written at will. Fields of the other format are NULL. */
struct neep_queue_raw {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc *packed;
	struct vring_packed_desc_event *driver_event;
	struct vring_packed_desc_event *device_event;
};
struct neep_queue_raw neep_queue_raw(const struct neep_queue *queue);

/* Split: puts `head`, any number, into the next avail slot and bumps the index. Packed: `head` is nothing, the next slot
 * (written by the caller, flags last) counts as taken. Always signals the kick fd. */
void neep_queue_raw_publish(struct neep_queue *queue, uint16_t head);

/* The next used entry as the device wrote it, whatever its id. Returns false when there is none. */
bool neep_queue_raw_get(struct neep_queue *queue, uint32_t *id, uint32_t *used_len);

/* The slot that the next buffer would start at, and for packed rings the AVAIL and USED bits of that slot. */
uint16_t neep_queue_raw_next(const struct neep_queue *queue, uint16_t *flags);

#endif
