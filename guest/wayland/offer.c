#include "wayland/offer.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/macros.h"
#include "wayland/client.h"
#include "wayland/copy.h"
#include "wayland/format.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/params.h"
#include "wayland/policy.h"
#include "wayland/registry.h"
#include "wayland/shm.h"
#include "wayland/sync.h"
#include "wayland/wayland-requests.h"

// The next uses what this declares.
#include "wayland/wayland-protocol.h"

#include "wayland/linux-dmabuf-requests.h"

/* Of what is offered here: the newer one only says what was meant. */
#define VERSION 4

void neep_wl_offer_destroy(struct neep_wl_offer *offer) {
	free(offer);
}

/* ---- formats ---- */

void neep_wl_offer_add_format(struct neep_wl_offer *offer, uint32_t shm_format) {
	uint32_t format = neep_wl_format_to_drm(shm_format);
	if (neep_wl_format_is_packed(shm_format) && offer->format_count < NEEP_WL_OFFER_FORMATS_MAX &&
		!neep_wl_offer_has_format(offer, format)) {
		offer->formats[offer->format_count++] = format;
	}
}

bool neep_wl_offer_has_format(const struct neep_wl_offer *offer, uint32_t format) {
	for (size_t i = 0; i < offer->format_count; i++) {
		if (offer->formats[i] == format) {
			return true;
		}
	}
	return false;
}

/* ---- announcing ---- */

static bool is_wanted(const struct neep_wl_client *client) {
	return client->host->takes_dmabufs && client->host->render_device != 0;
}

/* Asks the compositor for an answer of the proxy's own, to a question about this registry; 0: about formats. */
static int send_sync(struct neep_wl_client *client, uint32_t registry_id) {
	struct neep_wl_object_params params = {
		.interface = &wl_callback_interface,
		.version = 1,
		.has_host = true,
	};
	struct neep_wl_object *callback = neep_wl_object_create(client, &params);
	if (callback == NULL) {
		return -ENOMEM;
	}
	callback->data = (void *)(uintptr_t)registry_id;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, NEEP_WL_DISPLAY_ID, WL_DISPLAY_SYNC);
	neep_wl_writer_word(&writer, callback->host_id);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

int neep_wl_offer_watch(struct neep_wl_client *client, const struct neep_wl_object *registry) {
	return is_wanted(client) ? send_sync(client, registry->client_id) : 0;
}

static int bind_shm(struct neep_wl_client *client, const struct neep_wl_object *registry, uint32_t name) {
	struct neep_wl_object_params params = {
		.interface = &wl_shm_interface,
		.version = 1,
		.has_host = true,
	};
	struct neep_wl_object *shm = neep_wl_object_create(client, &params);
	if (shm == NULL) {
		return -ENOMEM;
	}
	client->offer->shm = shm;
	if (client->shm->global == NULL) {
		client->shm->global = shm;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, registry->host_id, WL_REGISTRY_BIND);
	neep_wl_writer_word(&writer, name);
	neep_wl_writer_string(&writer, wl_shm_interface.name);
	neep_wl_writer_word(&writer, params.version);
	neep_wl_writer_word(&writer, shm->host_id);
	int result = neep_wl_send_request(client, &writer, NULL, 0);
	return result < 0 ? result : send_sync(client, 0);
}

static int send_global(struct neep_wl_client *client, const struct neep_wl_object *registry,
	const struct neep_wl_global *global) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, registry->client_id, WL_REGISTRY_GLOBAL);
	neep_wl_writer_word(&writer, global->name);
	neep_wl_writer_string(&writer, global->interface->name);
	neep_wl_writer_word(&writer, global->version);
	return neep_wl_send_event(client, &writer, NULL, 0);
}

/* Buffers, and synchronization for them where there can be. */
static int announce(struct neep_wl_client *client, const struct neep_wl_object *registry) {
	struct neep_wl_global global = {
		.name = NEEP_WL_OFFER_NAME,
		.version = client->offer->version,
		.interface = &zwp_linux_dmabuf_v1_interface,
	};
	int result = send_global(client, registry, &global);
	if (result == 0) {
		result = neep_wl_sync_offer(client);
	}
	if (result <= 0) {
		return result;
	}
	global = (struct neep_wl_global){
		.name = NEEP_WL_SYNC_NAME,
		.version = NEEP_WL_SYNC_VERSION,
		.interface = &wp_linux_drm_syncobj_manager_v1_interface,
	};
	return send_global(client, registry, &global);
}

