/* X11 programs: xwayland-satellite as one more client of the proxy, with an X display of its own. */
#ifndef NEEP_WAYLAND_X11_H
#define NEEP_WAYLAND_X11_H

#include <sys/types.h>

#include "util/error.h"
#include "util/loop.h"

struct neep_wl_x11 {
	pid_t pid;        // 0: not running
	char display[16]; // for DISPLAY: ":N"
};

/* Starts the satellite as a client of the Wayland display called `wayland_display`, and runs the loop until its X display is there. 0,
 * or a negative errno with `error` set: it is not installed, or does not start. */
int neep_wl_x11_start(struct neep_wl_x11 *x11, struct neep_loop *loop, const char *wayland_display,
	struct neep_error *error);

/* Ends the satellite and waits for its end. Not running is fine. */
void neep_wl_x11_stop(struct neep_wl_x11 *x11);

#endif
