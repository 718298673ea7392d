#include "wayland/shm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "wayland/buffer.h"
#include "wayland/format.h"
#include "wayland/offer.h"
#include "wayland/registry.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

#define TOPIC "wayland"

/* From version 2 on: younger than some tables. */
#define SHM_RELEASE 1

struct neep_wl_shm *neep_wl_shm_get(struct neep_wl_client *client) {
	if (client->shm == NULL) {
		client->shm = calloc(1, sizeof(*client->shm));
		if (client->shm != NULL) {
			neep_wl_mirrors_init(&client->shm->mirrors, client);
		}
	}
	return client->shm;
}

void neep_wl_shm_destroy(struct neep_wl_shm *shm) {
	if (shm == NULL) {
		return;
	}
	neep_log(TOPIC, NEEP_LOG_DEBUG, "%s: %" PRIu64 " bytes of buffers copied", shm->mirrors.client->name,
		shm->copied_bytes);
	neep_wl_mirrors_finish(&shm->mirrors);
	free(shm);
}

/* ---- pools ---- */

/* Maps the fd of wl_shm.create_pool. Whether the file is as large as the pool shows when it is read, as it does for a
 * compositor: the client may still make it larger. */
static int map_pool(struct neep_wl_call *call, struct neep_wl_pool *pool) {
	int fd = call->message.fds[call->message.args[1].value];
	int result = neep_wl_mapping_init(&pool->mapping, fd, call->message.args[2].value);
	if (result < 0) {
		return neep_wl_client_fail(call->client, call->object, WL_SHM_ERROR_INVALID_FD,
			"failed mmap fd %d: %s", fd, strerror(-result));
	}
	return 0;
}

static int no_memory(struct neep_wl_client *client) {
	return neep_wl_client_fail(client, NULL, WL_DISPLAY_ERROR_NO_MEMORY, "too many pools");
}

/* The compositor gets the client's file, as `memory`, which is released. */
static int pass_pool(struct neep_wl_call *call, struct neep_wl_memory *memory) {
	struct neep_wl_attachment attachment = { .owned_fd = -1, .memory = memory };
	int result = neep_wl_forward(call, &attachment, 1);
	neep_wl_memory_unref(memory);
	return result < 0 ? result : NEEP_WL_DONE;
}

/* A pool that only the proxy knows. */
static int keep_pool(struct neep_wl_call *call, struct neep_wl_shm *shm) {
	struct neep_wl_pool *pool = neep_wl_pool_create(shm);
	if (pool == NULL) {
		return no_memory(call->client);
	}
	int result = map_pool(call, pool);
	struct neep_wl_object *object =
		result == 0 ? neep_wl_call_new_object(call, 0, &wl_shm_pool_interface, false) : NULL;
	if (object == NULL) {
		neep_wl_pool_unref(pool);
		return -EPROTO;
	}
	object->data = pool;
	return NEEP_WL_DONE;
}

/* id, fd, size */
static int on_create_pool(struct neep_wl_call *call) {
	int32_t size = (int32_t)call->message.args[2].value;
	if (size <= 0) {
		return neep_wl_client_fail(
			call->client, call->object, WL_SHM_ERROR_INVALID_STRIDE, "invalid size (%d)", size);
	}
	struct neep_wl_host *host = call->client->host;
	int fd = call->message.fds[call->message.args[1].value];
	if (neep_wl_host_can_pass(host, fd)) {
		return NEEP_WL_FORWARD;
	}
	struct neep_wl_memory *memory = neep_wl_host_import(host, fd);
	if (memory != NULL) {
		return pass_pool(call, memory);
	}
	struct neep_wl_shm *shm = neep_wl_shm_get(call->client);
	if (shm == NULL) {
		return no_memory(call->client);
	}
	if (shm->global == NULL) {
		shm->global = call->object;
	}
	return keep_pool(call, shm);
}

