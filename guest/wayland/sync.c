#include "wayland/sync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"
#include "util/macros.h"
#include "wayland/client.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/policy.h"
#include "wayland/pool.h"

// The next uses what this declares.
#include "wayland/wayland-protocol.h"

#include "wayland/linux-drm-syncobj-requests.h"

/* Counted: by its object, and by points. */
struct neep_wl_timeline {
	uint32_t refs;
	struct neep_wl_sync *sync;
	uint32_t handle;
};

static void timeline_unref(struct neep_wl_timeline *timeline) {
	if (--timeline->refs == 0) {
		struct neep_wl_host *host = timeline->sync->client->host;
		host->timelines->close(host, timeline->handle);
		timeline->sync->timeline_count--;
		free(timeline);
	}
}

/* ---- points ---- */

void neep_wl_point_set(struct neep_wl_point *point, const struct neep_wl_object *object, uint64_t value) {
	struct neep_wl_timeline *timeline = object->data;
	timeline->refs++;
	neep_wl_point_clear(point);
	*point = (struct neep_wl_point){ timeline, value };
}

void neep_wl_point_clear(struct neep_wl_point *point) {
	if (point->timeline != NULL) {
		timeline_unref(point->timeline);
		point->timeline = NULL;
	}
}

/* A device that has gone signals nothing any more, and its client ends. */
void neep_wl_point_signal(struct neep_wl_point *point) {
	if (point->timeline != NULL) {
		struct neep_wl_host *host = point->timeline->sync->client->host;
		(void)host->timelines->signal(host, point->timeline->handle, point->value);
		neep_wl_point_clear(point);
	}
}

struct release {
	struct neep_list link;
	struct neep_wl_point point;
};

int neep_wl_releases_add(struct neep_list *releases, struct neep_wl_point *point) {
	struct neep_wl_sync *sync = point->timeline->sync;
	struct release *release =
		sync->release_count < NEEP_WL_RELEASES_MAX ? malloc(sizeof(*release)) : NULL;
	if (release == NULL) {
		neep_wl_point_signal(point);
		return -ENOMEM;
	}
	sync->release_count++;
	release->point = *point;
	point->timeline = NULL;
	neep_list_append(releases, &release->link);
	return 0;
}

void neep_wl_releases_signal(struct neep_list *releases) {
	neep_list_for_each_safe (release, releases, struct release, link) {
		release->point.timeline->sync->release_count--;
		neep_wl_point_signal(&release->point);
		neep_list_remove(&release->link);
		free(release);
	}
}

/* ---- the wait ---- */

void neep_wl_wait_stop(struct neep_wl_wait *wait) {
	neep_source_remove(&wait->source);
	neep_timer_cancel(&wait->limit);
	neep_close_fd(&wait->event_fd);
	wait->is_over = false;
}

static void end_wait(struct neep_wl_wait *wait) {
	wait->is_over = true;
	neep_source_remove(&wait->source);
	neep_wl_client_resume(wait->client);
}

static void on_signalled(struct neep_source *source, uint32_t events) {
	(void)events;
	end_wait(neep_container_of(source, struct neep_wl_wait, source));
}

static void on_limit(struct neep_timer *timer) {
	end_wait(neep_container_of(timer, struct neep_wl_wait, limit));
}

/* Returns 0 or a negative errno. */
static int watch(struct neep_wl_wait *wait, const struct neep_wl_point *point) {
	struct neep_wl_host *host = wait->client->host;
	wait->event_fd = neep_eventfd_create();
	return wait->event_fd < 0
		       ? wait->event_fd
		       : host->timelines->watch(host, point->timeline->handle, point->value, wait->event_fd);
}

static int start_waiting(struct neep_wl_wait *wait) {
	struct neep_loop *loop = wait->client->loop;
	wait->source = (struct neep_source){ .fd = wait->event_fd, .ready = on_signalled };
	wait->limit.fire = on_limit;
	neep_timer_arm(loop, &wait->limit, NEEP_WL_DRAWN_NS);
	return neep_source_add(loop, &wait->source, EPOLLIN);
}

/* Returns 0 or a negative errno. */
static int begin(struct neep_wl_wait *wait, const struct neep_wl_point *point) {
	int result = watch(wait, point);
	if (result == 0) {
		struct pollfd poller = { .fd = wait->event_fd, .events = POLLIN };
		wait->is_over = poll(&poller, 1, 0) == 1;
		result = wait->is_over ? 0 : start_waiting(wait);
	}
	return result;
}

