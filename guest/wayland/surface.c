#include "wayland/surface.h"

#include <errno.h>
#include <stdlib.h>

#include "wayland/shm.h"
#include "wayland/sync.h"
#include "wayland/viewporter-protocol.h"
#include "wayland/viewporter-requests.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

struct neep_wl_surface *neep_wl_surface_get(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_shm *shm = neep_wl_shm_get(client);
	if (object->data != NULL || shm == NULL) {
		return object->data;
	}
	struct neep_wl_surface *surface = calloc(1, sizeof(*surface));
	if (surface != NULL) {
		surface->serial = ++shm->surface_count;
		surface->pending_scale = 1;
	}
	object->data = surface;
	return surface;
}

/* ---- state until the commit ---- */

static void set_pending(struct neep_wl_surface *surface, struct neep_wl_buffer *buffer) {
	neep_wl_buffer_unref(surface->pending);
	surface->pending = neep_wl_buffer_ref(buffer);
	surface->is_attached = true;
}

/* buffer, x, y */
static int on_attach(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	struct neep_wl_object *object = neep_wl_call_object(call, 0);
	struct neep_wl_buffer *buffer = neep_wl_buffer_from_object(object);
	if (buffer != NULL && buffer->import == NEEP_WL_IMPORT_ASKED) {
		return NEEP_WL_WAIT;
	}
	if (object != NULL) {
		object->shown_on = call->object->client_id;
	}
	set_pending(surface, buffer);
	surface->has_buffer = call->message.args[0].value != 0;
	int result = buffer != NULL ? neep_wl_buffer_prepare(call->client, buffer) : 0;
	return result < 0 ? result : NEEP_WL_FORWARD;
}

/* x, y, width, height */
static struct neep_wl_rect read_rect(const struct neep_wl_message *message) {
	const struct neep_wl_arg *args = message->args;
	return neep_wl_rect_make((int32_t)args[0].value, (int32_t)args[1].value, (int32_t)args[2].value,
		(int32_t)args[3].value);
}

static int on_damage(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	neep_wl_damage_add(&surface->surface_damage, read_rect(&call->message));
	return NEEP_WL_FORWARD;
}

static int on_damage_buffer(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	neep_wl_damage_add(&surface->buffer_damage, read_rect(&call->message));
	return NEEP_WL_FORWARD;
}

static int on_set_buffer_transform(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	surface->pending_transform = (int32_t)call->message.args[0].value;
	return NEEP_WL_FORWARD;
}

static int on_set_buffer_scale(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	surface->pending_scale = (int32_t)call->message.args[0].value;
	return NEEP_WL_FORWARD;
}

/* ---- the commit ---- */

static void apply_attach(struct neep_wl_surface *surface) {
	if (surface->is_attached) {
		neep_wl_buffer_unref(surface->current);
		surface->current = surface->pending;
		surface->pending = NULL;
	}
	// Again, when it was released while the commit waited.
	if (surface->is_attached && surface->current != NULL) {
		surface->current->is_busy = true;
	}
}

static struct neep_wl_geometry pending_geometry(const struct neep_wl_surface *surface) {
	const struct neep_wl_buffer *buffer = surface->current;
	return (struct neep_wl_geometry){
		.width = buffer != NULL ? buffer->image.width : 0,
		.height = buffer != NULL ? buffer->image.height : 0,
		.scale = surface->pending_scale,
		.transform = surface->pending_transform,
	};
}

static bool is_same_geometry(const struct neep_wl_geometry *a, const struct neep_wl_geometry *b) {
	return a->width == b->width && a->height == b->height && a->scale == b->scale &&
	       a->transform == b->transform;
}

static bool is_scaled_only(const struct neep_wl_surface *surface) {
	return !surface->has_viewport && surface->geometry.transform == WL_OUTPUT_TRANSFORM_NORMAL &&
	       surface->geometry.scale > 0;
}

/* What the client has damaged for this commit, in the buffer's coordinates. Where they are turned, or stretched by a
 * viewport, what was damaged in the surface's is all there is: clients that do this damage the buffer. */
static struct neep_wl_damage take_damage(struct neep_wl_surface *surface) {
	struct neep_wl_damage damage = surface->surface_damage;
	if (is_scaled_only(surface)) {
		neep_wl_damage_scale(&damage, surface->geometry.scale);
	} else if (!neep_wl_damage_is_empty(&damage)) {
		neep_wl_damage_fill(&damage);
	}
	neep_wl_damage_add_all(&damage, &surface->buffer_damage);
	surface->surface_damage.count = 0;
	surface->buffer_damage.count = 0;
	return damage;
}

/* Adds a commit to the history. */
static void remember(struct neep_wl_surface *surface, const struct neep_wl_damage *damage) {
	surface->commit++;
	surface->history[surface->commit % NEEP_WL_HISTORY] = *damage;
	if (surface->commit - surface->history_start > NEEP_WL_HISTORY) {
		surface->history_start = surface->commit - NEEP_WL_HISTORY;
	}
}

