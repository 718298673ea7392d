#include "wayland/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "util/fd.h"
#include "wayland/queue.h"

/* What is read before somebody else has a turn. */
#define TURN_BYTES ((size_t)64 << 10)
#define TURN_FDS   128
/* A turn's bytes behind the start of a message; what came before the reading was turned off. */
#define IN_MAX ((size_t)256 << 10)
/* As many bytes make a batch of their own. */
#define BATCH_LEN ((size_t)64 << 10)
/* Above these the way from the compositor is closed; what it is bringing already fits below the hard limit. */
#define FULL_LEN ((size_t)256 << 10)
#define FULL_FDS 128
#define OUT_MAX  ((size_t)1 << 20)

struct neep_wl_conn {
	struct neep_loop *loop;
	int fd;
	struct neep_source source;
	struct neep_task flush_task;
	struct neep_wl_queue in;
	struct neep_wl_queue out;
	bool is_receiving;
	bool is_watching_end; // while not receiving, too
	bool is_blocked;      // the socket takes nothing more
	bool was_full;        // the listener may have seen it, and waits for drained()
	bool has_ended;
	const struct neep_wl_conn_listener *listener;
	void *listener_data;
};

/* Without anything to wait for the source is taken out: an end that nobody may handle yet would wake the loop for ever. */
static void watch(struct neep_wl_conn *conn) {
	uint32_t events = (conn->is_receiving ? EPOLLIN : 0) | (conn->is_blocked ? EPOLLOUT : 0) |
			  (conn->is_watching_end ? EPOLLRDHUP : 0);
	if (conn->has_ended) {
		events = 0;
	}
	if (events == 0) {
		neep_source_remove(&conn->source);
	} else if (conn->source.loop != NULL) {
		neep_source_set_events(&conn->source, events);
	} else {
		neep_source_add(conn->loop, &conn->source, events);
	}
}

static void end(struct neep_wl_conn *conn, int result) {
	bool is_peers_end = result == -EPIPE || result == -ECONNRESET;
	if (!conn->has_ended) {
		conn->has_ended = true;
		watch(conn);
		conn->listener->closed(conn->listener_data, is_peers_end ? 0 : result);
	}
}

/* ---- out ---- */

/* Returns 0 (all sent, or blocked) or a negative errno. */
static int send_queued(struct neep_wl_conn *conn) {
	struct neep_wl_batch batch;
	while (!conn->is_blocked && neep_wl_queue_front(&conn->out, &batch)) {
		int fds[NEEP_WL_FDS_MAX];
		for (size_t i = 0; i < batch.count; i++) {
			fds[i] = batch.attachments[i].owned_fd;
		}
		int64_t sent = neep_wl_send_some(conn->fd, batch.data, batch.len, fds, batch.count);
		if (sent >= 0) {
			neep_wl_queue_pop(&conn->out, (size_t)sent, batch.count);
			neep_wl_close_fds(fds, batch.count);
		} else if (sent == -EAGAIN) {
			conn->is_blocked = true;
		} else {
			return (int)sent;
		}
	}
	return 0;
}

static void flush(struct neep_wl_conn *conn) {
	int result = send_queued(conn);
	if (result < 0) {
		end(conn, result);
		return;
	}
	watch(conn);
	if (conn->was_full && !neep_wl_conn_is_full(conn)) {
		conn->was_full = false;
		conn->listener->drained(conn->listener_data);
	}
}

static void flush_run(struct neep_task *task) {
	flush(neep_container_of(task, struct neep_wl_conn, flush_task));
}

int neep_wl_conn_send(
	struct neep_wl_conn *conn, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count) {
	if (conn->has_ended) {
		neep_wl_close_fds(owned_fds, fd_count);
		return 0;
	}
	int result = neep_wl_queue_push_fds(&conn->out, bytes, len, owned_fds, fd_count);
	conn->was_full |= neep_wl_conn_is_full(conn);
	if (conn->out.len >= BATCH_LEN) {
		/* A failure comes again in the task, where the listener may hear of it. */
		send_queued(conn);
	}
	neep_task_queue(conn->loop, &conn->flush_task);
	return result;
}

