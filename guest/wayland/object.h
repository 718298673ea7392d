/* The objects of a client's connection: which id the client and the compositor have for it, its interface, its handlers.
 *
 * Ids of the client are translated, because the proxy makes objects of its own at the compositor, and libwayland wants
 * its ids without holes. Ids that the compositor gives out (NEEP_WL_SERVER_IDS and up) are the same on both sides: there
 * the proxy makes none; but where the client has chosen one before (import.h). An object lives until the compositor's delete_id, or, with no half there, until the proxy's own.
 * A server id lives until it is given out again. */
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
	2 // of a request without fds: comes again after neep_wl_client_resume(); nothing was done

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
};

struct neep_wl_objects {
	struct neep_idmap by_client;
	struct neep_idmap by_host;
	uint32_t next_host_id;
	uint32_t *free_host_ids; // a stack
	size_t free_count;
	size_t free_capacity;
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
	uint32_t client_id; // 0: the proxy's own; at NEEP_WL_SERVER_IDS and up it is also the host's
	bool has_host;      // gets an id at the compositor, whose request the caller sends
};

/* Adds an object with the handlers of its interface. NULL: the id is used, or no id of the client's, or there are too many. */
struct neep_wl_object *neep_wl_object_create(
	struct neep_wl_client *client, const struct neep_wl_object_params *params);

/* Gives a local object its id at the compositor. Returns 0 or -ENOMEM. */
int neep_wl_object_give_host(struct neep_wl_client *client, struct neep_wl_object *object);

/* Gives a local object an id that the compositor has chosen (NEEP_WL_SERVER_IDS), and that no other object has any more. */
void neep_wl_object_take_host(struct neep_wl_client *client, struct neep_wl_object *object, uint32_t host_id);

/* Takes the object out and frees it; its ids are free again. */
void neep_wl_object_destroy(struct neep_wl_client *client, struct neep_wl_object *object);

#endif
