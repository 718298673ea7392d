#include "wayland/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "util/fd.h"
#include "wayland/client.h"
#include "wayland/queue.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"

void neep_wl_mirror_destroy(struct neep_wl_mirror *mirror) {
	if (mirror != NULL) {
		neep_wl_memory_unref(mirror->memory);
		free(mirror);
	}
}

static void unlink_spare(struct neep_wl_mirrors *mirrors, struct neep_wl_mirror *mirror) {
	neep_list_remove(&mirror->link);
	mirrors->spare_count--;
	mirrors->spare_bytes -= mirror->memory->size;
}

static int drop_oldest(struct neep_wl_mirrors *mirrors) {
	struct neep_wl_mirror *oldest = neep_container_of(mirrors->spare.prev, struct neep_wl_mirror, link);
	unlink_spare(mirrors, oldest);
	return neep_wl_mirrors_give_up(mirrors, oldest);
}

static void on_expiry(struct neep_timer *timer) {
	struct neep_wl_mirrors *mirrors = neep_container_of(timer, struct neep_wl_mirrors, expiry);
	while (mirrors->spare_count > 0) {
		drop_oldest(mirrors);
	}
}

void neep_wl_mirrors_init(struct neep_wl_mirrors *mirrors, struct neep_wl_client *client) {
	*mirrors = (struct neep_wl_mirrors){ .client = client, .expiry.fire = on_expiry };
	neep_list_init(&mirrors->spare);
}

void neep_wl_mirrors_finish(struct neep_wl_mirrors *mirrors) {
	neep_timer_cancel(&mirrors->expiry);
	neep_list_for_each_safe (mirror, &mirrors->spare, struct neep_wl_mirror, link) {
		unlink_spare(mirrors, mirror);
		neep_wl_mirror_destroy(mirror);
	}
}

/* The smallest that is large enough and not a waste. */
static struct neep_wl_mirror *find_spare(struct neep_wl_mirrors *mirrors, size_t size) {
	struct neep_wl_mirror *best = NULL;
	neep_list_for_each (mirror, &mirrors->spare, struct neep_wl_mirror, link) {
		size_t has = mirror->memory->size;
		if (has >= size && has / 2 <= size && (best == NULL || has < best->memory->size)) {
			best = mirror;
		}
	}
	return best;
}

/* A pool's size is an int, and hosts round up. */
static uint32_t pool_size(size_t size) {
	return size > INT32_MAX ? INT32_MAX : (uint32_t)size;
}

/* The compositor gets its pool of the memory, whose fd is consumed. */
static int create_pool(struct neep_wl_client *client, struct neep_wl_mirror *mirror,
	const struct neep_wl_object *shm, const struct neep_wl_attachment *attachment, size_t size) {
	struct neep_wl_object *pool =
		neep_wl_object_create(client, &(struct neep_wl_object_params){
						      .interface = &wl_shm_pool_interface,
						      .version = shm->version,
						      .has_host = true,
					      });
	if (pool == NULL) {
		neep_wl_close_fds(&attachment->owned_fd, 1);
		return -ENOMEM;
	}
	mirror->pool_host_id = pool->host_id;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, shm->host_id, WL_SHM_CREATE_POOL);
	neep_wl_writer_word(&writer, pool->host_id);
	neep_wl_writer_word(&writer, pool_size(size));
	return neep_wl_send_request(client, &writer, attachment, 1);
}

// A compositor can say that it has deleted any object.
static struct neep_wl_mirror *new_mirror(const struct neep_wl_object *shm) {
	struct neep_wl_mirror *mirror = shm != NULL ? calloc(1, sizeof(*mirror)) : NULL;
	if (mirror != NULL) {
		neep_list_init(&mirror->link);
	}
	return mirror;
}

static struct neep_wl_mirror *create_mirror(
	struct neep_wl_client *client, const struct neep_wl_object *shm, size_t size) {
	struct neep_wl_mirror *mirror = new_mirror(shm);
	if (mirror == NULL) {
		return NULL;
	}
	mirror->memory = neep_wl_host_allocate(client->host, size);
	struct neep_wl_attachment attachment = { .owned_fd = -1, .memory = mirror->memory };
	if (mirror->memory == NULL ||
		create_pool(client, mirror, shm, &attachment, mirror->memory->size) < 0) {
		neep_wl_mirror_destroy(mirror);
		return NULL;
	}
	return mirror;
}

struct neep_wl_mirror *neep_wl_mirrors_take(
	struct neep_wl_mirrors *mirrors, const struct neep_wl_object *shm, size_t size) {
	struct neep_wl_mirror *spare = find_spare(mirrors, size);
	if (spare == NULL) {
		return create_mirror(mirrors->client, shm, size);
	}
	unlink_spare(mirrors, spare);
	return spare;
}

struct neep_wl_mirror *neep_wl_mirrors_pass(
	struct neep_wl_mirrors *mirrors, const struct neep_wl_object *shm, int fd, size_t size) {
	struct neep_wl_mirror *mirror = new_mirror(shm);
	struct neep_wl_attachment attachment = { .owned_fd = mirror != NULL ? neep_fd_dup(fd) : -1 };
	if (attachment.owned_fd < 0 || create_pool(mirrors->client, mirror, shm, &attachment, size) < 0) {
		neep_wl_mirror_destroy(mirror);
		return NULL;
	}
	return mirror;
}

int neep_wl_mirrors_put(struct neep_wl_mirrors *mirrors, struct neep_wl_mirror *mirror) {
	if (mirror->memory == NULL) {
		return neep_wl_mirrors_give_up(mirrors, mirror);
	}
	neep_list_insert(&mirrors->spare, &mirror->link);
	mirrors->spare_count++;
	mirrors->spare_bytes += mirror->memory->size;
	neep_timer_arm(mirrors->client->loop, &mirrors->expiry, NEEP_WL_SPARE_NS);
	int result = 0;
	while (result == 0 && (mirrors->spare_count > NEEP_WL_SPARE_MAX ||
				      mirrors->spare_bytes > NEEP_WL_SPARE_BYTES_MAX)) {
		result = drop_oldest(mirrors);
	}
	return result;
}

/* The mirror's pool. NULL: the compositor has deleted it, which it must not; others may have its id now. */
static struct neep_wl_object *find_pool(
	const struct neep_wl_client *client, const struct neep_wl_mirror *mirror) {
	struct neep_wl_object *object = neep_wl_objects_by_host(&client->objects, mirror->pool_host_id);
	bool is_ours =
		object != NULL && object->client_id == 0 && object->interface == &wl_shm_pool_interface;
	return is_ours ? object : NULL;
}

int neep_wl_mirrors_give_up(struct neep_wl_mirrors *mirrors, struct neep_wl_mirror *mirror) {
	struct neep_wl_client *client = mirrors->client;
	struct neep_wl_object *pool = find_pool(client, mirror);
	int result = 0;
	if (pool != NULL) {
		// It stays until the compositor's delete_id.
		pool->is_dead = true;
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, pool->host_id, WL_SHM_POOL_DESTROY);
		result = neep_wl_send_request(client, &writer, NULL, 0);
	}
	neep_wl_mirror_destroy(mirror);
	return result;
}
