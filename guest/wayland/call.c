#include <errno.h>
#include <string.h>

#include "util/fd.h"
#include "wayland/client.h"
#include "wayland/queue.h"
#include "wayland/wayland-protocol.h"

/* ---- a message's ids ---- */

static bool is_event(const struct neep_wl_call *call) {
	const struct wl_interface *interface = call->object->interface;
	uint32_t opcode = call->message.opcode;
	return opcode < (uint32_t)interface->event_count && call->message.type == &interface->events[opcode];
}

/* Whose mistake it is decides what is told. */
static int fail_call(const struct neep_wl_call *call, uint32_t code, const char *what, uint32_t id) {
	const struct neep_wl_object *object = call->object;
	if (is_event(call)) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_IMPLEMENTATION,
			"the compositor sent a bad event: %s %u in %s.%s", what, id, object->interface->name,
			call->message.type->name);
	}
	return neep_wl_client_fail(call->client, NULL, code, "%s %u in %s#%u.%s", what, id,
		object->interface->name, object->client_id, call->message.type->name);
}

struct neep_wl_object *neep_wl_call_new_object(
	struct neep_wl_call *call, size_t arg, const struct wl_interface *interface, bool has_host) {
	struct neep_wl_object_params params = {
		.interface = interface,
		.version = call->object->version,
		.has_host = has_host,
	};
	return neep_wl_call_new_object_of(call, arg, &params);
}

struct neep_wl_object *neep_wl_call_new_object_of(
	struct neep_wl_call *call, size_t arg, const struct neep_wl_object_params *params) {
	uint32_t id = call->message.args[arg].value;
	bool is_compositors = is_event(call);
	struct neep_wl_object_params of_side = *params;
	struct neep_wl_object *object = NULL;
	if (is_compositors) {
		of_side.host_id = id;
		of_side.has_client = true;
	} else {
		of_side.client_id = id;
	}
	if (id != 0 && (id >= NEEP_WL_SERVER_IDS) == is_compositors) {
		if (is_compositors) {
			neep_wl_object_forget_host(call->client, id, call->object);
		}
		object = neep_wl_object_create(call->client, &of_side);
	}
	if (object == NULL) {
		fail_call(call, WL_DISPLAY_ERROR_INVALID_METHOD, "invalid new id", id);
		return NULL;
	}
	if (!is_compositors) {
		neep_wl_hold_relate(call, object);
	}
	/* The word is what the other side will read: nothing more to translate. */
	neep_wl_message_set(&call->message, arg, is_compositors ? object->client_id : object->host_id);
	call->message.args[arg].type = 'u';
	return object;
}

static bool is_of_type(const struct neep_wl_object *object, const struct neep_wl_arg *arg) {
	return object != NULL && (arg->interface == NULL || object->interface == arg->interface);
}

struct neep_wl_object *neep_wl_call_object(const struct neep_wl_call *call, size_t arg) {
	const struct neep_wl_arg *word = &call->message.args[arg];
	struct neep_wl_object *object = neep_wl_objects_by_client(&call->client->objects, word->value);
	return is_of_type(object, word) && !object->is_dead ? object : NULL;
}

static int translate_object(struct neep_wl_call *call, size_t arg) {
	const struct neep_wl_objects *objects = &call->client->objects;
	struct neep_wl_arg *word = &call->message.args[arg];
	uint32_t id = word->value;
	bool to_client = is_event(call);
	if (id == 0) {
		return 0;
	}
	const struct neep_wl_object *object =
		to_client ? neep_wl_objects_by_host(objects, id) : neep_wl_objects_by_client(objects, id);
	uint32_t other_id = object == NULL ? 0 : to_client ? object->client_id : object->host_id;
	if (!is_of_type(object, word) || other_id == 0) {
		return fail_call(call, WL_DISPLAY_ERROR_INVALID_OBJECT, "invalid object", id);
	}
	neep_wl_message_set(&call->message, arg, other_id);
	/* By which new objects find what they belong to. */
	word->value = id;
	return 0;
}

