/* What comes from the compositor beside bytes. */
#ifndef NEEP_WAYLAND_INCOMING_H
#define NEEP_WAYLAND_INCOMING_H

#include "wayland/channel.h"
#include "wayland/pump.h"
#include "wayland/virtgpu.h"

/* What the client gets for an id of a RECEIVE: memory that can be mapped, or its end of a pipe. Returns the fd, the caller's, or a
 * negative errno. */
int neep_wl_incoming_fd(
	struct neep_wl_virtgpu *gpu, struct neep_wl_pumps *pumps, const struct neep_wl_channel_id *id);

#endif
