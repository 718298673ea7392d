#include "wayland/buffer.h"

#include <errno.h>
#include <stdlib.h>

#include "util/checked.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/mirror.h"
#include "wayland/shm.h"
#include "wayland/sync.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

struct neep_wl_buffer *neep_wl_buffer_from_object(const struct neep_wl_object *object) {
	return object != NULL && object->handlers == &neep_wl_buffer_handlers ? object->data : NULL;
}

struct neep_wl_buffer *neep_wl_buffer_ref(struct neep_wl_buffer *buffer) {
	if (buffer != NULL) {
		buffer->refs++;
	}
	return buffer;
}

void neep_wl_buffer_unref(struct neep_wl_buffer *buffer) {
	if (buffer == NULL || --buffer->refs > 0) {
		return;
	}
	neep_wl_releases_signal(&buffer->releases);
	neep_wl_mirror_destroy(buffer->mirror);
	neep_wl_pool_unref(buffer->pool);
	free(buffer);
}

/* ---- creating ---- */

/* Reads the arguments: id, offset, width, height, stride, format. */
static struct neep_wl_image read_image(const struct neep_wl_message *message) {
	return (struct neep_wl_image){
		.width = (int32_t)message->args[2].value,
		.height = (int32_t)message->args[3].value,
		.stride = (int32_t)message->args[4].value,
		.format = message->args[5].value,
	};
}

/* As libwayland's compositors check it, and that rows do not overlap. */
static int check_image(
	struct neep_wl_call *call, const struct neep_wl_pool *pool, struct neep_wl_buffer *buffer) {
	const struct neep_wl_image *image = &buffer->image;
	if (!neep_wl_format_is_known(image->format)) {
		return neep_wl_client_fail(call->client, call->object, WL_SHM_ERROR_INVALID_FORMAT,
			"invalid format 0x%x", image->format);
	}
	int32_t offset = (int32_t)call->message.args[1].value;
	if (offset < 0 || !neep_wl_layout_init(&buffer->layout, image) ||
		!neep_range_within((uint64_t)offset, buffer->layout.size, pool->mapping.size)) {
		return neep_wl_client_fail(call->client, call->object, WL_SHM_ERROR_INVALID_STRIDE,
			"invalid offset, width, height or stride (%d, %dx%d, %d)", offset, image->width,
			image->height, image->stride);
	}
	buffer->offset = (uint32_t)offset;
	return 0;
}

int neep_wl_buffer_create(struct neep_wl_call *call, struct neep_wl_pool *pool) {
	struct neep_wl_buffer made = { .image = read_image(&call->message) };
	int result = check_image(call, pool, &made);
	if (result < 0) {
		return result;
	}
	struct neep_wl_object *object = neep_wl_call_new_object(call, 0, &wl_buffer_interface, false);
	return object == NULL ? -EPROTO : neep_wl_buffer_init(object, &made, pool);
}

int neep_wl_buffer_init(
	struct neep_wl_object *object, const struct neep_wl_buffer *made, struct neep_wl_pool *pool) {
	struct neep_wl_buffer *buffer = malloc(sizeof(*buffer));
	if (buffer == NULL) {
		return -ENOMEM;
	}
	*buffer = *made;
	buffer->refs = 1;
	buffer->object = object;
	buffer->pool = neep_wl_pool_ref(pool);
	neep_list_init(&buffer->releases);
	object->data = buffer;
	return neep_wl_import_ask(pool->shm->mirrors.client, buffer);
}

/* ---- the mirror ---- */

static int no_memory(struct neep_wl_client *client) {
	return neep_wl_client_fail(
		client, NULL, WL_DISPLAY_ERROR_NO_MEMORY, "no memory at the host for a buffer");
}

bool neep_wl_buffer_is_at_host(const struct neep_wl_buffer *buffer) {
	return buffer->mirror != NULL || buffer->import == NEEP_WL_IMPORT_DONE;
}

