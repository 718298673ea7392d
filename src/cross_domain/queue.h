/* Bytes, and fds with them, that an fd has no room for yet. */
#ifndef NEEP_CROSS_DOMAIN_QUEUE_H
#define NEEP_CROSS_DOMAIN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/fd.h"
#include "util/list.h"

/* What several queues may take together, and others with them. */
struct neep_xd_budget {
	size_t bytes;
	size_t bytes_max;
	size_t fds;
	size_t fds_max;
};

struct neep_xd_queue {
	struct neep_xd_budget *budget;
	struct neep_list chunks; // struct chunk.link, oldest first
	size_t bytes;            // what the chunks take
	size_t fds;
	size_t bytes_max;
	size_t fds_max;
	bool is_socket; // else a pipe or a file
};

/* `data` is borrowed; fds are taken in every case, and go with the first byte. fds may be NULL. */
struct neep_xd_bytes {
	const uint8_t *data;
	size_t len;
	struct neep_fds *fds;
};

/* `limits` is an empty queue with its budget, limits and kind set. */
void neep_xd_queue_init(struct neep_xd_queue *queue, const struct neep_xd_queue *limits);
/* Drops what is in it. */
void neep_xd_queue_finish(struct neep_xd_queue *queue);

static inline bool neep_xd_queue_is_empty(const struct neep_xd_queue *queue) {
	return neep_list_is_empty(&queue->chunks);
}

/* Writes to `fd`, which does not block, and queues the rest. Returns 0 or a negative errno: -ENOBUFS beyond the limits, others as
 * of write(). Then the bytes are lost. */
int neep_xd_queue_write(struct neep_xd_queue *queue, int fd, const struct neep_xd_bytes *bytes);

/* Writes what is queued, as far as there is room. Returns 0 or a negative errno of write(). */
int neep_xd_queue_flush(struct neep_xd_queue *queue, int fd);

#endif
