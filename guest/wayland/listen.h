/* The socket that clients connect to. */
#ifndef NEEP_WAYLAND_LISTEN_H
#define NEEP_WAYLAND_LISTEN_H

#include <limits.h>
#include <stdbool.h>

#include "util/error.h"

struct neep_wl_listen {
	int fd;
	int lock_fd;            // held as long as the socket is there; -1: systemd made the socket
	char path[PATH_MAX];    // to be unlinked; empty: not ours
	char folder[PATH_MAX];  // made for the socket, to be removed; empty: none
	char display[PATH_MAX]; // for WAYLAND_DISPLAY
};

/* Takes the socket that systemd passes (LISTEN_FDS, with the name "wayland" when there are several), or makes one by libwayland's
 * rules: `socket` is a path, a name in XDG_RUNTIME_DIR, or NULL for the first free wayland-N, in a private folder when there is no
 * XDG_RUNTIME_DIR. Returns 0, or a negative errno with `error` set. */
int neep_wl_listen_start(struct neep_wl_listen *listen, const char *socket, struct neep_error *error);

/* Closes the socket and removes its files. */
void neep_wl_listen_finish(struct neep_wl_listen *listen);

#endif
