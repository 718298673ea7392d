#include "wayland/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/macros.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/offer.h"
#include "wayland/policy.h"
#include "wayland/sync.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

/* No compositor has so many; one that goes on announcing them would fill the memory. */
#define GLOBALS_MAX 1024

/* ---- globals ---- */

static struct neep_wl_global *find_global(const struct neep_wl_client *client, uint32_t name) {
	neep_list_for_each (global, &client->globals, struct neep_wl_global, link) {
		if (global->name == name) {
			return global;
		}
	}
	return NULL;
}

const struct neep_wl_global *neep_wl_globals_find(
	const struct neep_wl_client *client, const struct wl_interface *interface) {
	const struct neep_wl_global *found = NULL;
	neep_list_for_each (global, &client->globals, struct neep_wl_global, link) {
		if (global->interface == interface && !global->is_removed) {
			found = global;
		}
	}
	return found;
}

static void forget(struct neep_wl_global *global) {
	neep_list_remove(&global->link);
	free(global);
}

void neep_wl_globals_finish(struct neep_wl_client *client) {
	neep_list_for_each_safe (global, &client->globals, struct neep_wl_global, link) {
		forget(global);
	}
}

/* Makes room for one more by forgetting the oldest of the removed ones. */
static bool has_room(struct neep_wl_client *client) {
	size_t count = 0;
	struct neep_wl_global *oldest_removed = NULL;
	neep_list_for_each (global, &client->globals, struct neep_wl_global, link) {
		count++;
		if (oldest_removed == NULL && global->is_removed) {
			oldest_removed = global;
		}
	}
	if (count < GLOBALS_MAX) {
		return true;
	}
	if (oldest_removed != NULL) {
		forget(oldest_removed);
	}
	return oldest_removed != NULL;
}

static struct neep_wl_global *new_global(struct neep_wl_client *client, uint32_t name) {
	struct neep_wl_global *global = has_room(client) ? calloc(1, sizeof(*global)) : NULL;
	if (global != NULL) {
		global->name = name;
		neep_list_append(&client->globals, &global->link);
	}
	return global;
}

/* ---- wl_registry ---- */

/* Nobody here could make buffers for it (programs that find it look for a driver before they do without), or what can be made is
 * none to the compositor; the compositor's timelines are those of another kernel. Nor may it take the number of a global of the
 * proxy's own. */
static bool is_of_no_use(
	const struct neep_wl_client *client, uint32_t name, const struct wl_interface *interface) {
	const struct neep_wl_host *host = client->host;
	return name == NEEP_WL_OFFER_NAME || name == NEEP_WL_SYNC_NAME ||
	       interface == &wp_linux_drm_syncobj_manager_v1_interface ||
	       (interface == &zwp_linux_dmabuf_v1_interface &&
		       (!host->takes_dmabufs || host->blobs_are_memory));
}

/* What clients do not see may be of use to the proxy. */
static void note_hidden(struct neep_wl_client *client, const struct neep_wl_message *message,
	const struct wl_interface *interface) {
	if (interface == &zwp_linux_dmabuf_v1_interface &&
		message->args[2].value >= ZWP_LINUX_DMABUF_V1_MODIFIER_SINCE_VERSION) {
		client->dmabuf_name = message->args[0].value;
	}
}

static int registry_global(struct neep_wl_call *call) {
	struct neep_wl_message *message = &call->message;
	const char *interface_name = neep_wl_message_string(message, 1);
	const struct wl_interface *interface = NULL;
	uint32_t name = message->args[0].value;
	uint32_t version = neep_wl_policy_version(
		call->client->policy, interface_name, message->args[2].value, &interface);
	if (version == 0) {
		neep_wl_policy_tell_hidden(call->client->policy, interface_name);
		return NEEP_WL_DONE;
	}
	if (is_of_no_use(call->client, name, interface)) {
		note_hidden(call->client, message, interface);
		return NEEP_WL_DONE;
	}
	struct neep_wl_global *global = find_global(call->client, name);
	if (global == NULL) {
		global = new_global(call->client, name);
	}
	if (global == NULL) {
		return NEEP_WL_DONE;
	}
	global->interface = interface;
	global->version = version;
	global->is_removed = false;
	neep_wl_message_set(message, 2, version);
	return NEEP_WL_FORWARD;
}

