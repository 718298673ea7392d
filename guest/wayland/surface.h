/* wl_surface: which parts of which buffer are copied at a commit.
 *
 * Theory of operation. A commit says what has changed against the surface's content before it. The mirror of a buffer
 * may be several commits old: a client draws to two or three in turn. So a surface remembers the damage of its
 * last commits, a buffer remembers after which commit of which surface it was copied, and what is copied is the
 * damage of all commits since. A buffer that this surface has not had yet, or not for too long, is copied whole. So is one
 * after the relation of surface and buffer has changed (size, scale, transform, a buffer of another kind between): old damage says
 * nothing then. */
#ifndef NEEP_WAYLAND_SURFACE_H
#define NEEP_WAYLAND_SURFACE_H

#include "wayland/buffer.h"
#include "wayland/damage.h"

/* Commits that a surface remembers: no client draws to more buffers in turn. */
#define NEEP_WL_HISTORY 8

/* How buffers of a surface relate to it. */
struct neep_wl_geometry {
	int32_t width, height; // of the buffer; 0: of another kind, or none
	int32_t scale;
	int32_t transform;
};

struct neep_wl_surface {
	uint64_t serial; // no other surface of the client has it, before or after
	struct neep_wl_geometry geometry;
	struct neep_wl_buffer *current; // counted; NULL: none, or of another kind
	bool has_viewport;
	struct neep_wl_sync_surface *sync; // NULL: synchronization is not explicit
	uint32_t subsurface_id;            // that it was made a child by last; 0: none
	bool is_desync;                    // as that

	// Until the next commit.
	bool is_attached;
	bool has_buffer;                      // is_attached: a wl_buffer of some kind
	struct neep_wl_buffer *pending;       // counted, when is_attached
	struct neep_wl_damage surface_damage; // in the surface's coordinates
	struct neep_wl_damage buffer_damage;
	int32_t pending_scale;
	int32_t pending_transform;

	uint64_t commit;                                // how many there were
	uint64_t history_start;                         // commits up to this one are forgotten
	struct neep_wl_damage history[NEEP_WL_HISTORY]; // of commit n at n % NEEP_WL_HISTORY
};

/* The surface of `object`, a wl_surface, made where there is none yet. NULL: no memory. */
struct neep_wl_surface *neep_wl_surface_get(struct neep_wl_client *client, struct neep_wl_object *object);

/* The wl_surface at whose commit the state of `object`, another, is shown, the parent of synchronized subsurfaces; or itself: subsurface.c. */
struct neep_wl_object *neep_wl_surface_root(
	const struct neep_wl_client *client, struct neep_wl_object *object);

#endif
