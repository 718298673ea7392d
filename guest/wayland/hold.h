/* Requests of a client that wait, with those that must not overtake them.
 *
 * Theory of operation. A handler says that its request has to wait (NEEP_WL_WAIT): a commit for its acquire point, an attach for an answer
 * of the compositor. It is kept, and so is what the client says later of the same things; all the rest goes on. What a
 * request is about stands in its references:
 *
 * - An object belongs to the surfaces that the request which made it has named, itself or by objects that belong to them: a viewport to
 *   one, a subsurface to the child and the parent, a popup to its own and its parent's.
 * - A kept request holds its target, its new objects, and those of its arguments that belong to surfaces; it uses the other ones: buffers,
 *   regions, timelines. Who holds an object holds its surfaces, and with each the tree that it shows its state with
 *   (neep_wl_surface_root()): a parent's commit applies what its synchronized subsurfaces have committed.
 * - A request is kept when its target or an argument is held, or its target is used. Two that only use the same do not wait for each other.
 *   A wl_buffer that is to be destroyed counts to the surface that it was last attached to.
 * - What was bound from the registry is for all surfaces, and neither held nor used. But it does not go before those that it has
 *   made, which xdg_wm_base punishes: its destructor is kept while anything is.
 *
 * All of a client's are in one list, as they came. When something has come that one may wait for, they are gone through from the
 * first: what is held is found anew (a pass, whose number the objects bear), and what no kept one before it stands in the way of is
 * handled. So each waits for earlier ones alone, and the first for something outside.
 *
 * Nothing of a kept request happens before it goes on, which is when the compositor hears it: then its handler runs, ids of
 * the compositor are taken, mirrors, damage and points change, pixels are copied. When it is heard its form is checked, its fds are taken, and
 * its new ids get stand-ins, of the right interface and for nobody, so that requests to them can be read.
 *
 * One thread, that of the loop. */
#ifndef NEEP_WAYLAND_HOLD_H
#define NEEP_WAYLAND_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "wayland/wire.h"

struct neep_wl_call;
struct neep_wl_client;
struct neep_wl_object;

/* A client that has so much waiting is not read until it is less; the request that goes over the bound is kept. */
#define NEEP_WL_HOLD_REQUESTS_MAX 1024
#define NEEP_WL_HOLD_BYTES_MAX    ((size_t)256 << 10)
#define NEEP_WL_HOLD_FDS_MAX      64

struct neep_wl_kept {
	struct neep_list link; // neep_wl_holds.requests
	uint32_t size;
	size_t fd_count;
	int fds[NEEP_WL_ARGS_MAX];
	uint8_t data[];
};

/* Embedded in its client. */
struct neep_wl_holds {
	struct neep_list requests; // neep_wl_kept.link
	size_t count;
	size_t bytes;
	size_t fd_count;
	uint64_t pass;
	uint64_t kept_in; // the last pass in which one was kept
	uint64_t
		blind_in; // the last in which one was kept whose new object is of an interface that nobody knows yet
};

void neep_wl_holds_init(struct neep_wl_holds *holds);
/* Drops what is kept. */
void neep_wl_holds_finish(struct neep_wl_holds *holds);

/* Whether nothing is kept, or was not yet in this pass: then nothing covers a request. */
static inline bool neep_wl_holds_is_idle(const struct neep_wl_holds *holds) {
	return holds->kept_in != holds->pass;
}

/* Whether nothing more is to be read: also behind a wl_registry.bind that waits. */
static inline bool neep_wl_holds_is_full(const struct neep_wl_holds *holds) {
	bool has_much = holds->bytes >= NEEP_WL_HOLD_BYTES_MAX || holds->fd_count >= NEEP_WL_HOLD_FDS_MAX;
	return holds->count != 0 &&
	       (holds->count >= NEEP_WL_HOLD_REQUESTS_MAX || has_much || holds->blind_in == holds->pass);
}

/* Before the kept requests are tried again, from the first to the last: nothing is held now. */
void neep_wl_holds_begin(struct neep_wl_holds *holds);

/* Handles a kept request and frees it, or keeps it on. When the client ends meanwhile it may stay in the list. */
void neep_wl_hold_retry(struct neep_wl_client *client, struct neep_wl_kept *kept);

/* Whether the request, which was read, must not be handled now: it touches what a kept one holds. Asked when they are
 * not idle. */
bool neep_wl_hold_covers(const struct neep_wl_call *call);

/* Keeps a request to which nothing was done, and takes its fds in every case. The client ends if it cannot be kept. */
void neep_wl_hold_keep(struct neep_wl_call *call);

/* Notes what the new object of a request belongs to. */
void neep_wl_hold_relate(const struct neep_wl_call *call, struct neep_wl_object *object);

#endif