/* Whether the compositor has the client's own memory. */
static bool is_passed(const struct neep_wl_buffer *buffer) {
	return buffer->import == NEEP_WL_IMPORT_DONE || buffer->mirror->memory == NULL;
}

/* The compositor gets its wl_buffer of the mirror. */
static int send_create_buffer(struct neep_wl_client *client, const struct neep_wl_buffer *buffer) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, buffer->mirror->pool_host_id, WL_SHM_POOL_CREATE_BUFFER);
	neep_wl_writer_word(&writer, buffer->object->host_id);
	neep_wl_writer_word(&writer, is_passed(buffer) ? buffer->offset : 0);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.width);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.height);
	neep_wl_writer_word(&writer, (uint32_t)buffer->image.stride);
	neep_wl_writer_word(&writer, buffer->image.format);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

static struct neep_wl_mirror *take_mirror(struct neep_wl_shm *shm, const struct neep_wl_buffer *buffer) {
	const struct neep_wl_pool *pool = buffer->pool;
	return pool->mapping.data == NULL
		       ? neep_wl_mirrors_pass(&shm->mirrors, shm->global, pool->fd, pool->size)
		       : neep_wl_mirrors_take(&shm->mirrors, shm->global, buffer->layout.size);
}

int neep_wl_buffer_prepare(struct neep_wl_client *client, struct neep_wl_buffer *buffer) {
	buffer->is_busy = true;
	if (neep_wl_buffer_is_at_host(buffer)) {
		return 0;
	}
	buffer->mirror = take_mirror(client->shm, buffer);
	if (buffer->mirror == NULL || neep_wl_object_give_host(client, buffer->object) < 0) {
		return no_memory(client);
	}
	return send_create_buffer(client, buffer);
}

/* ---- copying ---- */

static bool copy_rows(
	struct neep_wl_client *client, struct neep_wl_buffer *buffer, struct neep_wl_rows *rows) {
	rows->to = buffer->mirror->memory->data + rows->from;
	rows->from += buffer->offset;
	client->shm->copied_bytes += rows->row_size * rows->count;
	return neep_wl_pool_read(buffer->pool, rows);
}

static bool copy_rect(
	struct neep_wl_client *client, struct neep_wl_buffer *buffer, const struct neep_wl_rect *rect) {
	size_t stride = (size_t)buffer->image.stride;
	bool is_whole_width = rect->x1 == 0 && rect->x2 == buffer->image.width;
	struct neep_wl_rows rows = {
		.from = (size_t)rect->y1 * stride + (size_t)rect->x1 * buffer->layout.pixel_size,
		.stride = stride,
		.row_size =
			is_whole_width ? stride : (size_t)(rect->x2 - rect->x1) * buffer->layout.pixel_size,
		.count = (size_t)(rect->y2 - rect->y1),
	};
	return copy_rows(client, buffer, &rows);
}

static bool copy_whole(struct neep_wl_client *client, struct neep_wl_buffer *buffer) {
	size_t size = buffer->layout.size;
	return copy_rows(
		client, buffer, &(struct neep_wl_rows){ .stride = size, .row_size = size, .count = 1 });
}

static bool copy_rects(
	struct neep_wl_client *client, struct neep_wl_buffer *buffer, const struct neep_wl_damage *damage) {
	struct neep_wl_damage clipped = *damage;
	neep_wl_damage_clip(&clipped, buffer->image.width, buffer->image.height);
	bool is_good = true;
	for (uint32_t i = 0; i < clipped.count && is_good; i++) {
		is_good = copy_rect(client, buffer, &clipped.rects[i]);
	}
	return is_good;
}

