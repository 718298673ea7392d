/* Bytes on their way to the host: gathered into one SEND until it is full or the owner flushes it.
 *
 * What goes with them is held until it is submitted. A handle may be closed afterwards, since the device sees commands in
 * their order, but not before. */
#ifndef NEEP_WAYLAND_OUTGOING_H
#define NEEP_WAYLAND_OUTGOING_H

#include "wayland/channel.h"
#include "wayland/host.h"
#include "wayland/pump.h"
#include "wayland/virtgpu.h"

/* What goes with bytes. */
struct neep_wl_outgoing_item {
	struct neep_wl_channel_id id;
	struct neep_wl_bo import;      // a hold, or nothing
	struct neep_wl_memory *memory; // a reference, or NULL
	int fd;                        // a pipe that has no id yet, or -1
};

struct neep_wl_outgoing {
	/* There is room again. From the loop. */
	void (*drained)(struct neep_wl_outgoing *outgoing);
	struct neep_loop *loop;
	struct neep_wl_virtgpu *gpu;
	struct neep_wl_pumps *pumps;
	uint8_t command[NEEP_WL_CHANNEL_SEND_HEAD + NEEP_WL_CHANNEL_SEND_MAX];
	size_t len; // bytes of the stream
	size_t count;
	struct neep_wl_outgoing_item items[NEEP_WL_CHANNEL_IDS_MAX];
	size_t unfenced; // bytes that were submitted since the last fence
	int fence_fd;    // -1: there is room
	struct neep_source fence_source;
};

/* Embedded; all of them outlive it. The owner sets drained. */
void neep_wl_outgoing_init(struct neep_wl_outgoing *outgoing, struct neep_loop *loop,
	struct neep_wl_virtgpu *gpu, struct neep_wl_pumps *pumps);
/* Drops what was not flushed. */
void neep_wl_outgoing_finish(struct neep_wl_outgoing *outgoing);

/* Whether the host has more than the compositor takes: then nothing is to be added. */
static inline bool neep_wl_outgoing_is_full(const struct neep_wl_outgoing *outgoing) {
	return outgoing->fence_fd >= 0;
}

/* As neep_wl_host_send(), and never -EAGAIN. After another error than -ENOTSUP the stream is broken. */
int neep_wl_outgoing_add(struct neep_wl_outgoing *outgoing, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count);

/* Submits what there is. Returns 0 or a negative errno: the stream is broken. */
int neep_wl_outgoing_flush(struct neep_wl_outgoing *outgoing);

#endif
