/* wl_subsurface: whose state a surface is shown with. */
#include <errno.h>

#include "util/macros.h"
#include "wayland/surface.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

/* Compositors have no deeper trees. What is below is taken for one that is shown alone; so are rings, which compositors refuse. */
#define DEPTH_MAX 64

/* What the surface is a child by, or NULL. Ids are used again: it must say so, too. */
static const struct neep_wl_object *subsurface_of(
	const struct neep_wl_client *client, const struct neep_wl_object *object) {
	const struct neep_wl_surface *surface = object->data;
	const struct neep_wl_object *subsurface =
		surface != NULL && surface->subsurface_id != 0
			? neep_wl_objects_by_client(&client->objects, surface->subsurface_id)
			: NULL;
	bool is_its = subsurface != NULL && subsurface->handlers == &neep_wl_subsurface_handlers &&
		      !subsurface->is_dead && subsurface->surfaces[0] == object->client_id;
	return is_its ? subsurface : NULL;
}

static struct neep_wl_object *parent_of(
	const struct neep_wl_client *client, const struct neep_wl_object *object) {
	const struct neep_wl_object *subsurface = subsurface_of(client, object);
	struct neep_wl_object *parent =
		subsurface != NULL ? neep_wl_objects_by_client(&client->objects, subsurface->surfaces[1])
				   : NULL;
	return parent != NULL && parent->handlers == &neep_wl_surface_handlers ? parent : NULL;
}

struct neep_wl_object *neep_wl_surface_root(
	const struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_object *root = object, *parent;
	for (int i = 0; i < DEPTH_MAX && (parent = parent_of(client, object)) != NULL; i++) {
		const struct neep_wl_surface *surface = object->data;
		if (!surface->is_desync) {
			root = parent;
		}
		object = parent;
	}
	return root;
}

/* id, surface, parent */
static int on_get_subsurface(struct neep_wl_call *call) {
	struct neep_wl_object *object = neep_wl_call_object(call, 1);
	struct neep_wl_surface *surface = object != NULL ? neep_wl_surface_get(call->client, object) : NULL;
	if (surface != NULL) {
		surface->subsurface_id = call->message.args[0].value;
		surface->is_desync = false;
	}
	return NEEP_WL_FORWARD;
}

static void set_desync(struct neep_wl_call *call, bool is_desync) {
	struct neep_wl_object *child =
		neep_wl_objects_by_client(&call->client->objects, call->object->surfaces[0]);
	if (child != NULL && subsurface_of(call->client, child) == call->object) {
		struct neep_wl_surface *surface = child->data;
		surface->is_desync = is_desync;
	}
}

static int on_set_sync(struct neep_wl_call *call) {
	set_desync(call, false);
	return NEEP_WL_FORWARD;
}

static int on_set_desync(struct neep_wl_call *call) {
	set_desync(call, true);
	return NEEP_WL_FORWARD;
}

static neep_wl_handler *const subcompositor_requests[] = {
	[WL_SUBCOMPOSITOR_GET_SUBSURFACE] = on_get_subsurface,
};

const struct neep_wl_handlers neep_wl_subcompositor_handlers = {
	.interface = &wl_subcompositor_interface,
	.requests = subcompositor_requests,
	.request_count = NEEP_ARRAY_LEN(subcompositor_requests),
};

static neep_wl_handler *const subsurface_requests[] = {
	[WL_SUBSURFACE_SET_SYNC] = on_set_sync,
	[WL_SUBSURFACE_SET_DESYNC] = on_set_desync,
};

const struct neep_wl_handlers neep_wl_subsurface_handlers = {
	.interface = &wl_subsurface_interface,
	.requests = subsurface_requests,
	.request_count = NEEP_ARRAY_LEN(subsurface_requests),
};
