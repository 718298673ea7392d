#include "wayland/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wayland/client.h"
#include "wayland/queue.h"
#include "wayland/surface.h"
#include "wayland/wayland-protocol.h"

static struct neep_wl_object *find(const struct neep_wl_client *client, uint32_t id) {
	return id == 0 ? NULL : neep_wl_objects_by_client(&client->objects, id);
}

static bool is_surface(const struct neep_wl_object *object) {
	return object != NULL && object->interface == &wl_surface_interface;
}

/* ---- what belongs to which surface ---- */

static void relate(struct neep_wl_object *object, const struct neep_wl_object *other) {
	for (size_t i = 0; other != NULL && i < NEEP_WL_SURFACES_MAX; i++) {
		uint32_t *places = object->surfaces, id = other->surfaces[i];
		if (places[0] == 0 || places[0] == id) {
			places[0] = id;
		} else if (places[1] == 0) {
			places[1] = id;
		}
	}
}

void neep_wl_hold_relate(const struct neep_wl_call *call, struct neep_wl_object *object) {
	const struct neep_wl_message *message = &call->message;
	object->is_bound = call->object->interface == &wl_registry_interface;
	if (is_surface(object)) {
		object->surfaces[0] = object->client_id;
		return;
	}
	relate(object, call->object);
	for (size_t i = 0; i < message->arg_count; i++) {
		if (message->args[i].type == 'o') {
			relate(object, find(call->client, message->args[i].value));
		}
	}
}

/* ---- what is held ---- */

static bool is_held_surface(const struct neep_wl_client *client, uint32_t id) {
	struct neep_wl_object *surface = find(client, id);
	uint64_t pass = client->holds.pass;
	return is_surface(surface) &&
	       (surface->held_in == pass || neep_wl_surface_root(client, surface)->held_in == pass);
}

static bool is_held(const struct neep_wl_client *client, const struct neep_wl_object *object) {
	if (object == NULL || object->is_bound) {
		return false;
	}
	return object->held_in == client->holds.pass || is_held_surface(client, object->surfaces[0]) ||
	       is_held_surface(client, object->surfaces[1]);
}

static bool has_held_argument(const struct neep_wl_call *call) {
	for (size_t i = 0; i < call->message.arg_count; i++) {
		const struct neep_wl_arg *arg = &call->message.args[i];
		if (arg->type == 'o' && is_held(call->client, find(call->client, arg->value))) {
			return true;
		}
	}
	return false;
}

bool neep_wl_hold_covers(const struct neep_wl_call *call) {
	const struct neep_wl_holds *holds = &call->client->holds;
	const struct neep_wl_object *target = call->object;
	if (target->is_bound && neep_wl_call_is_destructor(call)) {
		return true;
	}
	return target->used_in == holds->pass || is_held(call->client, target) ||
	       is_held_surface(call->client, target->shown_on) || has_held_argument(call);
}

/* ---- holding ---- */

static void hold(struct neep_wl_client *client, struct neep_wl_object *object) {
	uint64_t pass = client->holds.pass;
	if (object->is_bound) {
		return;
	}
	object->held_in = pass;
	for (size_t i = 0; i < NEEP_WL_SURFACES_MAX; i++) {
		struct neep_wl_object *surface = find(client, object->surfaces[i]);
		if (is_surface(surface)) {
			surface->held_in = pass;
			neep_wl_surface_root(client, surface)->held_in = pass;
		}
	}
}

static void hold_argument(struct neep_wl_client *client, const struct neep_wl_arg *arg) {
	struct neep_wl_object *object = find(client, arg->value);
	if (object == NULL || object->is_bound) {
		return;
	}
	if (arg->type == 'n' || object->surfaces[0] != 0) {
		hold(client, object);
	} else {
		object->used_in = client->holds.pass;
	}
}

/* ---- stand-ins ---- */

