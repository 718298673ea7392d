#include "wayland/import.h"

#include <drm_fourcc.h>
#include <errno.h>

#include "util/fd.h"
#include "util/log.h"
#include "wayland/buffer.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/offer.h"
#include "wayland/pool.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

// The next uses what these declare.
#include "wayland/linux-dmabuf-requests.h"

#define VERSION ZWP_LINUX_DMABUF_V1_MODIFIER_SINCE_VERSION

/* ---- what the compositor takes ---- */

/* format, modifier_hi, modifier_lo */
static int on_modifier(struct neep_wl_call *call) {
	const struct neep_wl_arg *args = call->message.args;
	struct neep_wl_imports *imports = &call->client->offer->imports;
	uint64_t modifier = (uint64_t)args[1].value << 32 | args[2].value;
	if (modifier == DRM_FORMAT_MOD_LINEAR && imports->format_count < NEEP_WL_IMPORT_FORMATS_MAX) {
		imports->formats[imports->format_count++] = args[0].value;
	}
	return NEEP_WL_DONE;
}

static void on_dmabuf_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)object;
	client->offer->imports.dmabuf = NULL;
}

static neep_wl_handler *const dmabuf_events[] = {
	[ZWP_LINUX_DMABUF_V1_MODIFIER] = on_modifier,
};

/* Of the proxy's own object, not of those of clients. */
static const struct neep_wl_handlers dmabuf_handlers = {
	.interface = &zwp_linux_dmabuf_v1_interface,
	.events = dmabuf_events,
	.event_count = NEEP_ARRAY_LEN(dmabuf_events),
	.gone = on_dmabuf_gone,
};

/* An object of the proxy's own, with handlers of its own. */
static struct neep_wl_object *create_object(struct neep_wl_client *client,
	const struct wl_interface *interface, const struct neep_wl_handlers *handlers) {
	struct neep_wl_object_params params = {
		.interface = interface,
		.version = VERSION,
		.has_host = true,
	};
	struct neep_wl_object *object = neep_wl_object_create(client, &params);
	if (object != NULL) {
		object->handlers = handlers;
	}
	return object;
}

int neep_wl_import_bind(struct neep_wl_client *client, const struct neep_wl_object *registry) {
	if (client->dmabuf_name == 0 || !client->host->sends_dmabufs) {
		return 0;
	}
	struct neep_wl_object *dmabuf =
		create_object(client, &zwp_linux_dmabuf_v1_interface, &dmabuf_handlers);
	if (dmabuf == NULL) {
		return -ENOMEM;
	}
	client->offer->imports.dmabuf = dmabuf;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, registry->host_id, WL_REGISTRY_BIND);
	neep_wl_writer_word(&writer, client->dmabuf_name);
	neep_wl_writer_string(&writer, zwp_linux_dmabuf_v1_interface.name);
	neep_wl_writer_word(&writer, VERSION);
	neep_wl_writer_word(&writer, dmabuf->host_id);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

/* ---- the answer ---- */

/* The compositor has said what it says of a buffer; nothing else is wanted of the params. Returns the buffer, with the
 * reference that the params had. NULL: it had been said already. */
static struct neep_wl_buffer *end_params(struct neep_wl_call *call) {
	struct neep_wl_object *params = call->object;
	struct neep_wl_buffer *buffer = params->data;
	if (buffer == NULL) {
		return NULL;
	}
	params->data = NULL;
	// It stays until the compositor's delete_id.
	params->is_dead = true;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, params->host_id, ZWP_LINUX_BUFFER_PARAMS_V1_DESTROY);
	neep_wl_send_request(call->client, &writer, NULL, 0);
	return buffer;
}

static int bad_event(struct neep_wl_call *call) {
	return neep_wl_client_fail(call->client, NULL, WL_DISPLAY_ERROR_IMPLEMENTATION,
		"the compositor sent a bad event: %s.%s", call->object->interface->name,
		call->message.type->name);
}

/* buffer */
static int on_created(struct neep_wl_call *call) {
	struct neep_wl_client *client = call->client;
	uint32_t host_id = call->message.args[0].value;
	struct neep_wl_buffer *buffer = host_id >= NEEP_WL_SERVER_IDS ? end_params(call) : NULL;
	if (buffer == NULL) {
		return bad_event(call);
	}
	int result = 0;
	if (buffer->object == NULL) {
		result = neep_wl_buffer_send_destroy(client, host_id);
	} else {
		neep_wl_object_take_host(client, buffer->object, host_id);
		buffer->import = NEEP_WL_IMPORT_DONE;
	}
	neep_wl_buffer_unref(buffer);
	neep_wl_client_resume(client);
	return result;
}

