/* The sockets of the host that cross-domain may connect guests to. */
#ifndef NEEP_DAEMON_CHANNELS_H
#define NEEP_DAEMON_CHANNELS_H

#include <rutabaga_gfx/rutabaga_gfx_ffi.h>

#include "daemon/listener.h"
#include "daemon/options.h"
#include "util/error.h"

/* Not to be moved: points into itself, and to the options. */
struct neep_daemon_channels {
	struct rutabaga_channels base;
	struct rutabaga_channel list[3];
	char wayland_path[NEEP_SOCKET_PATH_MAX + 1];
};

/* Fills in those that the options name. Without an option for it the Wayland socket is that of libwayland's clients:
 * WAYLAND_DISPLAY, or wayland-0, in XDG_RUNTIME_DIR unless it is an absolute path; none without XDG_RUNTIME_DIR. Returns 0 or
 * a negative errno with `error` set: the environment names a path that no socket can have. */
int neep_daemon_channels_init(
	struct neep_daemon_channels *channels, const struct neep_options *options, struct neep_error *error);

#endif
