#include "util/macros.h"
#include "wayland/client.h"

/* Interfaces whose messages are looked at. All others are forwarded as they are. */
static const struct neep_wl_handlers *const all[] = {
	&neep_wl_display_handlers,
	&neep_wl_registry_handlers,
	&neep_wl_shm_handlers,
	&neep_wl_shm_pool_handlers,
	&neep_wl_buffer_handlers,
	&neep_wl_surface_handlers,
	&neep_wl_viewporter_handlers,
	&neep_wl_subcompositor_handlers,
	&neep_wl_subsurface_handlers,
	&neep_wl_keyboard_handlers,
	&neep_wl_dmabuf_handlers,
	&neep_wl_dmabuf_feedback_handlers,
	&neep_wl_params_handlers,
	&neep_wl_callback_handlers,
	&neep_wl_toplevel_handlers,
	&neep_wl_sync_handlers,
	&neep_wl_timeline_handlers,
	&neep_wl_sync_surface_handlers,
};

const struct neep_wl_handlers *neep_wl_handlers_find(const struct wl_interface *interface) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		if (all[i]->interface == interface) {
			return all[i];
		}
	}
	return NULL;
}