/* offset, width, height, stride, format */
static int on_create_buffer(struct neep_wl_call *call) {
	struct neep_wl_pool *pool = call->object->data;
	return pool == NULL ? NEEP_WL_FORWARD : neep_wl_buffer_create(call, pool);
}

static int on_pool_destroy(struct neep_wl_call *call) {
	if (call->object->data == NULL) {
		return NEEP_WL_FORWARD;
	}
	neep_wl_object_delete_local(call->client, call->object);
	return NEEP_WL_DONE;
}

static int on_resize(struct neep_wl_call *call) {
	struct neep_wl_pool *pool = call->object->data;
	if (pool == NULL) {
		return NEEP_WL_FORWARD;
	}
	int32_t size = (int32_t)call->message.args[0].value;
	if (size <= 0 || (size_t)size < pool->mapping.size) {
		return neep_wl_client_fail(
			call->client, call->object, WL_SHM_ERROR_INVALID_FD, "shrinking pool invalid");
	}
	if (neep_wl_mapping_grow(&pool->mapping, (size_t)size) < 0) {
		return neep_wl_client_fail(
			call->client, call->object, WL_SHM_ERROR_INVALID_FD, "failed mremap");
	}
	return NEEP_WL_DONE;
}

static void on_pool_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	(void)client;
	if (object->data != NULL) {
		neep_wl_pool_unref(object->data);
	}
}

/* ---- wl_shm ---- */

/* Of formats that cannot be copied the client does not hear. */
static int on_format(struct neep_wl_call *call) {
	if (call->client->offer != NULL && call->client->offer->shm == call->object) {
		neep_wl_offer_add_format(call->client->offer, call->message.args[0].value);
		return NEEP_WL_DONE;
	}
	return neep_wl_format_is_known(call->message.args[0].value) ? NEEP_WL_FORWARD : NEEP_WL_DONE;
}

/* The client is done with the object that the proxy's own pools are made with: it stays at the compositor, as the proxy's. */
static int on_release(struct neep_wl_call *call) {
	struct neep_wl_client *client = call->client;
	struct neep_wl_object *object = call->object;
	if (client->shm == NULL || client->shm->global != object) {
		return NEEP_WL_FORWARD;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, NEEP_WL_DISPLAY_ID, WL_DISPLAY_DELETE_ID);
	neep_wl_writer_word(&writer, object->client_id);
	neep_idmap_remove(&client->objects.by_client, &object->client_link);
	object->client_id = 0;
	int result = neep_wl_send_event(client, &writer, NULL, 0);
	return result < 0 ? result : NEEP_WL_DONE;
}

static void on_shm_gone(struct neep_wl_client *client, struct neep_wl_object *object) {
	if (client->shm != NULL && client->shm->global == object) {
		client->shm->global = NULL;
	}
	if (client->offer != NULL && client->offer->shm == object) {
		client->offer->shm = NULL;
	}
}

static neep_wl_handler *const shm_requests[] = {
	[WL_SHM_CREATE_POOL] = on_create_pool,
	[SHM_RELEASE] = on_release,
};

static neep_wl_handler *const shm_events[] = {
	[WL_SHM_FORMAT] = on_format,
};

const struct neep_wl_handlers neep_wl_shm_handlers = {
	.interface = &wl_shm_interface,
	.requests = shm_requests,
	.request_count = NEEP_ARRAY_LEN(shm_requests),
	.events = shm_events,
	.event_count = NEEP_ARRAY_LEN(shm_events),
	.gone = on_shm_gone,
};

static neep_wl_handler *const pool_requests[] = {
	[WL_SHM_POOL_CREATE_BUFFER] = on_create_buffer,
	[WL_SHM_POOL_DESTROY] = on_pool_destroy,
	[WL_SHM_POOL_RESIZE] = on_resize,
};

const struct neep_wl_handlers neep_wl_shm_pool_handlers = {
	.interface = &wl_shm_pool_interface,
	.requests = pool_requests,
	.request_count = NEEP_ARRAY_LEN(pool_requests),
	.gone = on_pool_gone,
};
