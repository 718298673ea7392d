#include <errno.h>
#include <stdlib.h>

#include "util/macros.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/pool.h"
#include "wayland/surface.h"
#include "wayland/sync.h"

// The next uses what this declares.
#include "wayland/wayland-protocol.h"

#include "wayland/linux-drm-syncobj-requests.h"

/* ---- the object ---- */

/* id, surface */
int neep_wl_sync_surface_create(struct neep_wl_call *call) {
	struct neep_wl_object *target = neep_wl_call_object(call, 1);
	if (target == NULL) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"invalid object %u in get_surface", call->message.args[1].value);
	}
	struct neep_wl_surface *surface = neep_wl_surface_get(call->client, target);
	if (surface == NULL) {
		return -ENOMEM;
	}
	if (surface->sync != NULL) {
		return neep_wl_client_fail(call->client, call->object,
			WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_ERROR_SURFACE_EXISTS,
			"the surface has a synchronization object");
	}
	struct neep_wl_object *object =
		neep_wl_call_new_object(call, 0, &wp_linux_drm_syncobj_surface_v1_interface, false);
	if (object == NULL) {
		return -EPROTO;
	}
	struct neep_wl_sync_surface *sync = malloc(sizeof(*sync));
	if (sync == NULL) {
		return -ENOMEM;
	}
	*sync = (struct neep_wl_sync_surface){
		.object = object,
		.surface = target,
		.wait = { .client = call->client, .event_fd = -1 },
	};
	object->data = sync;
	surface->sync = sync;
	return NEEP_WL_DONE;
}

void neep_wl_sync_surface_leave(struct neep_wl_sync_surface *sync) {
	sync->surface = NULL;
}

/* A commit that still waits when the client ends needs its buffer no more. */
static void on_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	struct neep_wl_sync_surface *sync = object->data;
	if (sync == NULL) {
		return;
	}
	if (neep_wl_wait_is_on(&sync->wait)) {
		neep_wl_point_signal(&sync->release);
	}
	neep_wl_wait_stop(&sync->wait);
	if (sync->surface != NULL) {
		struct neep_wl_surface *surface = sync->surface->data;
		surface->sync = NULL;
	}
	neep_wl_point_clear(&sync->acquire);
	neep_wl_point_clear(&sync->release);
	free(sync);
}

static int fail(struct neep_wl_client *client, const struct neep_wl_sync_surface *sync, uint32_t code,
	const char *text) {
	return neep_wl_client_fail(client, sync->object, code, "%s", text);
}

/* timeline, point_hi, point_lo */
static int set_point(struct neep_wl_call *call, struct neep_wl_point *point) {
	const struct neep_wl_sync_surface *sync = call->object->data;
	const struct neep_wl_arg *args = call->message.args;
	const struct neep_wl_object *timeline = neep_wl_call_object(call, 0);
	if (timeline == NULL) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"invalid object %u for a timeline", args[0].value);
	}
	if (sync->surface == NULL || sync->surface->is_dead) {
		return fail(call->client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_NO_SURFACE,
			"the surface was destroyed");
	}
	neep_wl_point_set(point, timeline, (uint64_t)args[1].value << 32 | args[2].value);
	return NEEP_WL_DONE;
}

static int on_set_acquire_point(struct neep_wl_call *call) {
	struct neep_wl_sync_surface *sync = call->object->data;
	return set_point(call, &sync->acquire);
}

static int on_set_release_point(struct neep_wl_call *call) {
	struct neep_wl_sync_surface *sync = call->object->data;
	return set_point(call, &sync->release);
}

static neep_wl_handler *const requests[] = {
	[WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_DESTROY] = neep_wl_on_destroy,
	[WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_SET_ACQUIRE_POINT] = on_set_acquire_point,
	[WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_SET_RELEASE_POINT] = on_set_release_point,
};

const struct neep_wl_handlers neep_wl_sync_surface_handlers = {
	.interface = &wp_linux_drm_syncobj_surface_v1_interface,
	.requests = requests,
	.request_count = NEEP_ARRAY_LEN(requests),
	.gone = on_gone,
};

/* ---- the commit ---- */

/* Of a commit with a buffer. */
static int check_points(struct neep_wl_client *client, const struct neep_wl_surface *surface) {
	const struct neep_wl_sync_surface *sync = surface->sync;
	const struct neep_wl_point *acquire = &sync->acquire, *release = &sync->release;
	if (surface->pending == NULL || !neep_wl_pool_is_dmabuf(surface->pending->pool)) {
		return fail(client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_UNSUPPORTED_BUFFER,
			"the buffer is no dma-buf");
	}
	if (acquire->timeline == NULL) {
		return fail(client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_NO_ACQUIRE_POINT,
			"no acquire point was set");
	}
	if (release->timeline == NULL) {
		return fail(client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_NO_RELEASE_POINT,
			"no release point was set");
	}
	if (acquire->timeline == release->timeline && acquire->value >= release->value) {
		return fail(client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_CONFLICTING_POINTS,
			"the acquire point is not before the release point");
	}
	return 0;
}

int neep_wl_sync_surface_prepare(struct neep_wl_client *client, const struct neep_wl_surface *surface) {
	struct neep_wl_sync_surface *sync = surface->sync;
	if (!surface->is_attached || !surface->has_buffer) {
		return sync->acquire.timeline == NULL && sync->release.timeline == NULL
			       ? 1
			       : fail(client, sync, WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_NO_BUFFER,
					 "no buffer was attached");
	}
	int result = check_points(client, surface);
	return result < 0 ? result : neep_wl_wait_for(&sync->wait, &sync->acquire);
}

int neep_wl_sync_surface_commit(struct neep_wl_surface *surface) {
	struct neep_wl_sync_surface *sync = surface->sync;
	neep_wl_point_clear(&sync->acquire);
	if (sync->release.timeline == NULL) {
		return 0;
	}
	/* A buffer that went between attach and commit the compositor cannot release. */
	if (!neep_wl_buffer_is_at_host(surface->current)) {
		neep_wl_point_signal(&sync->release);
		return 0;
	}
	return neep_wl_releases_add(&surface->current->releases, &sync->release);
}
