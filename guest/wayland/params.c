#include "wayland/params.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>

#include "util/checked.h"
#include "util/fd.h"
#include "util/macros.h"
#include "wayland/buffer.h"
#include "wayland/client.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/offer.h"
#include "wayland/shm.h"

// The next uses what this declares.
#include "wayland/wayland-protocol.h"

#include "wayland/linux-dmabuf-requests.h"

#define PLANES_MAX 4

/* Only the first plane can be used; of the others it is enough to know that they are there. */
struct params {
	uint32_t planes; // a mask of those that were added
	int fd;
	uint32_t offset;
	uint32_t stride;
	uint64_t modifier;
	bool is_used;
};

static void on_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	struct params *params = object->data;
	if (params != NULL) {
		neep_close_fd(&params->fd);
		free(params);
	}
}

int neep_wl_params_create(struct neep_wl_call *call) {
	struct neep_wl_object *object =
		neep_wl_call_new_object(call, 0, &zwp_linux_buffer_params_v1_interface, false);
	if (object == NULL) {
		return -EPROTO;
	}
	struct params *params = calloc(1, sizeof(*params));
	if (params == NULL) {
		return -ENOMEM;
	}
	params->fd = -1;
	object->data = params;
	return NEEP_WL_DONE;
}

static int fail(struct neep_wl_call *call, uint32_t code, const char *text) {
	return neep_wl_client_fail(call->client, call->object, code, "%s", text);
}

static int check_unused(struct neep_wl_call *call, const struct params *params) {
	return params->is_used ? fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED,
					 "params were already used to create a wl_buffer")
			       : 0;
}

/* fd, plane_idx, offset, stride, modifier_hi, modifier_lo */
static int on_add(struct neep_wl_call *call) {
	struct params *params = call->object->data;
	const struct neep_wl_arg *args = call->message.args;
	if (params == NULL) {
		return NEEP_WL_FORWARD;
	}
	int result = check_unused(call, params);
	if (result < 0) {
		return result;
	}
	uint32_t plane = args[1].value;
	if (plane >= PLANES_MAX) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_IDX, "plane index is too high");
	}
	if ((params->planes & UINT32_C(1) << plane) != 0) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_SET,
			"a dma-buf was added to this plane");
	}
	params->planes |= UINT32_C(1) << plane;
	if (plane == 0) {
		params->fd = neep_wl_message_take_fd(&call->message, 0);
		params->offset = args[2].value;
		params->stride = args[3].value;
		params->modifier = (uint64_t)args[4].value << 32 | args[5].value;
	}
	return NEEP_WL_DONE;
}

/* ---- the buffer ---- */

/* What create and create_immed say, from argument `first` on: width, height, format, flags. */
static struct neep_wl_image read_image(
	const struct neep_wl_call *call, const struct params *params, size_t first) {
	const struct neep_wl_arg *args = call->message.args + first;
	return (struct neep_wl_image){
		.width = (int32_t)args[0].value,
		.height = (int32_t)args[1].value,
		.stride = params->stride > INT32_MAX ? -1 : (int32_t)params->stride,
		.format = neep_wl_format_from_drm(args[2].value),
	};
}

/* Mistakes that end the client. `buffer` gets what is known without the memory. */
static int check(
	struct neep_wl_call *call, const struct params *params, size_t first, struct neep_wl_buffer *buffer) {
	const struct neep_wl_image *image = &buffer->image;
	if ((params->planes & 1) == 0) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE, "no dma-buf was added");
	}
	if (params->planes != 1 || params->modifier != DRM_FORMAT_MOD_LINEAR ||
		!neep_wl_offer_has_format(call->client->offer, call->message.args[first + 2].value)) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT,
			"format, modifier and planes were not offered");
	}
	if (image->width <= 0 || image->height <= 0) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_DIMENSIONS,
			"width and height must be positive");
	}
	if (params->offset > INT32_MAX || !neep_wl_layout_init(&buffer->layout, image)) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS,
			"offset, stride and height do not fit");
	}
	buffer->offset = params->offset;
	return 0;
}

