/* Pipes and event fds: one way for bytes beside the channel, and how they end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"

struct neep_xd_pipe *neep_xd_pipe_create(
	struct neep_xd_context *context, enum neep_xd_item_kind kind, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	struct neep_xd *xd = context->xd;
	struct neep_xd_pipe *pipe = neep_xd_take_fds(xd, 1) ? malloc(sizeof(*pipe)) : NULL;
	if (pipe == NULL) {
		return NULL;
	}
	*pipe = (struct neep_xd_pipe){
		.item.kind = kind,
		.xd = xd,
		.context = context,
		.fd = neep_steal_fd(&fd),
	};
	neep_xd_queue_init(&pipe->out,
		&(struct neep_xd_queue){ .budget = &xd->budget, .bytes_max = NEEP_XD_WRITE_BYTES_MAX });
	neep_list_init(&pipe->flowing);
	context->held_items++;
	return pipe;
}

static void let_flow(struct neep_xd_pipe *pipe) {
	neep_list_for_each_safe (fence, &pipe->flowing, struct neep_fence, component_link) {
		neep_fence_signal(fence);
	}
}

/* Others may hold the file open, so closing alone would leave it in the set. */
static void unwatch(struct neep_xd_pipe *pipe) {
	if (!pipe->is_watched) {
		return;
	}
	pipe->is_watched = false;
	if (pipe->item.kind == NEEP_XD_WRITE_PIPE) {
		neep_xd_unwatch_room(pipe->xd, pipe->fd);
	} else {
		neep_xd_context_unwatch(pipe->context, pipe->fd);
	}
}

/* From here on nobody is at the other end. */
static void drop_end(struct neep_xd_pipe *pipe) {
	unwatch(pipe);
	neep_close_fd(&pipe->fd);
	neep_xd_queue_finish(&pipe->out);
	let_flow(pipe);
}

static void pipe_free(struct neep_xd_pipe *pipe) {
	drop_end(pipe);
	neep_xd_put_fds(pipe->xd, 1);
	free(pipe);
}

/* Lingering */

static struct neep_xd_pipe *lingering_from_link(struct neep_idmap_link *link) {
	return neep_container_of(link, struct neep_xd_pipe, item.link);
}

static void end_lingering(struct neep_xd_pipe *pipe) {
	neep_idmap_remove(&pipe->xd->lingering, &pipe->item.link);
	pipe_free(pipe);
}

void neep_xd_lingering_finish(struct neep_xd *xd) {
	struct neep_idmap_link *link = neep_idmap_take_all(&xd->lingering);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		pipe_free(lingering_from_link(link));
		link = next;
	}
}

/* Returns false when the pipe cannot. It has handed over all that it ever will, and waits for nothing but room. */
static bool linger(struct neep_xd_pipe *pipe) {
	struct neep_xd *xd = pipe->xd;
	unwatch(pipe);
	if (xd->lingering.count >= NEEP_XD_LINGERING_MAX) {
		return false;
	}
	do {
		xd->last_lingering++;
	} while (xd->last_lingering == NEEP_XD_TOKEN_RETRY ||
		 !neep_idmap_insert(&xd->lingering, xd->last_lingering, &pipe->item.link));
	if (neep_xd_watch_room(xd, 0, xd->last_lingering, pipe->fd) < 0) {
		neep_idmap_remove(&xd->lingering, &pipe->item.link);
		return false;
	}
	pipe->is_watched = true;
	pipe->context = NULL;
	let_flow(pipe);
	return true;
}

void neep_xd_pipe_destroy(struct neep_xd_pipe *pipe) {
	pipe->context->held_items--;
	if (neep_xd_queue_is_empty(&pipe->out) || !linger(pipe)) {
		pipe_free(pipe);
	}
}

/* Writing */

/* Sees to what a write left behind. */
static int after_write(struct neep_xd_pipe *pipe, int rc) {
	bool has_more = rc == 0 && !neep_xd_queue_is_empty(&pipe->out);
	if (has_more && !pipe->is_watched) {
		uint32_t ctx_id = pipe->context != NULL ? pipe->context->ctx_id : 0;
		rc = neep_xd_watch_room(pipe->xd, ctx_id, (uint32_t)pipe->item.link.id, pipe->fd);
		pipe->is_watched = rc == 0;
	}
	if (rc < 0) {
		drop_end(pipe);
	} else if (!has_more) {
		unwatch(pipe);
	}
	if (pipe->out.bytes < NEEP_XD_WRITE_LOW) {
		let_flow(pipe);
	}
	return rc;
}

void neep_xd_pipe_flush(struct neep_xd_pipe *pipe) {
	(void)after_write(pipe, neep_xd_queue_flush(&pipe->out, pipe->fd));
	if (pipe->context == NULL && neep_xd_queue_is_empty(&pipe->out)) {
		end_lingering(pipe);
	}
}