static int make_offer(
	struct neep_wl_client *client, const struct neep_wl_object *registry, uint32_t shm_name) {
	const struct wl_interface *interface;
	uint32_t version = neep_wl_policy_version(
		client->policy, zwp_linux_dmabuf_v1_interface.name, VERSION, &interface);
	if (version == 0) {
		return 0;
	}
	if (client->offer == NULL) {
		client->offer = calloc(1, sizeof(*client->offer));
		if (client->offer == NULL || neep_wl_shm_get(client) == NULL) {
			return -ENOMEM;
		}
		client->offer->version = version;
		int result = neep_wl_import_bind(client, registry);
		if (result == 0) {
			result = bind_shm(client, registry, shm_name);
		}
		if (result < 0) {
			return result;
		}
	}
	return announce(client, registry);
}

/* All globals are known. */
static int on_globals(struct neep_wl_client *client, uint32_t registry_id) {
	const struct neep_wl_object *registry = neep_wl_objects_by_client(&client->objects, registry_id);
	const struct neep_wl_global *shm = neep_wl_globals_find(client, &wl_shm_interface);
	if (registry == NULL || registry->interface != &wl_registry_interface || shm == NULL ||
		neep_wl_globals_find(client, &zwp_linux_dmabuf_v1_interface) != NULL) {
		return 0;
	}
	return make_offer(client, registry, shm->name);
}

static int on_formats(struct neep_wl_client *client) {
	client->offer->has_formats = true;
	neep_wl_client_resume(client);
	return 0;
}

/* Once: compositors can repeat themselves. */
static int on_done(struct neep_wl_call *call) {
	struct neep_wl_object *callback = call->object;
	if (callback->client_id != 0) {
		return NEEP_WL_FORWARD;
	}
	if (callback->is_dead) {
		return NEEP_WL_DONE;
	}
	callback->is_dead = true;
	uint32_t registry_id = (uint32_t)(uintptr_t)callback->data;
	return registry_id != 0 ? on_globals(call->client, registry_id) : on_formats(call->client);
}

static neep_wl_handler *const callback_events[] = {
	[WL_CALLBACK_DONE] = on_done,
};

const struct neep_wl_handlers neep_wl_callback_handlers = {
	.interface = &wl_callback_interface,
	.events = callback_events,
	.event_count = NEEP_ARRAY_LEN(callback_events),
};

/* ---- what clients bind ---- */

static int send_modifiers(struct neep_wl_client *client, const struct neep_wl_object *dmabuf) {
	int result = 0;
	for (size_t i = 0; i < client->offer->format_count && result == 0; i++) {
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, dmabuf->client_id, ZWP_LINUX_DMABUF_V1_MODIFIER);
		neep_wl_writer_word(&writer, client->offer->formats[i]);
		neep_wl_writer_word(&writer, DRM_FORMAT_MOD_LINEAR >> 32);
		neep_wl_writer_word(&writer, DRM_FORMAT_MOD_LINEAR & UINT32_MAX);
		result = neep_wl_send_event(client, &writer, NULL, 0);
	}
	return result;
}

int neep_wl_offer_bind(struct neep_wl_call *call) {
	const struct neep_wl_offer *offer = call->client->offer;
	uint32_t version = call->message.args[2].value;
	if (strcmp(neep_wl_message_string(&call->message, 1), zwp_linux_dmabuf_v1_interface.name) != 0 ||
		version == 0 || version > offer->version) {
		return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_INVALID_OBJECT,
			"invalid interface or version for global %u", NEEP_WL_OFFER_NAME);
	}
	if (!offer->has_formats) {
		return NEEP_WL_WAIT;
	}
	struct neep_wl_object_params params = {
		.interface = &zwp_linux_dmabuf_v1_interface,
		.version = version,
	};
	struct neep_wl_object *dmabuf = neep_wl_call_new_object_of(call, 3, &params);
	if (dmabuf == NULL) {
		return -EPROTO;
	}
	// Older clients cannot say that their pixels lie in rows; newer ones ask for feedback.
	return version == ZWP_LINUX_DMABUF_V1_MODIFIER_SINCE_VERSION ? send_modifiers(call->client, dmabuf)
								     : NEEP_WL_DONE;
}

