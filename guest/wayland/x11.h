/* X11 programs: an X server as one more client of the proxy, with an X display of its own. xwayland-satellite gives each X11
 * window one of the host's; without it Xwayland alone shows its screen in a single window. */
#ifndef NEEP_WAYLAND_X11_H
#define NEEP_WAYLAND_X11_H

#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/loop.h"

struct neep_wl_x11 {
	pid_t pid;              // 0: not running
	char display[16];       // for DISPLAY: ":N"; "" until it is served
	int number;             // of the display
	ino_t socket_inode;     // of its socket
	struct neep_source end; // of the server, a pidfd
};

struct neep_wl_x11_params {
	const char *wayland_display;
	uint32_t width; // of the single window, where Xwayland lets it be chosen
	uint32_t height;
};

/* Starts the server and runs the loop until it serves its display. 0, or a negative errno with `error` set: nothing is
 * installed, or it does not start. Its end later on is logged; the loop must outlive it. */
int neep_wl_x11_start(struct neep_wl_x11 *x11, struct neep_loop *loop,
	const struct neep_wl_x11_params *params, struct neep_error *error);

/* Ends the server and waits for its end. Not running is fine. */
void neep_wl_x11_stop(struct neep_wl_x11 *x11);

#endif
