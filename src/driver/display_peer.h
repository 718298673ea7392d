/* The front-end's end of the vhost-user-gpu display socket: what QEMU's display is to a back-end.
 *
 * Runs on a thread of its own, which answers queries and draws SCANOUT, UPDATE and CURSOR messages into a shadow
 * framebuffer per output. Everything here may be called from any thread; one lock guards the counters and pixels. A message
 * that stock QEMU would not survive or would refuse is counted as an error and its payload skipped, so that tests see it. */
#ifndef NEEP_DRIVER_DISPLAY_PEER_H
#define NEEP_DRIVER_DISPLAY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define NEEP_DISPLAY_PEER_OUTPUTS 16

struct neep_display_peer;

/* What came so far, over all connections. */
struct neep_display_peer_stats {
	uint64_t scanouts;
	uint64_t updates;
	uint64_t update_pixels;
	uint64_t cursor_updates;
	uint64_t cursor_moves;
	uint64_t queries; // GET_*
	uint64_t dmabuf_messages;
	uint64_t errors; // see above
};

/* One enabled output of width x height. NULL with `error` set. */
struct neep_display_peer *neep_display_peer_create(uint32_t width, uint32_t height, struct neep_error *error);

/* Closes the socket and ends the thread. NULL is fine. */
void neep_display_peer_destroy(struct neep_display_peer *peer);

/* Closes the connection there may be and opens a new one. Returns the back-end's end, the caller's, or a negative
 * errno. Surfaces are forgotten: a back-end must send SCANOUT again. */
int neep_display_peer_connect(struct neep_display_peer *peer);

/* Closes the connection, as QEMU does when the device stops. */
void neep_display_peer_disconnect(struct neep_display_peer *peer);

/* What GET_DISPLAY_INFO and GET_EDID answer from now on for an output (below NEEP_DISPLAY_PEER_OUTPUTS); 0 x 0 disables
 * it. */
void neep_display_peer_set_mode(
	struct neep_display_peer *peer, uint32_t scanout_id, uint32_t width, uint32_t height);

/* Stops (or goes on with) reading the socket, to play a display that hangs. */
void neep_display_peer_pause(struct neep_display_peer *peer, bool pause);

struct neep_display_peer_stats neep_display_peer_stats(struct neep_display_peer *peer);

/* Sleeps until at least `updates` UPDATE messages came in all. Returns 0, -ETIMEDOUT, or -EPIPE when the connection ended
 * before. */
int neep_display_peer_wait_updates(struct neep_display_peer *peer, uint64_t updates, int64_t timeout_ns);

/* The size of an output's surface; 0 x 0 when it is off. */
void neep_display_peer_surface_size(
	struct neep_display_peer *peer, uint32_t scanout_id, uint32_t *width, uint32_t *height);

/* The x8r8g8b8 pixel at x, y; 0 outside the surface. */
uint32_t neep_display_peer_pixel(struct neep_display_peer *peer, uint32_t scanout_id, uint32_t x, uint32_t y);

/* Copies the surface, width * height pixels without padding, to `out`, which holds `len` bytes. Returns the bytes, or
 * -ENOENT for an output that is off, or -ENOSPC. */
int64_t neep_display_peer_read(struct neep_display_peer *peer, uint32_t scanout_id, void *out, size_t len);

struct neep_display_peer_cursor {
	uint32_t scanout_id;
	uint32_t x, y;
	uint32_t hot_x, hot_y;
	bool is_visible;
	uint32_t argb[64 * 64];
};
void neep_display_peer_get_cursor(struct neep_display_peer *peer, struct neep_display_peer_cursor *cursor);

#endif