static int add_stand_in(struct neep_wl_call *call, const struct neep_wl_arg *arg) {
	struct neep_wl_object_params params = {
		.interface = arg->interface,
		.version = call->object->version,
		.client_id = arg->value,
	};
	if (arg->interface == NULL) {
		call->client->holds.blind_in = call->client->holds.pass;
		return 0;
	}
	bool is_clients = arg->value != 0 && arg->value < NEEP_WL_SERVER_IDS;
	struct neep_wl_object *object = is_clients ? neep_wl_object_create(call->client, &params) : NULL;
	if (object == NULL) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_METHOD,
			"invalid new id %u in %s#%u.%s", arg->value, call->object->interface->name,
			call->object->client_id, call->message.type->name);
	}
	object->handlers = NULL;
	neep_wl_hold_relate(call, object);
	return 0;
}

static void remove_stand_ins(struct neep_wl_call *call) {
	for (size_t i = 0; i < call->message.arg_count; i++) {
		const struct neep_wl_arg *arg = &call->message.args[i];
		if (arg->type == 'n' && arg->interface != NULL) {
			neep_wl_object_destroy(call->client, find(call->client, arg->value));
		}
	}
}

/* ---- keeping ---- */

/* What the request is about is held from now on. */
static void mark(struct neep_wl_call *call) {
	struct neep_wl_holds *holds = &call->client->holds;
	holds->kept_in = holds->pass;
	hold(call->client, call->object);
	for (size_t i = 0; i < call->message.arg_count; i++) {
		const struct neep_wl_arg *arg = &call->message.args[i];
		if (arg->type == 'o' || arg->type == 'n') {
			hold_argument(call->client, arg);
		}
	}
}

/* The same for one that has no stand-ins yet. */
static void promise_and_mark(struct neep_wl_call *call) {
	int result = 0;
	for (size_t i = 0; i < call->message.arg_count && result == 0; i++) {
		const struct neep_wl_arg *arg = &call->message.args[i];
		result = arg->type == 'n' ? add_stand_in(call, arg) : 0;
	}
	if (result == 0) {
		mark(call);
	}
}

static void forget(struct neep_wl_holds *holds, struct neep_wl_kept *kept) {
	neep_list_remove(&kept->link);
	holds->count--;
	holds->bytes -= kept->size;
	holds->fd_count -= kept->fd_count;
	free(kept);
}

void neep_wl_hold_keep(struct neep_wl_call *call) {
	struct neep_wl_holds *holds = &call->client->holds;
	const struct neep_wl_message *message = &call->message;
	struct neep_wl_kept *kept = malloc(sizeof(*kept) + message->size);
	if (kept == NULL) {
		neep_wl_close_fds(message->fds, message->fd_count);
		neep_wl_client_fail(
			call->client, NULL, WL_DISPLAY_ERROR_NO_MEMORY, "no memory for requests that wait");
		return;
	}
	kept->size = message->size;
	kept->fd_count = message->fd_count;
	memcpy(kept->fds, message->fds, message->fd_count * sizeof(kept->fds[0]));
	memcpy(kept->data, message->data, message->size);
	neep_list_append(&holds->requests, &kept->link);
	holds->count++;
	holds->bytes += kept->size;
	holds->fd_count += kept->fd_count;
	promise_and_mark(call);
}

void neep_wl_hold_retry(struct neep_wl_client *client, struct neep_wl_kept *kept) {
	struct neep_wl_call call;
	call.client = client;
	if (neep_wl_call_read_request(&call, kept->data, kept->size, kept->fd_count) < 0) {
		return;
	}
	call.message.fds = kept->fds;
	if (!neep_wl_holds_is_idle(&client->holds) && neep_wl_hold_covers(&call)) {
		mark(&call);
		return;
	}
	remove_stand_ins(&call);
	if (neep_wl_call_handle_request(&call) == NEEP_WL_WAIT) {
		promise_and_mark(&call);
	} else {
		forget(&client->holds, kept);
	}
}

/* ---- all of them ---- */

void neep_wl_holds_init(struct neep_wl_holds *holds) {
	*holds = (struct neep_wl_holds){ .pass = 1 };
	neep_list_init(&holds->requests);
}

void neep_wl_holds_finish(struct neep_wl_holds *holds) {
	neep_list_for_each_safe (kept, &holds->requests, struct neep_wl_kept, link) {
		neep_wl_close_fds(kept->fds, kept->fd_count);
		forget(holds, kept);
	}
}

void neep_wl_holds_begin(struct neep_wl_holds *holds) {
	holds->pass++;
}
