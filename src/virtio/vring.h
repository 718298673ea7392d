/* Virtqueues, device side: split and packed rings with indirect descriptors and event suppression.
 * virtio 1.2, "Split Virtqueues" and "Packed Virtqueues".
 *
 * A ring is told where it lives by neep_vring_start(), gives out the driver's buffers by neep_vring_pop(), in order,
 * and takes them back by neep_vring_push(), in any order. The driver shares this memory and may rewrite it at any
 * moment: every descriptor is copied once and checked before use.
 *
 * A ring that is stopped keeps its popped elements. Pushes while it is stopped are parked and published when it is
 * started again at the same place (a pause); after neep_vring_reset() they are dropped, so that nothing of the old
 * life is written into a new driver's memory. Belongs to one thread; knows nothing of what the buffers mean. */
#ifndef NEEP_VIRTIO_VRING_H
#define NEEP_VIRTIO_VRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/error.h"
#include "virtio/memory.h"

struct neep_vring;
struct neep_inflight_queue;

/* Longest chain, direct or indirect, in descriptors. Linux describes vmalloc'ed payloads page by page: 8 MiB of
 * commands are 2048 entries; this leaves room and bounds the work of one pop. */
#define NEEP_VRING_CHAIN_MAX 8192
#define NEEP_VRING_SIZE_MAX  32768

/* One buffer of the driver. Adjacent descriptors that are adjacent in host memory are merged. The iovecs are valid
 * until the element is pushed or discarded, or its memory region is removed. */
struct neep_vring_element {
	struct iovec *readable; // device-readable part, in order
	struct iovec *writable; // device-writable part, in order
	uint32_t readable_count;
	uint32_t writable_count;
	uint64_t readable_size; // bytes
	uint64_t writable_size; // bytes
};

/* Addresses are host pointers already: the transport translates them with neep_memory_translate_user(), and they must
 * cover the whole structure of their ring. */
struct neep_vring_config {
	uint32_t size; // split: a power of two; 1..NEEP_VRING_SIZE_MAX
	bool is_packed;
	bool has_event_idx;
	bool has_indirect;
	void *desc;
	void *avail;   // packed: driver event suppression
	void *used;    // packed: device event suppression
	uint32_t base; // split: next avail index; packed: the four fields of VHOST_SET_VRING_BASE
};

/* Bytes of the three structures for a ring of `size` entries: what the transport must find mapped. */
struct neep_vring_layout {
	uint64_t desc_len;
	uint64_t avail_len;
	uint64_t used_len;
};
struct neep_vring_layout neep_vring_layout(uint32_t size, bool is_packed);

/* `memory` is borrowed and must outlive the ring. NULL for want of memory. */
struct neep_vring *neep_vring_create(struct neep_memory *memory);

/* Frees the ring and every element that is still out. NULL is fine. */
void neep_vring_destroy(struct neep_vring *ring);

/* Starts (or, after neep_vring_stop(), continues) the ring. Publishes parked pushes. Returns 0 or -EINVAL with `error`
 * set (size, alignment of the three addresses: 16/2/4 split, 16/4/4 packed). */
int neep_vring_start(
	struct neep_vring *ring, const struct neep_vring_config *config, struct neep_error *error);

/* Stops: the ring's memory is not touched afterwards. Returns the base to report. */
uint32_t neep_vring_stop(struct neep_vring *ring);

/* Forgets parked pushes and makes later pushes of elements that are still out do nothing but free them. */
void neep_vring_reset(struct neep_vring *ring);

bool neep_vring_is_running(const struct neep_vring *ring);

/* Whether the driver broke the ring's rules: pops find nothing until the next start. */
bool neep_vring_is_broken(const struct neep_vring *ring);

/* The next buffer in *element, owned by the caller until it is pushed or discarded.
 * Returns 1, or 0 when there is none, or -EPROTO when the ring is broken (told once; then 0).
 * A buffer whose descriptors are malformed beyond use (outside guest memory, readable after writable, zero-length
 * or looping chains, bad indirect tables) breaks the ring only when its head or length cannot be known; otherwise it
 * is returned to the driver with used length 0 and the next one is looked at. A flood of those ends the call with 0 so
 * that others get a turn; neep_vring_has_work() and neep_vring_enable_kick() tell that more is waiting. */
int neep_vring_pop(struct neep_vring *ring, struct neep_vring_element **element);

/* Gives the buffer back with `reply` copied to the start of its writable part; returns the bytes that fit, which is the
 * used length. Frees the element. Allowed at any time, see the top of this file. */
uint32_t neep_vring_push(
	struct neep_vring *ring, struct neep_vring_element *element, const void *reply, size_t reply_len);

/* Frees the element without telling the driver. */
void neep_vring_discard(struct neep_vring *ring, struct neep_vring_element *element);

/* Interrupts the driver if it wants to hear about what was pushed since the last call: once after each batch. */
void neep_vring_notify(struct neep_vring *ring);

/* The eventfd that interrupts the driver; -1 for none. Consumes owned_fd; closes the one before. A new fd is signalled
 * once, since an interrupt may have gone to the old one; spurious interrupts are allowed. */
void neep_vring_set_call_fd(struct neep_vring *ring, int owned_fd);

/* Asks the driver (not) to kick. neep_vring_enable_kick() looks once more afterwards and returns true when buffers are
 * there already: then pop instead of sleeping. */
bool neep_vring_enable_kick(struct neep_vring *ring);
void neep_vring_disable_kick(struct neep_vring *ring);

/* Whether a buffer is waiting; one load, for pollers. */
bool neep_vring_has_work(const struct neep_vring *ring);

/* Records popped and pushed buffers in shared memory so that a restarted device finds them, see virtio/inflight.h.
 * Borrowed; NULL ends it. Set while the ring is stopped. */
void neep_vring_set_inflight(struct neep_vring *ring, struct neep_inflight_queue *inflight);

#endif