static int on_failed(struct neep_wl_call *call) {
	struct neep_wl_buffer *buffer = end_params(call);
	if (buffer == NULL) {
		return bad_event(call);
	}
	neep_log("wayland", NEEP_LOG_DEBUG, "%s: the compositor does not import the host's dma-bufs",
		call->client->name);
	call->client->offer->imports.was_refused = true;
	buffer->import = NEEP_WL_IMPORT_NONE;
	neep_wl_buffer_unref(buffer);
	neep_wl_client_resume(call->client);
	return 0;
}

/* Without an answer, at the end of the client, or by a compositor that deletes what it has not been told to. */
static void on_params_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_buffer *buffer = object->data;
	if (buffer != NULL) {
		buffer->import = NEEP_WL_IMPORT_NONE;
		neep_wl_buffer_unref(buffer);
		neep_wl_client_resume(client);
	}
}

static neep_wl_handler *const params_events[] = {
	[ZWP_LINUX_BUFFER_PARAMS_V1_CREATED] = on_created,
	[ZWP_LINUX_BUFFER_PARAMS_V1_FAILED] = on_failed,
};

static const struct neep_wl_handlers params_handlers = {
	.interface = &zwp_linux_buffer_params_v1_interface,
	.events = params_events,
	.event_count = NEEP_ARRAY_LEN(params_events),
	.gone = on_params_gone,
};

/* ---- the question ---- */

static bool has_format(const struct neep_wl_imports *imports, uint32_t format) {
	for (size_t i = 0; i < imports->format_count; i++) {
		if (imports->formats[i] == format) {
			return true;
		}
	}
	return false;
}

/* Memory that is mapped here is none that the host knows. */
static bool may_ask(const struct neep_wl_client *client, const struct neep_wl_buffer *buffer) {
	const struct neep_wl_imports *imports = client->offer != NULL ? &client->offer->imports : NULL;
	return imports != NULL && imports->dmabuf != NULL && !imports->was_refused &&
	       neep_wl_pool_is_dmabuf(buffer->pool) && buffer->pool->mapping.data == NULL &&
	       has_format(imports, neep_wl_format_to_drm(buffer->image.format));
}

static int send_create_params(struct neep_wl_client *client, const struct neep_wl_object *params) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(
		&writer, client->offer->imports.dmabuf->host_id, ZWP_LINUX_DMABUF_V1_CREATE_PARAMS);
	neep_wl_writer_word(&writer, params->host_id);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

static int send_add(struct neep_wl_client *client, const struct neep_wl_object *params,
	const struct neep_wl_buffer *buffer) {
	struct neep_wl_attachment attachment = {
		.owned_fd = neep_fd_dup(buffer->pool->fd),
		.is_dmabuf = true,
	};
	if (attachment.owned_fd < 0) {
		return attachment.owned_fd;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, params->host_id, ZWP_LINUX_BUFFER_PARAMS_V1_ADD);
	neep_wl_writer_word(&writer, 0);
	neep_wl_writer_word(&writer, buffer->offset);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.stride);
	neep_wl_writer_word(&writer, DRM_FORMAT_MOD_LINEAR >> 32);
	neep_wl_writer_word(&writer, DRM_FORMAT_MOD_LINEAR & UINT32_MAX);
	return neep_wl_send_request(client, &writer, &attachment, 1);
}

static int send_create(struct neep_wl_client *client, const struct neep_wl_object *params,
	const struct neep_wl_buffer *buffer) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, params->host_id, ZWP_LINUX_BUFFER_PARAMS_V1_CREATE);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.width);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.height);
	neep_wl_writer_word(&writer, neep_wl_format_to_drm(buffer->image.format));
	neep_wl_writer_word(&writer, 0);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

int neep_wl_import_ask(struct neep_wl_client *client, struct neep_wl_buffer *buffer) {
	if (!may_ask(client, buffer)) {
		return 0;
	}
	struct neep_wl_object *params =
		create_object(client, &zwp_linux_buffer_params_v1_interface, &params_handlers);
	if (params == NULL) {
		return -ENOMEM;
	}
	params->data = neep_wl_buffer_ref(buffer);
	buffer->import = NEEP_WL_IMPORT_ASKED;
	int result = send_create_params(client, params);
	if (result == 0) {
		result = send_add(client, params, buffer);
	}
	return result < 0 ? result : send_create(client, params, buffer);
}