void neep_xd_pipe_flow(struct neep_xd_context *context, struct neep_fence *fence) {
	struct neep_xd_item *item = neep_xd_item_of(context, context->last_written, NEEP_XD_WRITE_PIPE);
	struct neep_xd_pipe *pipe = item != NULL ? neep_container_of(item, struct neep_xd_pipe, item) : NULL;
	if (pipe == NULL || pipe->out.bytes < NEEP_XD_WRITE_LOW) {
		neep_fence_signal(fence);
		return;
	}
	neep_list_append(&pipe->flowing, &fence->component_link);
}

/* Nobody has to hear that a reader is gone: what is written is lost, as the reader wants it. */
static void write_pipe(struct neep_xd_pipe *pipe, const struct neep_xd_bytes *bytes) {
	if (pipe->fd < 0) {
		return;
	}
	int rc = after_write(pipe, neep_xd_queue_write(&pipe->out, pipe->fd, bytes));
	if (rc < 0 && rc != -EPIPE) {
		neep_xd_complain(pipe->context,
			"a pipe of the host was given up, what it was sent is lost: %s", strerror(-rc));
	}
}

/* A counter that is full stays so. */
static int write_event(struct neep_xd_pipe *pipe, const struct neep_xd_bytes *bytes) {
	if (bytes->len != sizeof(uint64_t)) {
		return bytes->len == 0 ? 0 : -EINVAL;
	}
	ssize_t done = pipe->fd >= 0 ? write(pipe->fd, bytes->data, bytes->len) : 0;
	return done < 0 && errno == EINVAL ? -EINVAL : 0;
}

int neep_xd_write(struct neep_xd_context *context, struct neep_reader *in) {
	uint32_t id = neep_reader_u32(in);
	bool hangs_up = neep_reader_u32(in) != 0;
	struct neep_xd_bytes bytes = { .len = neep_reader_u32(in) };
	(void)neep_reader_u32(in);
	bytes.data = neep_reader_take(in, bytes.len);
	struct neep_xd_item *item = neep_xd_item_find(context, id);
	bool is_event = item != NULL && item->kind == NEEP_XD_EVENT;
	if (!neep_reader_ok(in) || item == NULL || (!is_event && item->kind != NEEP_XD_WRITE_PIPE)) {
		return -EINVAL;
	}
	struct neep_xd_pipe *pipe = neep_container_of(item, struct neep_xd_pipe, item);
	int rc = 0;
	if (is_event) {
		rc = write_event(pipe, &bytes);
	} else {
		write_pipe(pipe, &bytes);
	}
	context->last_written = id;
	if (rc == 0 && hangs_up) {
		neep_xd_item_destroy(context, item);
	}
	return rc;
}

/* Reading */

int neep_xd_read_event(struct neep_xd_context *context, struct neep_reader *in) {
	struct neep_xd_item *item = neep_xd_item_of(context, neep_reader_u32(in), NEEP_XD_EVENT);
	if (!neep_reader_ok(in) || item == NULL) {
		return -EINVAL;
	}
	struct neep_xd_pipe *pipe = neep_container_of(item, struct neep_xd_pipe, item);
	if (pipe->is_watched) {
		return -EEXIST;
	}
	int rc = pipe->fd >= 0 ? neep_xd_context_watch(context, (uint32_t)item->link.id, pipe->fd) : -EINVAL;
	pipe->is_watched = rc == 0;
	return rc;
}

/* Bytes read, 0 at the end, or a negative errno that says to try again. */
static int64_t read_some(const struct neep_xd_pipe *pipe, uint8_t *data) {
	size_t max = pipe->item.kind == NEEP_XD_EVENT ? sizeof(uint64_t)
						      : pipe->context->message_max - NEEP_XD_WRITE_SIZE;
	ssize_t got = read(pipe->fd, data, max);
	if (got < 0) {
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : 0;
	}
	return got;
}

bool neep_xd_pipe_read(struct neep_xd_pipe *pipe) {
	struct neep_xd_context *context = pipe->context;
	uint8_t *page = context->xd->page;
	int64_t got = read_some(pipe, page + NEEP_XD_WRITE_SIZE);
	if (got < 0) {
		return false;
	}
	memset(page, 0, NEEP_XD_WRITE_SIZE);
	neep_xd_put_u32(page, 0, NEEP_XD_READ);
	neep_xd_put_u32(page, NEEP_XD_READ_ID, (uint32_t)pipe->item.link.id);
	neep_xd_put_u32(page, NEEP_XD_READ_HANG_UP, got == 0);
	neep_xd_put_u32(page, NEEP_XD_READ_LEN, (uint32_t)got);
	if (neep_xd_ring_write(context->channel_ring, page, NEEP_XD_WRITE_SIZE + (size_t)got) < 0) {
		neep_xd_context_kill(context);
		return false;
	}
	if (got == 0) {
		neep_xd_item_destroy(context, &pipe->item);
	}
	return true;
}