static int registry_global_remove(struct neep_wl_call *call) {
	struct neep_wl_global *global = find_global(call->client, call->message.args[0].value);
	if (call->message.args[0].value == call->client->dmabuf_name) {
		call->client->dmabuf_name = 0;
	}
	if (global == NULL) {
		return NEEP_WL_DONE;
	}
	global->is_removed = true;
	return NEEP_WL_FORWARD;
}

static int registry_bind(struct neep_wl_call *call) {
	struct neep_wl_message *message = &call->message;
	uint32_t name = message->args[0].value;
	const char *interface_name = neep_wl_message_string(message, 1);
	uint32_t version = message->args[2].value;
	if (name == NEEP_WL_OFFER_NAME && call->client->offer != NULL) {
		return neep_wl_offer_bind(call);
	}
	if (name == NEEP_WL_SYNC_NAME && call->client->sync != NULL) {
		return neep_wl_sync_bind(call);
	}
	const struct neep_wl_global *global = find_global(call->client, name);
	if (global == NULL || strcmp(global->interface->name, interface_name) != 0) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"there is no global %u of this interface", name);
	}
	if (version == 0 || version > global->version) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"invalid version for global %s (%u): have %u, wanted %u", global->interface->name,
			name, global->version, version);
	}
	struct neep_wl_object_params params = {
		.interface = global->interface,
		.version = version,
		.has_host = true,
	};
	return neep_wl_call_new_object_of(call, 3, &params) == NULL ? -EPROTO : NEEP_WL_FORWARD;
}

/* ---- wl_display ---- */

static int display_error(struct neep_wl_call *call) {
	struct neep_wl_message *message = &call->message;
	const struct neep_wl_object *object =
		neep_wl_objects_by_host(&call->client->objects, message->args[0].value);
	/* An object of the proxy's own means nothing to the client. */
	bool is_clients = object != NULL && object->client_id != 0;
	neep_wl_message_set(message, 0, is_clients ? object->client_id : NEEP_WL_DISPLAY_ID);
	message->args[0].type = 'u';
	return NEEP_WL_FORWARD;
}

static int display_delete_id(struct neep_wl_call *call) {
	struct neep_wl_message *message = &call->message;
	struct neep_wl_object *object =
		neep_wl_objects_by_host(&call->client->objects, message->args[0].value);
	if (object == NULL || object == call->object || object->host_id >= NEEP_WL_SERVER_IDS) {
		return NEEP_WL_DONE;
	}
	uint32_t client_id = object->client_id;
	neep_wl_object_destroy(call->client, object);
	neep_wl_message_set(message, 0, client_id);
	return client_id == 0 || client_id >= NEEP_WL_SERVER_IDS ? NEEP_WL_DONE : NEEP_WL_FORWARD;
}

/* registry */
static int display_get_registry(struct neep_wl_call *call) {
	uint32_t client_id = call->message.args[0].value;
	int result = neep_wl_forward(call, NULL, 0);
	if (result < 0) {
		return result;
	}
	return neep_wl_offer_watch(
		call->client, neep_wl_objects_by_client(&call->client->objects, client_id));
}

static neep_wl_handler *const display_requests[] = {
	[WL_DISPLAY_GET_REGISTRY] = display_get_registry,
};

static neep_wl_handler *const display_events[] = {
	[WL_DISPLAY_ERROR] = display_error,
	[WL_DISPLAY_DELETE_ID] = display_delete_id,
};

const struct neep_wl_handlers neep_wl_display_handlers = {
	.interface = &wl_display_interface,
	.requests = display_requests,
	.request_count = NEEP_ARRAY_LEN(display_requests),
	.events = display_events,
	.event_count = NEEP_ARRAY_LEN(display_events),
};

static neep_wl_handler *const registry_requests[] = {
	[WL_REGISTRY_BIND] = registry_bind,
};

static neep_wl_handler *const registry_events[] = {
	[WL_REGISTRY_GLOBAL] = registry_global,
	[WL_REGISTRY_GLOBAL_REMOVE] = registry_global_remove,
};

const struct neep_wl_handlers neep_wl_registry_handlers = {
	.interface = &wl_registry_interface,
	.requests = registry_requests,
	.request_count = NEEP_ARRAY_LEN(registry_requests),
	.events = registry_events,
	.event_count = NEEP_ARRAY_LEN(registry_events),
};
