/* The compositor's globals, as the client's registries show them. */
#ifndef NEEP_WAYLAND_REGISTRY_H
#define NEEP_WAYLAND_REGISTRY_H

#include "wayland/client.h"

/* wl_display, on both sides. */
#define NEEP_WL_DISPLAY_ID 1

/* The names are the compositor's; all registries of a connection have the same. */
struct neep_wl_global {
	struct neep_list link; // neep_wl_client.globals, the newest last
	uint32_t name;
	uint32_t version;
	const struct wl_interface *interface;
	bool is_removed; // can still be bound by a client that has not heard of it
};

/* The newest of this interface that is there, or NULL. */
const struct neep_wl_global *neep_wl_globals_find(
	const struct neep_wl_client *client, const struct wl_interface *interface);

/* Frees the client's list. */
void neep_wl_globals_finish(struct neep_wl_client *client);

#endif
