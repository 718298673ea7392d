/* Bytes on their way with what goes with them: fds, or memory of a host. Each attachment remembers the first byte of its
 * message: it may travel earlier than that byte, but not later. */
#ifndef NEEP_WAYLAND_QUEUE_H
#define NEEP_WAYLAND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wayland/host.h"
#include "wayland/wire.h"

/* More attachments wait in no queue; each is an open file. */
#define NEEP_WL_QUEUE_ATTACHMENTS_MAX 512

struct neep_wl_queued {
	struct neep_wl_attachment attachment;
	uint64_t at; // counted from the first byte that was ever pushed
};

/* All zeros but for max_len is an empty queue. */
struct neep_wl_queue {
	size_t max_len; // bytes that may wait
	uint8_t *data;
	size_t start;
	size_t len;
	size_t capacity;
	uint64_t popped; // bytes, so far
	struct neep_wl_queued *attachments;
	size_t attachment_count;
	size_t attachment_capacity;
};

/* Bytes that can be sent in one piece, and what must go with the first of them. Borrowed. */
struct neep_wl_batch {
	const uint8_t *data;
	size_t len;
	struct neep_wl_attachment attachments[NEEP_WL_FDS_MAX];
	size_t count;
};

/* Closes and unrefs what nobody has taken. */
void neep_wl_queue_finish(struct neep_wl_queue *queue);

/* Appends bytes and attachments: the fds are consumed in every case, memory is referenced. Returns 0, or -ENOBUFS: over a limit or
 * no memory. */
int neep_wl_queue_push(struct neep_wl_queue *queue, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count);

/* The same for plain fds. */
int neep_wl_queue_push_fds(
	struct neep_wl_queue *queue, const uint8_t *bytes, size_t len, const int *owned_fds, size_t count);

/* The next batch. False: there are no bytes. */
bool neep_wl_queue_front(const struct neep_wl_queue *queue, struct neep_wl_batch *batch);

/* Drops bytes and attachments from the front; those are the caller's then. */
void neep_wl_queue_pop(struct neep_wl_queue *queue, size_t len, size_t attachment_count);

/* Takes the first `count` attachments, which are all fds, off the front. */
void neep_wl_queue_take_fds(struct neep_wl_queue *queue, int *owned_fds, size_t count);

static inline uint8_t *neep_wl_queue_data(const struct neep_wl_queue *queue) {
	return queue->data == NULL ? NULL : queue->data + queue->start;
}

/* Sends what a stream socket takes at once, the fds with the first byte; they stay the caller's. Returns the number of bytes, at
 * least one, or a negative errno: -EAGAIN too. `fd_count` is at most NEEP_WL_FDS_MAX. */
int64_t neep_wl_send_some(int socket, const uint8_t *bytes, size_t len, const int *fds, size_t fd_count);

/* Closes fds that a caller has no use for; -1 is fine. */
void neep_wl_close_fds(const int *owned_fds, size_t count);

#endif
