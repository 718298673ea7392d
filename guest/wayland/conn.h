/* A client's end of the proxy: a unix socket with bytes and fds both ways, buffered.
 *
 * Bytes that the client does not take pile up to a limit; above it the way from the compositor is closed until there is
 * room (is_full). */
#ifndef NEEP_WAYLAND_CONN_H
#define NEEP_WAYLAND_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"

struct neep_wl_conn;

struct neep_wl_conn_listener {
	/* Bytes or fds have come: look with peek. */
	void (*readable)(void *data);
	/* No longer full. */
	void (*drained)(void *data);
	/* The client has gone (0) or the socket failed (negative errno). */
	void (*closed)(void *data, int result);
};

/* Takes over `owned_fd`. NULL: no memory, or the fd cannot be watched. */
struct neep_wl_conn *neep_wl_conn_create(struct neep_loop *loop, int owned_fd,
	const struct neep_wl_conn_listener *listener, void *listener_data);
void neep_wl_conn_destroy(
	struct neep_wl_conn *conn); // NULL is fine; what was queued and can be sent at once is

/* The bytes that have come, in one piece, and how many fds. Valid until consume. */
uint8_t *neep_wl_conn_peek(struct neep_wl_conn *conn, size_t *len, size_t *fd_count);
/* Takes `len` bytes and `fd_count` fds, which the caller owns then. */
void neep_wl_conn_consume(struct neep_wl_conn *conn, size_t len, int *owned_fds, size_t fd_count);

/* Whether more is read: off while requests wait for the compositor. On at first. */
void neep_wl_conn_set_receiving(struct neep_wl_conn *conn, bool is_receiving);

/* Whether closed() comes at the client's end even while nothing is read, and what it said last is dropped: what it waits for is
 * something that only it may bring. Off at first. */
void neep_wl_conn_set_watching_end(struct neep_wl_conn *conn, bool is_watching_end);

/* Queues bytes and fds for the client; sent at the end of the loop's turn, or when a batch is full. The fds are consumed.
 * Returns 0 or -ENOBUFS: beyond the hard limit, the client must be ended. */
int neep_wl_conn_send(
	struct neep_wl_conn *conn, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count);
bool neep_wl_conn_is_full(const struct neep_wl_conn *conn);

#endif