int neep_wl_buffer_copy(
	struct neep_wl_client *client, struct neep_wl_buffer *buffer, const struct neep_wl_damage *damage) {
	if (neep_wl_damage_is_empty(damage) || is_passed(buffer)) {
		return 0;
	}
	bool is_good = buffer->layout.is_indivisible ? copy_whole(client, buffer)
						     : copy_rects(client, buffer, damage);
	if (is_good) {
		return 0;
	}
	uint32_t code = neep_wl_pool_is_dmabuf(buffer->pool)
				? (uint32_t)ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_WL_BUFFER
				: (uint32_t)WL_SHM_ERROR_INVALID_FD;
	return neep_wl_client_fail(client, buffer->object, code, "the buffer's memory cannot be read");
}

/* ---- wl_buffer ---- */

/* The compositor has released the mirror, or never seen it: the next buffer may have it. */
static int put_mirror(struct neep_wl_client *client, struct neep_wl_buffer *buffer) {
	struct neep_wl_mirror *mirror = buffer->mirror;
	buffer->mirror = NULL;
	return buffer->is_busy ? neep_wl_mirrors_give_up(&client->shm->mirrors, mirror)
			       : neep_wl_mirrors_put(&client->shm->mirrors, mirror);
}

int neep_wl_buffer_send_destroy(struct neep_wl_client *client, uint32_t host_id) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, host_id, WL_BUFFER_DESTROY);
	return neep_wl_send_request(client, &writer, NULL, 0);
}

/* Of a buffer that the client does not know any more. An imported one's id is the compositor's, of which no delete_id comes. */
static int end_at_host(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_buffer *buffer = object->data;
	int result = neep_wl_buffer_send_destroy(client, object->host_id);
	if (buffer->import != NEEP_WL_IMPORT_DONE) {
		return result < 0 ? result : put_mirror(client, buffer);
	}
	buffer->import = NEEP_WL_IMPORT_NONE;
	neep_wl_object_destroy(client, object);
	return result;
}

static int on_destroy(struct neep_wl_call *call) {
	struct neep_wl_buffer *buffer = neep_wl_buffer_from_object(call->object);
	if (buffer == NULL) {
		return NEEP_WL_FORWARD;
	}
	buffer->object = NULL;
	if (!neep_wl_buffer_is_at_host(buffer)) {
		neep_wl_object_delete_local(call->client, call->object);
		return NEEP_WL_DONE;
	}
	if (!neep_list_is_empty(&buffer->releases)) {
		neep_wl_object_keep_host(call->client, call->object);
		return NEEP_WL_DONE;
	}
	if (buffer->import == NEEP_WL_IMPORT_DONE) {
		neep_wl_object_keep_host(call->client, call->object);
		return end_at_host(call->client, call->object);
	}
	int result = neep_wl_forward(call, NULL, 0);
	return result < 0 ? result : put_mirror(call->client, buffer);
}

static int on_release(struct neep_wl_call *call) {
	struct neep_wl_buffer *buffer = neep_wl_buffer_from_object(call->object);
	if (buffer == NULL) {
		return NEEP_WL_FORWARD;
	}
	buffer->is_busy = false;
	neep_wl_releases_signal(&buffer->releases);
	bool is_left = call->object->client_id == 0 && neep_wl_buffer_is_at_host(buffer);
	return is_left ? end_at_host(call->client, call->object) : NEEP_WL_FORWARD;
}

static void on_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	struct neep_wl_buffer *buffer = object->data;
	if (buffer != NULL) {
		buffer->object = NULL;
		neep_wl_buffer_unref(buffer);
	}
}

static neep_wl_handler *const requests[] = {
	[WL_BUFFER_DESTROY] = on_destroy,
};

static neep_wl_handler *const events[] = {
	[WL_BUFFER_RELEASE] = on_release,
};

const struct neep_wl_handlers neep_wl_buffer_handlers = {
	.interface = &wl_buffer_interface,
	.requests = requests,
	.request_count = NEEP_ARRAY_LEN(requests),
	.events = events,
	.event_count = NEEP_ARRAY_LEN(events),
	.gone = on_gone,
};