/* ---- feedback ---- */

static int send_plain(struct neep_wl_client *client, const struct neep_wl_object *object, uint32_t opcode) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, object->client_id, opcode);
	return neep_wl_send_event(client, &writer, NULL, 0);
}

static int send_array(struct neep_wl_client *client, const struct neep_wl_object *object, uint32_t opcode,
	const void *data, size_t size) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, object->client_id, opcode);
	neep_wl_writer_array(&writer, data, size);
	return neep_wl_send_event(client, &writer, NULL, 0);
}

/* As the protocol lays it out. */
struct table_entry {
	uint32_t format;
	uint32_t pad;
	uint64_t modifier;
};

static int send_table(struct neep_wl_client *client, const struct neep_wl_object *feedback) {
	const struct neep_wl_offer *offer = client->offer;
	struct table_entry table[NEEP_WL_OFFER_FORMATS_MAX];
	size_t size = offer->format_count * sizeof(*table);
	for (size_t i = 0; i < offer->format_count; i++) {
		table[i] = (struct table_entry){ offer->formats[i], 0, DRM_FORMAT_MOD_LINEAR };
	}
	int fd = neep_wl_copy_bytes(table, size);
	if (fd < 0) {
		return fd;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, feedback->client_id, ZWP_LINUX_DMABUF_FEEDBACK_V1_FORMAT_TABLE);
	neep_wl_writer_word(&writer, (uint32_t)size);
	return neep_wl_send_event(client, &writer, &fd, 1);
}

/* One tranche, with the whole table. */
static int send_tranche(struct neep_wl_client *client, const struct neep_wl_object *feedback) {
	uint16_t indices[NEEP_WL_OFFER_FORMATS_MAX];
	size_t count = client->offer->format_count;
	for (size_t i = 0; i < count; i++) {
		indices[i] = (uint16_t)i;
	}
	uint64_t device = client->host->render_device;
	int result = send_array(client, feedback, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_TARGET_DEVICE, &device,
		sizeof(device));
	if (result == 0) {
		result = send_array(client, feedback, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FORMATS, indices,
			count * sizeof(*indices));
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, feedback->client_id, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FLAGS);
	neep_wl_writer_word(&writer, 0);
	if (result == 0) {
		result = neep_wl_send_event(client, &writer, NULL, 0);
	}
	return result < 0 ? result : send_plain(client, feedback, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_DONE);
}

static int send_feedback(struct neep_wl_client *client, const struct neep_wl_object *feedback) {
	uint64_t device = client->host->render_device;
	int result = send_table(client, feedback);
	if (result == 0) {
		result = send_array(
			client, feedback, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, &device, sizeof(device));
	}
	if (result == 0) {
		result = send_tranche(client, feedback);
	}
	return result < 0 ? result : send_plain(client, feedback, ZWP_LINUX_DMABUF_FEEDBACK_V1_DONE);
}

/* id; also of a surface, for which there is nothing else to say */
static int on_get_feedback(struct neep_wl_call *call) {
	if (call->object->host_id != 0) {
		return NEEP_WL_FORWARD;
	}
	struct neep_wl_object *feedback =
		neep_wl_call_new_object(call, 0, &zwp_linux_dmabuf_feedback_v1_interface, false);
	return feedback == NULL ? -EPROTO : send_feedback(call->client, feedback);
}

/* id */
static int on_create_params(struct neep_wl_call *call) {
	return call->object->host_id != 0 ? NEEP_WL_FORWARD : neep_wl_params_create(call);
}

static neep_wl_handler *const dmabuf_requests[] = {
	[ZWP_LINUX_DMABUF_V1_DESTROY] = neep_wl_on_destroy,
	[ZWP_LINUX_DMABUF_V1_CREATE_PARAMS] = on_create_params,
	[ZWP_LINUX_DMABUF_V1_GET_DEFAULT_FEEDBACK] = on_get_feedback,
	[ZWP_LINUX_DMABUF_V1_GET_SURFACE_FEEDBACK] = on_get_feedback,
};

const struct neep_wl_handlers neep_wl_dmabuf_handlers = {
	.interface = &zwp_linux_dmabuf_v1_interface,
	.requests = dmabuf_requests,
	.request_count = NEEP_ARRAY_LEN(dmabuf_requests),
};
