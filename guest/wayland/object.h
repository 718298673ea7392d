/* The objects of a client's connection: which id the client and the compositor have for it, its interface, its handlers.
 *
 * Ids are translated both ways, because the proxy makes objects of its own at the compositor, and some for the client in the
 * compositor's stead, and libwayland wants ids without holes: those that clients give out (from 1 on), which the compositor gets
 * from the proxy, and those that compositors give out (NEEP_WL_SERVER_IDS and up), which the client gets from it. An object lives
 * until the compositor's delete_id, or, with no half there, until the client has destroyed it. One that the compositor has made lives
 * until it gives out its id again; but where the client has made one before, of which the compositor now has its half (import.h). */
#ifndef NEEP_WAYLAND_OBJECT_H
#define NEEP_WAYLAND_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <wayland-util.h>

#include "util/idmap.h"

struct neep_wl_client;
struct neep_wl_object;
struct neep_wl_call;

/* What a handler says of a message. Negative: the client is ended (neep_wl_client_fail() has told it why, else the log). */
#define NEEP_WL_FORWARD 1 // translate it, and send it on
#define NEEP_WL_DONE    0 // nothing more to do
#define NEEP_WL_WAIT \
	2 // of a request: it comes again after neep_wl_client_resume() (hold.h); nothing was done

typedef int neep_wl_handler(struct neep_wl_call *call);

/* What is done with messages of an interface beside forwarding them. Tables are static const. */
struct neep_wl_handlers {
	const struct wl_interface *interface;
	neep_wl_handler *const *requests; // by opcode; may be NULL, as may its entries
	size_t request_count;
	neep_wl_handler *const *events;
	size_t event_count;
	/* may be NULL: frees object->data, when the object goes or the client ends. Other objects may have gone before. */
	void (*gone)(struct neep_wl_client *client, struct neep_wl_object *object);
};

/* No request names more. */
#define NEEP_WL_SURFACES_MAX 2

struct neep_wl_object {
	struct neep_idmap_link client_link; // neep_wl_objects.by_client, when client_id != 0
	struct neep_idmap_link host_link;   // neep_wl_objects.by_host, when host_id != 0
	uint32_t client_id;                 // 0: the proxy's own
	uint32_t host_id;                   // 0: the compositor has none
	uint32_t version;
	const struct wl_interface *interface;
	const struct neep_wl_handlers *handlers; // NULL: all is forwarded
	bool is_dead; // the client has destroyed it: its id is free for the client after delete_id
	void *data;   // the handlers'
	// Of hold.h.
	bool is_bound;                           // it comes from the registry, and serves all surfaces
	uint32_t surfaces[NEEP_WL_SURFACES_MAX]; // that it belongs to, by the client's ids; 0: none
	uint32_t shown_on; // of a wl_buffer: the surface that it was last attached to, so
	uint64_t held_in;  // the pass in which it was held last
	uint64_t used_in;  // the same
};

/* Ids that the proxy gives out: those that were used are used again first, since libwayland takes none beyond the next new one. */
struct neep_wl_ids {
	uint32_t first;
	uint32_t count; // that were given out at least once
	uint32_t *free; // a stack, with room for all of them
	size_t free_count;
	size_t free_capacity;
};

struct neep_wl_objects {
	struct neep_idmap by_client;
	struct neep_idmap by_host;
	struct neep_wl_ids client_ids; // of the compositor's kind, for the client
	struct neep_wl_ids host_ids;   // of the client's kind, for the compositor
	size_t count;
};

/* No client has so many; each costs some hundred bytes. */
#define NEEP_WL_OBJECTS_MAX 65536

int neep_wl_objects_init(struct neep_wl_objects *objects);
/* Every object must have been removed. */
void neep_wl_objects_finish(struct neep_wl_objects *objects);

struct neep_wl_object *neep_wl_objects_by_client(const struct neep_wl_objects *objects, uint32_t client_id);
struct neep_wl_object *neep_wl_objects_by_host(const struct neep_wl_objects *objects, uint32_t host_id);

struct neep_wl_object_params {
	const struct wl_interface *interface;
	uint32_t version;
	uint32_t client_id; // that the client has given it; 0: none
	uint32_t host_id;   // that the compositor has given it; 0: none
	bool has_client;    // gets an id for the client, whose event the caller sends
	bool has_host;      // gets an id at the compositor, whose request the caller sends
};

/* Adds an object with the handlers of its interface. NULL: the id is used, or there are too many, or no memory. */
struct neep_wl_object *neep_wl_object_create(
	struct neep_wl_client *client, const struct neep_wl_object_params *params);

/* Gives a local object its id at the compositor. Returns 0 or -ENOMEM. */
int neep_wl_object_give_host(struct neep_wl_client *client, struct neep_wl_object *object);

/* The compositor gives out an id again: whatever had it goes, but for `keep` (NULL: none). */
void neep_wl_object_forget_host(
	struct neep_wl_client *client, uint32_t host_id, const struct neep_wl_object *keep);

/* Gives a local object an id that the compositor has chosen (NEEP_WL_SERVER_IDS), and that no other object has any more. */
void neep_wl_object_take_host(struct neep_wl_client *client, struct neep_wl_object *object, uint32_t host_id);

/* The client does not know the object any more; its id is free again. */
void neep_wl_object_leave_client(struct neep_wl_client *client, struct neep_wl_object *object);

/* Takes the object out and frees it; its ids are free again. */
void neep_wl_object_destroy(struct neep_wl_client *client, struct neep_wl_object *object);

#endif
