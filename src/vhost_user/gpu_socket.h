/* The vhost-user-gpu display socket, back-end side (QEMU's docs/interop/vhost-user-gpu).
 *
 * The front-end serves this socket with blocking reads on its main loop, so a message is always written whole, but never
 * with a blocking write: what does not fit waits here for the socket. Replies carry no id: one query is outstanding at a
 * time. Belongs to the loop's thread.
 * What crashes stock QEMU is never sent: an update before a scanout, a scanout of height 0, a close of our end first.
 * A front-end that does not read costs bounded memory: of sizes, cursors and positions that wait only the last one is
 * kept, per scanout. */
#ifndef NEEP_VHOST_USER_GPU_SOCKET_H
#define NEEP_VHOST_USER_GPU_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/list.h"
#include "util/loop.h"

struct neep_gpu_socket;

struct neep_gpu_socket_owner;

/* What the socket tells its owner, from the loop and never from inside a call into it, except where said. */
struct neep_gpu_socket_impl {
	/* The feature handshake is done: scanouts and queries are served from now on. */
	void (*ready)(struct neep_gpu_socket_owner *owner);
	/* The update given last is written, or given up: its pixels are no longer read, and the next one can be given. Once
	 * for each. */
	void (*update_done)(struct neep_gpu_socket_owner *owner);
	/* The front-end closed its end. Pending queries have failed. The fd stays open until destroy, which may be
	 * called from here. */
	void (*closed)(struct neep_gpu_socket_owner *owner);
};

/* Embedded in the owner. */
struct neep_gpu_socket_owner {
	const struct neep_gpu_socket_impl *impl;
};

/* Starts the handshake and returns; never waits. Consumes owned_fd; `loop` and `owner` are borrowed. NULL for want of
 * memory. */
struct neep_gpu_socket *neep_gpu_socket_create(
	struct neep_loop *loop, int owned_fd, struct neep_gpu_socket_owner *owner);

/* Closes our end, which the front-end must have closed before (or be about to end). Pending queries fail. NULL is
 * fine. */
void neep_gpu_socket_destroy(struct neep_gpu_socket *socket);

bool neep_gpu_socket_is_ready(const struct neep_gpu_socket *socket);

/* A query whose reply comes later; embedded in its owner and alive until done or cancelled. */
struct neep_gpu_query {
	struct neep_list link; // neep_gpu_socket.queries
	bool is_edid;
	uint32_t
		scanout_id; // edid only: one that the last display info showed enabled, others are never answered
	/* `reply` is the virtio-gpu response (header included) or NULL on failure or after a second without answer. */
	void (*done)(struct neep_gpu_query *query, const void *reply, size_t len);
};
void neep_gpu_socket_query(struct neep_gpu_socket *socket, struct neep_gpu_query *query);
void neep_gpu_query_cancel(struct neep_gpu_query *query);

/* Sizes the front-end's surface; width or height 0 turns the output off. Nothing happens for a scanout id or a size that
 * no front-end has (16 outputs, 16384 pixels). */
void neep_gpu_socket_scanout(
	struct neep_gpu_socket *socket, uint32_t scanout_id, uint32_t width, uint32_t height);

/* Whether an update can be given now (none is being written). */
bool neep_gpu_socket_can_update(const struct neep_gpu_socket *socket);

/* One rectangle of x8r8g8b8 pixels, in scanout coordinates. */
struct neep_gpu_update {
	uint32_t scanout_id;
	uint32_t x, y, width, height; // pixels
	const uint8_t *pixels;        // of the top left pixel; read until update_done
	size_t stride;                // bytes between rows
	/* The pixels lie in anonymous private pages, in which there is nothing else and which no other thread touches: large
	 * updates go without a copy then. */
	bool has_own_pages;
};
/* Only while neep_gpu_socket_can_update(). Writes what fits at once, the rest when the socket drains. An update of a
 * scanout that is off is given up. */
void neep_gpu_socket_update(struct neep_gpu_socket *socket, const struct neep_gpu_update *update);

/* The pixels of the update being written are about to change: takes a private copy of what is not written yet, and gives
 * the pixels new pages where the socket refers to the old ones, so that they are no longer read when this returns.
 * update_done still comes when all is written, which bounds the copies to one.
 * Nothing happens when no update is being written. */
void neep_gpu_socket_settle(struct neep_gpu_socket *socket);

struct neep_gpu_cursor {
	uint32_t scanout_id;
	uint32_t x, y;         // two's complement where negative
	uint32_t hot_x, hot_y; // 0..63
};
/* `argb` is 64 x 64 a8r8g8b8, copied. */
void neep_gpu_socket_cursor_update(
	struct neep_gpu_socket *socket, const struct neep_gpu_cursor *cursor, const uint32_t *argb);
void neep_gpu_socket_cursor_move(
	struct neep_gpu_socket *socket, const struct neep_gpu_cursor *cursor, bool is_visible);

#endif
