/* Globals beside those of struct wlb_client. */
#ifndef NEEP_TESTS_WAYLAND_GLOBALS_H
#define NEEP_TESTS_WAYLAND_GLOBALS_H

#include <stddef.h>

#include "wlb.h"

struct wanted {
	const struct wl_interface *interface;
	uint32_t version; // the newest that the caller knows
	void *proxy;      // NULL: the compositor lacks it
};

/* Binds the first one of each. */
void globals_bind(struct wlb_client *client, struct wanted *list, size_t count);

/* The same, and ends the program when one is missing. */
void globals_need(struct wlb_client *client, struct wanted *list, size_t count);

#endif