/* Takes the dma-buf. NULL in *pool: it cannot be used. */
static int make_pool(struct neep_wl_call *call, struct params *params, const struct neep_wl_buffer *made,
	struct neep_wl_pool **pool) {
	*pool = neep_wl_pool_create_dmabuf(call->client->shm, &params->fd);
	if (*pool == NULL || neep_range_within(made->offset, made->layout.size, (*pool)->size)) {
		return 0;
	}
	neep_wl_pool_unref(*pool);
	return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS,
		"offset, stride and height do not fit the dma-buf");
}

/* Of width, height, format, flags from argument `first` on: what both requests have in common, and the memory of the buffer; bottom up
 * and interlaced are none that wl_shm has. */
static int use(
	struct neep_wl_call *call, size_t first, struct neep_wl_buffer *made, struct neep_wl_pool **pool) {
	struct params *params = call->object->data;
	*made = (struct neep_wl_buffer){ .image = read_image(call, params, first) };
	*pool = NULL;
	int result = check_unused(call, params);
	params->is_used = true;
	if (result == 0) {
		result = check(call, params, first, made);
	}
	bool has_flags = call->message.args[first + 3].value != 0;
	return result < 0 || has_flags ? result : make_pool(call, params, made, pool);
}

static int send_failed(const struct neep_wl_call *call) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, call->object->client_id, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED);
	return neep_wl_send_event(call->client, &writer, NULL, 0);
}

/* The client gets an id of the compositor's kind. */
static int send_created(
	const struct neep_wl_call *call, const struct neep_wl_buffer *made, struct neep_wl_pool *pool) {
	struct neep_wl_object_params params = {
		.interface = &wl_buffer_interface,
		.version = call->object->version,
		.has_client = true,
	};
	struct neep_wl_object *object = neep_wl_object_create(call->client, &params);
	if (object == NULL || neep_wl_buffer_init(object, made, pool) < 0) {
		return -ENOMEM;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, call->object->client_id, ZWP_LINUX_BUFFER_PARAMS_V1_CREATED);
	neep_wl_writer_word(&writer, object->client_id);
	return neep_wl_send_event(call->client, &writer, NULL, 0);
}

/* width, height, format, flags */
static int on_create(struct neep_wl_call *call) {
	struct neep_wl_buffer made;
	struct neep_wl_pool *pool;
	if (call->object->data == NULL) {
		return NEEP_WL_FORWARD;
	}
	int result = use(call, 0, &made, &pool);
	if (result < 0) {
		return result;
	}
	if (pool == NULL) {
		return send_failed(call);
	}
	result = send_created(call, &made, pool);
	neep_wl_pool_unref(pool);
	return result;
}

/* id, width, height, format, flags */
static int on_create_immed(struct neep_wl_call *call) {
	struct neep_wl_buffer made;
	struct neep_wl_pool *pool;
	if (call->object->data == NULL) {
		return NEEP_WL_FORWARD;
	}
	int result = use(call, 1, &made, &pool);
	if (result < 0) {
		return result;
	}
	if (pool == NULL) {
		return fail(call, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_WL_BUFFER,
			"the dma-buf cannot be used");
	}
	struct neep_wl_object *object = neep_wl_call_new_object(call, 0, &wl_buffer_interface, false);
	result = object == NULL ? -EPROTO : neep_wl_buffer_init(object, &made, pool);
	neep_wl_pool_unref(pool);
	return result;
}

static neep_wl_handler *const requests[] = {
	[ZWP_LINUX_BUFFER_PARAMS_V1_DESTROY] = neep_wl_on_destroy,
	[ZWP_LINUX_BUFFER_PARAMS_V1_ADD] = on_add,
	[ZWP_LINUX_BUFFER_PARAMS_V1_CREATE] = on_create,
	[ZWP_LINUX_BUFFER_PARAMS_V1_CREATE_IMMED] = on_create_immed,
};

const struct neep_wl_handlers neep_wl_params_handlers = {
	.interface = &zwp_linux_buffer_params_v1_interface,
	.requests = requests,
	.request_count = NEEP_ARRAY_LEN(requests),
	.gone = on_gone,
};