static int translate(struct neep_wl_call *call) {
	for (size_t i = 0; i < call->message.arg_count; i++) {
		const struct neep_wl_arg *arg = &call->message.args[i];
		int result = 0;
		if (arg->type == 'o') {
			result = translate_object(call, i);
		} else if (arg->type == 'n') {
			/* Only wl_registry.bind leaves the interface open, and has its handler. */
			bool is_made = arg->interface != NULL &&
				       neep_wl_call_new_object(call, i, arg->interface, true) != NULL;
			result = is_made ? 0 : -EPROTO;
		}
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

static int forward_event(struct neep_wl_call *call) {
	struct neep_wl_message *message = &call->message;
	int result = neep_wl_client_queue_event(
		call->client, message->data, message->size, message->fds, message->fd_count);
	for (size_t i = 0; i < message->fd_count; i++) {
		message->fds[i] = -1;
	}
	return result;
}

static int forward_request(
	struct neep_wl_call *call, const struct neep_wl_attachment *attachments, size_t count) {
	struct neep_wl_message *message = &call->message;
	struct neep_wl_attachment own[NEEP_WL_ARGS_MAX];
	if (attachments == NULL) {
		for (count = 0; count < message->fd_count; count++) {
			own[count] = (struct neep_wl_attachment){ .owned_fd = neep_steal_fd(
									  &message->fds[count]) };
		}
		attachments = own;
	}
	return neep_wl_client_queue_request(call->client, message->data, message->size, attachments, count);
}

int neep_wl_forward(struct neep_wl_call *call, const struct neep_wl_attachment *attachments, size_t count) {
	bool to_client = is_event(call);
	uint32_t id = to_client ? call->object->client_id : call->object->host_id;
	int result = 0;
	if (id == 0) {
		/* An event of the proxy's own object is for nobody; a request to a local one is its handler's. */
		result = to_client ? 1
				   : fail_call(call, WL_DISPLAY_ERROR_INVALID_OBJECT, "invalid object",
					     call->object->client_id);
	}
	if (result == 0) {
		result = translate(call);
	}
	if (result != 0) {
		for (size_t i = 0; i < count; i++) {
			neep_wl_close_fds(&attachments[i].owned_fd, 1);
		}
		return result < 0 ? result : 0;
	}
	memcpy(call->message.data, &id, sizeof(id));
	return to_client ? forward_event(call) : forward_request(call, attachments, count);
}

/* ---- a message ---- */

static neep_wl_handler *handler_of(const struct neep_wl_call *call) {
	const struct neep_wl_handlers *handlers = call->object->handlers;
	uint32_t opcode = call->message.opcode;
	if (handlers == NULL) {
		return NULL;
	}
	if (is_event(call)) {
		return opcode < handlers->event_count ? handlers->events[opcode] : NULL;
	}
	return opcode < handlers->request_count ? handlers->requests[opcode] : NULL;
}

int neep_wl_call_dispatch(struct neep_wl_call *call) {
	neep_wl_handler *handler = handler_of(call);
	int result = handler == NULL ? NEEP_WL_FORWARD : handler(call);
	if (result == NEEP_WL_FORWARD) {
		result = neep_wl_forward(call, NULL, 0);
	}
	if (result < 0 && !call->client->is_ended) {
		uint32_t code =
			result == -ENOMEM ? WL_DISPLAY_ERROR_NO_MEMORY : WL_DISPLAY_ERROR_IMPLEMENTATION;
		neep_wl_client_fail(
			call->client, NULL, code, "%s: %s", call->message.type->name, strerror(-result));
	}
	if (result != NEEP_WL_WAIT) {
		neep_wl_close_fds(call->message.fds, call->message.fd_count);
	}
	return result;
}

/* ---- a request ---- */

/* In every protocol of the table these are the destructors' names; the scanner's tables do not say. */
bool neep_wl_call_is_destructor(const struct neep_wl_call *call) {
	const char *name = call->message.type->name;
	return strcmp(name, "destroy") == 0 || strcmp(name, "release") == 0;
}

/* Fills in the type and the arguments. Returns 0, or a negative errno after the client was told. */
static int parse_request(struct neep_wl_call *call, uint8_t *data, uint32_t size, uint32_t opcode) {
	struct neep_wl_object *object = call->object;
	const struct wl_interface *interface = object->interface;
	if (opcode >= (uint32_t)interface->method_count ||
		neep_wl_message_since(&interface->methods[opcode]) > object->version) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_METHOD,
			"invalid method %u of %s#%u, version %u", opcode, interface->name, object->client_id,
			object->version);
	}
	const struct wl_message *type = &interface->methods[opcode];
	if (neep_wl_message_parse(&call->message, type, data, size) < 0) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_METHOD,
			"invalid arguments for %s#%u.%s", interface->name, object->client_id, type->name);
	}
	return 0;
}

int neep_wl_call_read_request(struct neep_wl_call *call, uint8_t *data, uint32_t size, size_t fd_count) {
	uint32_t object_id = 0, opcode = 0;
	neep_wl_message_size(data, size, &object_id, &opcode);
	call->object = neep_wl_objects_by_client(&call->client->objects, object_id);
	if (call->object == NULL || call->object->is_dead) {
		return neep_wl_client_fail(
			call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT, "invalid object %u", object_id);
	}
	int result = parse_request(call, data, size, opcode);
	if (result == 0 && call->message.fd_count > fd_count) {
		result = neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_METHOD,
			"no file descriptor came with %s#%u.%s", call->object->interface->name, object_id,
			call->message.type->name);
	}
	return result;
}

int neep_wl_call_handle_request(struct neep_wl_call *call) {
	/* Before its handler, which may free the object. */
	call->object->is_dead = neep_wl_call_is_destructor(call);
	int result = neep_wl_call_dispatch(call);
	if (result == NEEP_WL_WAIT) {
		call->object->is_dead = false;
	}
	return result;
}