int neep_wl_wait_for(struct neep_wl_wait *wait, const struct neep_wl_point *point) {
	int result = neep_wl_wait_is_on(wait) ? 0 : begin(wait, point);
	bool is_over = wait->is_over;
	if (result < 0 || is_over) {
		neep_wl_wait_stop(wait);
	}
	return result < 0 ? result : is_over;
}

/* ---- timelines ---- */

static void on_timeline_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	if (object->data != NULL) {
		timeline_unref(object->data);
	}
}

static neep_wl_handler *const timeline_requests[] = {
	[WP_LINUX_DRM_SYNCOBJ_TIMELINE_V1_DESTROY] = neep_wl_on_destroy,
};

const struct neep_wl_handlers neep_wl_timeline_handlers = {
	.interface = &wp_linux_drm_syncobj_timeline_v1_interface,
	.requests = timeline_requests,
	.request_count = NEEP_ARRAY_LEN(timeline_requests),
	.gone = on_timeline_gone,
};

/* The timeline behind `fd`, which is borrowed. Returns 0 or a negative errno. */
static int import(struct neep_wl_sync *sync, int fd, struct neep_wl_object *object) {
	struct neep_wl_host *host = sync->client->host;
	struct neep_wl_timeline *timeline =
		sync->timeline_count < NEEP_WL_TIMELINES_MAX ? malloc(sizeof(*timeline)) : NULL;
	if (timeline == NULL) {
		return -ENOMEM;
	}
	*timeline = (struct neep_wl_timeline){ .refs = 1, .sync = sync };
	int result = host->timelines->import(host, fd, &timeline->handle);
	if (result < 0) {
		free(timeline);
		return result;
	}
	sync->timeline_count++;
	object->data = timeline;
	return 0;
}

/* id, fd */
static int on_import_timeline(struct neep_wl_call *call) {
	struct neep_wl_object *object =
		neep_wl_call_new_object(call, 0, &wp_linux_drm_syncobj_timeline_v1_interface, false);
	if (object == NULL) {
		return -EPROTO;
	}
	neep_autoclose int fd = neep_wl_message_take_fd(&call->message, 1);
	int result = import(call->client->sync, fd, object);
	if (result == 0 || result == -ENOMEM) {
		return result;
	}
	return neep_wl_client_fail(call->client, call->object,
		WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_ERROR_INVALID_TIMELINE, "the timeline cannot be imported: %s",
		strerror(-result));
}

/* ---- the global ---- */

static neep_wl_handler *const manager_requests[] = {
	[WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_DESTROY] = neep_wl_on_destroy,
	[WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_GET_SURFACE] = neep_wl_sync_surface_create,
	[WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_IMPORT_TIMELINE] = on_import_timeline,
};

const struct neep_wl_handlers neep_wl_sync_handlers = {
	.interface = &wp_linux_drm_syncobj_manager_v1_interface,
	.requests = manager_requests,
	.request_count = NEEP_ARRAY_LEN(manager_requests),
};

int neep_wl_sync_offer(struct neep_wl_client *client) {
	const struct wl_interface *interface;
	if (client->host->timelines == NULL ||
		neep_wl_policy_version(client->policy, wp_linux_drm_syncobj_manager_v1_interface.name,
			NEEP_WL_SYNC_VERSION, &interface) == 0) {
		return 0;
	}
	if (client->sync == NULL) {
		client->sync = malloc(sizeof(*client->sync));
		if (client->sync == NULL) {
			return -ENOMEM;
		}
		*client->sync = (struct neep_wl_sync){ .client = client };
	}
	return 1;
}

int neep_wl_sync_bind(struct neep_wl_call *call) {
	const struct wl_interface *interface = &wp_linux_drm_syncobj_manager_v1_interface;
	struct neep_wl_object_params params = {
		.interface = interface,
		.version = call->message.args[2].value,
	};
	if (strcmp(neep_wl_message_string(&call->message, 1), interface->name) != 0 ||
		params.version != NEEP_WL_SYNC_VERSION) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"invalid interface or version for global %u", NEEP_WL_SYNC_NAME);
	}
	return neep_wl_call_new_object_of(call, 3, &params) == NULL ? -EPROTO : NEEP_WL_DONE;
}

void neep_wl_sync_destroy(struct neep_wl_sync *sync) {
	if (sync != NULL) {
		neep_assert(sync->timeline_count == 0 && sync->release_count == 0);
		free(sync);
	}
}
