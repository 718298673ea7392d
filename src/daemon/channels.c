#include "daemon/channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void add(struct neep_daemon_channels *channels, uint32_t type, const char *path) {
	if (path != NULL) {
		channels->list[channels->base.num_channels++] =
			(struct rutabaga_channel){ .channel_name = path, .channel_type = type };
	}
}

static const char *variable(const char *name) {
	const char *value = getenv(name);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Stores NULL when the environment names no socket. */
static int find_wayland(struct neep_daemon_channels *channels, const char **path, struct neep_error *error) {
	const char *name = variable("WAYLAND_DISPLAY");
	const char *folder = variable("XDG_RUNTIME_DIR");
	bool is_absolute = name != NULL && name[0] == '/';
	*path = NULL;
	if (!is_absolute && folder == NULL) {
		return 0;
	}
	int len = snprintf(channels->wayland_path, sizeof(channels->wayland_path), "%s%s%s",
		is_absolute ? "" : folder, is_absolute ? "" : "/", name != NULL ? name : "wayland-0");
	if (len < 0 || (size_t)len >= sizeof(channels->wayland_path)) {
		return neep_error_set(error, ENAMETOOLONG,
			"WAYLAND_DISPLAY and XDG_RUNTIME_DIR name a socket path of %d bytes, and %d is the "
			"most; "
			"give --wayland-socket-path",
			len, NEEP_SOCKET_PATH_MAX);
	}
	*path = channels->wayland_path;
	return 0;
}

int neep_daemon_channels_init(
	struct neep_daemon_channels *channels, const struct neep_options *options, struct neep_error *error) {
	*channels = (struct neep_daemon_channels){ .base.channels = channels->list };
	const char *wayland = options->wayland_socket_path;
	bool is_wanted = (options->capset_mask >> RUTABAGA_CAPSET_CROSS_DOMAIN & 1) != 0;
	int result = wayland == NULL && is_wanted ? find_wayland(channels, &wayland, error) : 0;
	if (result < 0) {
		return result;
	}
	add(channels, RUTABAGA_CHANNEL_TYPE_WAYLAND, wayland);
	add(channels, RUTABAGA_CHANNEL_TYPE_X11, options->x11_socket_path);
	add(channels, RUTABAGA_CHANNEL_TYPE_PIPEWIRE, options->pipewire_socket_path);
	return 0;
}
