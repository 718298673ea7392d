/* wp_linux_drm_syncobj_manager_v1 of the proxy's own, beside the linux-dmabuf of its own (offer.h).
 *
 * Theory of operation. A client's timelines are syncobjs of this machine's kernel, and so are the proxy's: it imports them into the
 * DRM file that it talks to the host with, and the compositor hears nothing of all this. A commit with an acquire point waits here until the
 * point has signalled, be it promised when the commit comes or not, as commits of other dma-bufs do (pool.h), and no longer; with it
 * what the client says later of that surface (hold.h), which includes the points of its next commits. Its release point then
 * belongs to the buffer, and is signalled with the compositor's next wl_buffer.release of it. A compositor that still has the buffer of a wl_buffer that the client has destroyed
 * keeps its own until then; when the client ends, what is left is signalled.
 *
 * Who commits a buffer again before its release leaves open which commit a release is of; then it is of all of them. */
#ifndef NEEP_WAYLAND_SYNC_H
#define NEEP_WAYLAND_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/loop.h"

struct neep_wl_call;
struct neep_wl_client;
struct neep_wl_object;
struct neep_wl_surface;
struct neep_wl_timeline;

/* Its number in the registry, below that of linux-dmabuf. */
#define NEEP_WL_SYNC_NAME (UINT32_MAX - 1)

#define NEEP_WL_SYNC_VERSION 1

/* Of one client. A window has two for each of its buffers at most. */
#define NEEP_WL_TIMELINES_MAX 4096
/* Release points of one client that wait for the compositor. */
#define NEEP_WL_RELEASES_MAX 16384

/* What all timelines of a client share. */
struct neep_wl_sync {
	struct neep_wl_client *client;
	size_t timeline_count;
	size_t release_count;
};

/* A point of a timeline. */
struct neep_wl_point {
	struct neep_wl_timeline *timeline; // counted; NULL: none
	uint64_t value;
};

/* For an acquire point. */
struct neep_wl_wait {
	struct neep_wl_client *client;
	int event_fd; // of the point; -1: nothing waits
	struct neep_source source;
	struct neep_timer limit;
	bool is_over; // it has waited
};

/* What wp_linux_drm_syncobj_surface_v1 adds to a wl_surface. */
struct neep_wl_sync_surface {
	struct neep_wl_object *object;
	struct neep_wl_object *surface; // NULL: has gone
	struct neep_wl_point acquire;   // until the next commit
	struct neep_wl_point release;
	struct neep_wl_wait wait; // of the commit that is next
};

/* ---- sync.c ---- */

/* Whether the client may be offered the global: then client->sync is there. -ENOMEM; else 1 or 0. */
int neep_wl_sync_offer(struct neep_wl_client *client);

/* The client binds NEEP_WL_SYNC_NAME: a handler of wl_registry.bind. There is a client->sync. */
int neep_wl_sync_bind(struct neep_wl_call *call);

/* At the end of the client, after its objects have gone. NULL is fine. */
void neep_wl_sync_destroy(struct neep_wl_sync *sync);

/* Puts the point in the place of *point. `object` is a wp_linux_drm_syncobj_timeline_v1. */
void neep_wl_point_set(struct neep_wl_point *point, const struct neep_wl_object *object, uint64_t value);
void neep_wl_point_clear(struct neep_wl_point *point);
/* Signals it, and clears it. One that is not there is fine. */
void neep_wl_point_signal(struct neep_wl_point *point);

/* Whether the point has signalled, or has been waited for long enough: 1. 0: the client is resumed then. Or a negative errno. Asked again
 * it must be for the same point until it was 1. */
int neep_wl_wait_for(struct neep_wl_wait *wait, const struct neep_wl_point *point);

static inline bool neep_wl_wait_is_on(const struct neep_wl_wait *wait) {
	return wait->event_fd >= 0;
}

/* Nothing waits any more. */
void neep_wl_wait_stop(struct neep_wl_wait *wait);

/* A list of points that are signalled together: a buffer's, empty at first. Takes the point in every case. Returns 0, or -ENOMEM:
 * it was signalled. */
int neep_wl_releases_add(struct neep_list *releases, struct neep_wl_point *point);
void neep_wl_releases_signal(struct neep_list *releases);

/* ---- sync_surface.c ---- */

/* Makes the object of wp_linux_drm_syncobj_manager_v1.get_surface. Returns what handlers return. */
int neep_wl_sync_surface_create(struct neep_wl_call *call);

/* The surface, which has a ->sync, is about to be committed: whether what is shown then is finished. 1, 0: the client is resumed when
 * it is, or a negative errno; the client has been told of its mistakes. */
int neep_wl_sync_surface_prepare(struct neep_wl_client *client, const struct neep_wl_surface *surface);

/* It is committed, and its buffer is surface->current. Returns 0 or -ENOMEM. */
int neep_wl_sync_surface_commit(struct neep_wl_surface *surface);

/* The wl_surface has gone. */
void neep_wl_sync_surface_leave(struct neep_wl_sync_surface *sync);

#endif