bool neep_wl_conn_is_full(const struct neep_wl_conn *conn) {
	return conn->out.len >= FULL_LEN || conn->out.attachment_count >= FULL_FDS;
}

/* ---- in ---- */

/* Returns what neep_recv() does, or -ENOBUFS. */
static int64_t receive_some(struct neep_wl_conn *conn) {
	uint8_t buf[16384];
	struct neep_fds fds = { .count = 0 };
	int64_t got = neep_recv(conn->fd, buf, sizeof(buf), &fds);
	if (got <= 0) {
		neep_fds_finish(&fds);
		return got;
	}
	int result = neep_wl_queue_push_fds(&conn->in, buf, (size_t)got, fds.fd, fds.count);
	return result < 0 ? result : got;
}

static void receive(struct neep_wl_conn *conn) {
	int64_t got = 1;
	size_t total = 0, fds_before = conn->in.attachment_count;
	while (got > 0 && total < TURN_BYTES && conn->in.attachment_count - fds_before < TURN_FDS) {
		got = receive_some(conn);
		total += got > 0 ? (size_t)got : 0;
	}
	if (total > 0) {
		conn->listener->readable(conn->listener_data);
	}
	/* The end stays there to be seen when the reading was turned off meanwhile. */
	if (got == 0 && conn->is_receiving) {
		end(conn, 0);
	} else if (got < 0 && got != -EAGAIN) {
		end(conn, (int)got);
	}
}

/* Reading comes first: what a client said before it left is still to be heard. */
static void ready(struct neep_source *source, uint32_t events) {
	struct neep_wl_conn *conn = neep_container_of(source, struct neep_wl_conn, source);
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && conn->is_receiving) {
		receive(conn);
	} else if ((events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0 && conn->is_watching_end) {
		end(conn, 0);
	}
	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && conn->is_blocked && !conn->has_ended) {
		conn->is_blocked = false;
		flush(conn);
	}
}

uint8_t *neep_wl_conn_peek(struct neep_wl_conn *conn, size_t *len, size_t *fd_count) {
	*len = conn->in.len;
	*fd_count = conn->in.attachment_count;
	return neep_wl_queue_data(&conn->in);
}

void neep_wl_conn_consume(struct neep_wl_conn *conn, size_t len, int *owned_fds, size_t fd_count) {
	neep_wl_queue_take_fds(&conn->in, owned_fds, fd_count);
	neep_wl_queue_pop(&conn->in, len, 0);
}

void neep_wl_conn_set_receiving(struct neep_wl_conn *conn, bool is_receiving) {
	conn->is_receiving = is_receiving;
	watch(conn);
}

void neep_wl_conn_set_watching_end(struct neep_wl_conn *conn, bool is_watching_end) {
	conn->is_watching_end = is_watching_end;
	watch(conn);
}

/* ---- life ---- */

struct neep_wl_conn *neep_wl_conn_create(struct neep_loop *loop, int owned_fd,
	const struct neep_wl_conn_listener *listener, void *listener_data) {
	neep_autoclose int fd = owned_fd;
	struct neep_wl_conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		return NULL;
	}
	*conn = (struct neep_wl_conn){
		.loop = loop,
		.fd = fd,
		.source = { .fd = fd, .ready = ready },
		.flush_task = { .run = flush_run },
		.in = { .max_len = IN_MAX },
		.out = { .max_len = OUT_MAX },
		.is_receiving = true,
		.listener = listener,
		.listener_data = listener_data,
	};
	if (neep_fd_set_nonblocking(fd) < 0 || neep_source_add(loop, &conn->source, EPOLLIN) < 0) {
		free(conn);
		return NULL;
	}
	neep_steal_fd(&fd);
	return conn;
}

void neep_wl_conn_destroy(struct neep_wl_conn *conn) {
	if (conn == NULL) {
		return;
	}
	send_queued(conn);
	neep_task_cancel(&conn->flush_task);
	neep_source_remove(&conn->source);
	neep_wl_queue_finish(&conn->in);
	neep_wl_queue_finish(&conn->out);
	neep_close_fd(&conn->fd);
	free(conn);
}