/* What the mirror of `buffer` lacks of the surface's content. */
static struct neep_wl_damage missing(
	const struct neep_wl_surface *surface, const struct neep_wl_buffer *buffer) {
	struct neep_wl_damage damage = { 0 };
	if (buffer->surface_serial != surface->serial || buffer->commit < surface->history_start) {
		neep_wl_damage_fill(&damage);
		return damage;
	}
	for (uint64_t commit = buffer->commit + 1; commit <= surface->commit; commit++) {
		neep_wl_damage_add_all(&damage, &surface->history[commit % NEEP_WL_HISTORY]);
	}
	return damage;
}

static int copy(struct neep_wl_client *client, struct neep_wl_surface *surface) {
	struct neep_wl_buffer *buffer = surface->current;
	struct neep_wl_damage damage = missing(surface, buffer);
	buffer->surface_serial = surface->serial;
	buffer->commit = surface->commit;
	return neep_wl_buffer_copy(client, buffer, &damage);
}

/* Whether what the surface is about to show is finished: a GPU may still draw. 1, 0: the client is resumed when it is, or a negative
 * errno. */
static int is_drawn(struct neep_wl_client *client, const struct neep_wl_surface *surface) {
	if (surface->sync != NULL) {
		return neep_wl_sync_surface_prepare(client, surface);
	}
	struct neep_wl_buffer *next = surface->is_attached ? surface->pending : surface->current;
	return next == NULL || next->object == NULL || neep_wl_pool_is_drawn(next->pool);
}

/* The surface has its new state, and the compositor's copy of the buffer its new content: before the commit tells it so. */
static int on_commit(struct neep_wl_call *call) {
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, call->object);
	if (surface == NULL) {
		return -ENOMEM;
	}
	int is_ready = is_drawn(call->client, surface);
	if (is_ready <= 0) {
		return is_ready < 0 ? is_ready : NEEP_WL_WAIT;
	}
	apply_attach(surface);
	struct neep_wl_geometry geometry = pending_geometry(surface);
	bool is_new_geometry = !is_same_geometry(&geometry, &surface->geometry);
	surface->geometry = geometry;
	struct neep_wl_damage damage = take_damage(surface);
	bool has_news = surface->is_attached || is_new_geometry || !neep_wl_damage_is_empty(&damage);
	surface->is_attached = false;
	if (!has_news) {
		return NEEP_WL_FORWARD;
	}
	remember(surface, &damage);
	if (is_new_geometry || surface->current == NULL) {
		surface->history_start = surface->commit;
	}
	int result = surface->sync != NULL ? neep_wl_sync_surface_commit(surface) : 0;
	// A buffer that the client has destroyed meanwhile is none for the compositor either.
	if (result == 0 && surface->current != NULL && surface->current->object != NULL) {
		result = copy(call->client, surface);
	}
	return result < 0 ? result : NEEP_WL_FORWARD;
}

static void on_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	struct neep_wl_surface *surface = object->data;
	if (surface != NULL) {
		if (surface->sync != NULL) {
			neep_wl_sync_surface_leave(surface->sync);
		}
		neep_wl_buffer_unref(surface->pending);
		neep_wl_buffer_unref(surface->current);
		free(surface);
	}
}

static neep_wl_handler *const surface_requests[] = {
	[WL_SURFACE_ATTACH] = on_attach,
	[WL_SURFACE_DAMAGE] = on_damage,
	[WL_SURFACE_COMMIT] = on_commit,
	[WL_SURFACE_SET_BUFFER_TRANSFORM] = on_set_buffer_transform,
	[WL_SURFACE_SET_BUFFER_SCALE] = on_set_buffer_scale,
	[WL_SURFACE_DAMAGE_BUFFER] = on_damage_buffer,
};

const struct neep_wl_handlers neep_wl_surface_handlers = {
	.interface = &wl_surface_interface,
	.requests = surface_requests,
	.request_count = NEEP_ARRAY_LEN(surface_requests),
	.gone = on_gone,
};

/* ---- wp_viewporter ---- */

/* id, surface. That a viewport goes again is not worth following. */
static int on_get_viewport(struct neep_wl_call *call) {
	struct neep_wl_object *object = neep_wl_call_object(call, 1);
	struct neep_wl_surface *surface = object != NULL ? neep_wl_surface_get(call->client, object) : NULL;
	if (surface != NULL) {
		surface->has_viewport = true;
	}
	return NEEP_WL_FORWARD;
}

static neep_wl_handler *const viewporter_requests[] = {
	[WP_VIEWPORTER_GET_VIEWPORT] = on_get_viewport,
};

const struct neep_wl_handlers neep_wl_viewporter_handlers = {
	.interface = &wp_viewporter_interface,
	.requests = viewporter_requests,
	.request_count = NEEP_ARRAY_LEN(viewporter_requests),
};
