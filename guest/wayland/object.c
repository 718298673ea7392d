#include "wayland/object.h"

#include <errno.h>
#include <stdlib.h>

#include "wayland/client.h"

#define FREE_IDS_MIN 64

int neep_wl_objects_init(struct neep_wl_objects *objects) {
	*objects = (struct neep_wl_objects){ .next_host_id = 1 };
	int result = neep_idmap_init(&objects->by_client);
	if (result < 0) {
		return result;
	}
	result = neep_idmap_init(&objects->by_host);
	if (result < 0) {
		neep_idmap_finish(&objects->by_client);
	}
	return result;
}

void neep_wl_objects_finish(struct neep_wl_objects *objects) {
	neep_assert(objects->count == 0);
	neep_idmap_finish(&objects->by_client);
	neep_idmap_finish(&objects->by_host);
	free(objects->free_host_ids);
	objects->free_host_ids = NULL;
}

struct neep_wl_object *neep_wl_objects_by_client(const struct neep_wl_objects *objects, uint32_t client_id) {
	struct neep_idmap_link *link = neep_idmap_find(&objects->by_client, client_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_wl_object, client_link);
}

struct neep_wl_object *neep_wl_objects_by_host(const struct neep_wl_objects *objects, uint32_t host_id) {
	struct neep_idmap_link *link = neep_idmap_find(&objects->by_host, host_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_wl_object, host_link);
}

/* Room for every id there is, so that giving one back cannot fail. */
static int reserve_free_ids(struct neep_wl_objects *objects) {
	if (objects->next_host_id < objects->free_capacity) {
		return 0;
	}
	size_t capacity = objects->free_capacity == 0 ? FREE_IDS_MIN : objects->free_capacity * 2;
	uint32_t *bigger = realloc(objects->free_host_ids, capacity * sizeof(*bigger));
	if (bigger == NULL) {
		return -ENOMEM;
	}
	objects->free_host_ids = bigger;
	objects->free_capacity = capacity;
	return 0;
}

int neep_wl_object_give_host(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_objects *objects = &client->objects;
	if (reserve_free_ids(objects) < 0) {
		return -ENOMEM;
	}
	/* Ids that were used are used again first: libwayland takes no id beyond the next new one. */
	object->host_id = objects->free_count > 0 ? objects->free_host_ids[--objects->free_count]
						  : objects->next_host_id++;
	neep_idmap_insert(&objects->by_host, object->host_id, &object->host_link);
	return 0;
}

void neep_wl_object_take_host(
	struct neep_wl_client *client, struct neep_wl_object *object, uint32_t host_id) {
	struct neep_wl_object *old = neep_wl_objects_by_host(&client->objects, host_id);
	if (old != NULL) {
		neep_wl_object_destroy(client, old);
	}
	object->host_id = host_id;
	neep_idmap_insert(&client->objects.by_host, host_id, &object->host_link);
}

static int add_ids(struct neep_wl_client *client, struct neep_wl_object *object,
	const struct neep_wl_object_params *params) {
	struct neep_wl_objects *objects = &client->objects;
	bool is_servers = params->client_id >= NEEP_WL_SERVER_IDS;
	if (params->client_id != 0 &&
		!neep_idmap_insert(&objects->by_client, params->client_id, &object->client_link)) {
		return -EEXIST;
	}
	object->client_id = params->client_id;
	if (is_servers) {
		object->host_id = params->client_id;
		neep_idmap_insert(&objects->by_host, object->host_id, &object->host_link);
	} else if (params->has_host && neep_wl_object_give_host(client, object) < 0) {
		neep_idmap_remove(&objects->by_client, &object->client_link);
		return -ENOMEM;
	}
	return 0;
}

struct neep_wl_object *neep_wl_object_create(
	struct neep_wl_client *client, const struct neep_wl_object_params *params) {
	if (client->objects.count >= NEEP_WL_OBJECTS_MAX) {
		return NULL;
	}
	struct neep_wl_object *object = calloc(1, sizeof(*object));
	if (object == NULL) {
		return NULL;
	}
	object->interface = params->interface;
	object->version = params->version;
	object->handlers = neep_wl_handlers_find(params->interface);
	if (add_ids(client, object, params) < 0) {
		free(object);
		return NULL;
	}
	client->objects.count++;
	return object;
}

static void free_host_id(struct neep_wl_objects *objects, uint32_t host_id) {
	if (host_id < NEEP_WL_SERVER_IDS) {
		objects->free_host_ids[objects->free_count++] = host_id;
	}
}

void neep_wl_object_destroy(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_objects *objects = &client->objects;
	if (object->handlers != NULL && object->handlers->gone != NULL) {
		object->handlers->gone(client, object);
	}
	if (object->client_id != 0) {
		neep_idmap_remove(&objects->by_client, &object->client_link);
	}
	if (object->host_id != 0) {
		neep_idmap_remove(&objects->by_host, &object->host_link);
		free_host_id(objects, object->host_id);
	}
	objects->count--;
	free(object);
}
