#include "wayland/object.h"

#include <errno.h>
#include <stdlib.h>

#include "wayland/client.h"

#define FREE_IDS_MIN 64

int neep_wl_objects_init(struct neep_wl_objects *objects) {
	*objects = (struct neep_wl_objects){
		.client_ids.first = NEEP_WL_SERVER_IDS,
		.host_ids.first = 1,
	};
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
	free(objects->client_ids.free);
	free(objects->host_ids.free);
	objects->client_ids.free = objects->host_ids.free = NULL;
}

struct neep_wl_object *neep_wl_objects_by_client(const struct neep_wl_objects *objects, uint32_t client_id) {
	struct neep_idmap_link *link = neep_idmap_find(&objects->by_client, client_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_wl_object, client_link);
}

struct neep_wl_object *neep_wl_objects_by_host(const struct neep_wl_objects *objects, uint32_t host_id) {
	struct neep_idmap_link *link = neep_idmap_find(&objects->by_host, host_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_wl_object, host_link);
}

/* ---- ids ---- */

/* Room for every id there is, so that giving one back cannot fail. */
static int reserve(struct neep_wl_ids *ids) {
	if (ids->count < ids->free_capacity) {
		return 0;
	}
	size_t capacity = ids->free_capacity == 0 ? FREE_IDS_MIN : ids->free_capacity * 2;
	uint32_t *bigger = realloc(ids->free, capacity * sizeof(*bigger));
	if (bigger == NULL) {
		return -ENOMEM;
	}
	ids->free = bigger;
	ids->free_capacity = capacity;
	return 0;
}

/* 0: no memory. */
static uint32_t take_id(struct neep_wl_ids *ids) {
	if (ids->free_count > 0) {
		return ids->free[--ids->free_count];
	}
	return reserve(ids) < 0 ? 0 : ids->first + ids->count++;
}

static void put_id(struct neep_wl_ids *ids, uint32_t id) {
	ids->free[ids->free_count++] = id;
}

/* An id of neither side's may be given out while it is in use: then the maps say so. */
static int set_client_id(struct neep_wl_objects *objects, struct neep_wl_object *object, uint32_t id) {
	if (id == 0 || !neep_idmap_insert(&objects->by_client, id, &object->client_link)) {
		return id == 0 ? -ENOMEM : -EEXIST;
	}
	object->client_id = id;
	return 0;
}

static int set_host_id(struct neep_wl_objects *objects, struct neep_wl_object *object, uint32_t id) {
	if (id == 0 || !neep_idmap_insert(&objects->by_host, id, &object->host_link)) {
		return id == 0 ? -ENOMEM : -EEXIST;
	}
	object->host_id = id;
	return 0;
}

int neep_wl_object_give_host(struct neep_wl_client *client, struct neep_wl_object *object) {
	return set_host_id(&client->objects, object, take_id(&client->objects.host_ids));
}

void neep_wl_object_leave_client(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_objects *objects = &client->objects;
	if (object->client_id != 0) {
		neep_idmap_remove(&objects->by_client, &object->client_link);
		if (object->client_id >= NEEP_WL_SERVER_IDS) {
			put_id(&objects->client_ids, object->client_id);
		}
		object->client_id = 0;
	}
}

static void leave_host(struct neep_wl_objects *objects, struct neep_wl_object *object) {
	if (object->host_id != 0) {
		neep_idmap_remove(&objects->by_host, &object->host_link);
		if (object->host_id < NEEP_WL_SERVER_IDS) {
			put_id(&objects->host_ids, object->host_id);
		}
	}
}

/* ---- life ---- */

static int add_ids(struct neep_wl_client *client, struct neep_wl_object *object,
	const struct neep_wl_object_params *params) {
	struct neep_wl_objects *objects = &client->objects;
	int result = 0;
	if (params->host_id != 0) {
		result = set_host_id(objects, object, params->host_id);
	} else if (params->has_host) {
		result = neep_wl_object_give_host(client, object);
	}
	if (result == 0 && params->client_id != 0) {
		result = set_client_id(objects, object, params->client_id);
	} else if (result == 0 && params->has_client) {
		result = set_client_id(objects, object, take_id(&objects->client_ids));
	}
	return result;
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
		leave_host(&client->objects, object);
		free(object);
		return NULL;
	}
	client->objects.count++;
	return object;
}

void neep_wl_object_destroy(struct neep_wl_client *client, struct neep_wl_object *object) {
	struct neep_wl_objects *objects = &client->objects;
	if (object->handlers != NULL && object->handlers->gone != NULL) {
		object->handlers->gone(client, object);
	}
	neep_wl_object_leave_client(client, object);
	leave_host(objects, object);
	objects->count--;
	free(object);
}

void neep_wl_object_forget_host(
	struct neep_wl_client *client, uint32_t host_id, const struct neep_wl_object *keep) {
	struct neep_wl_object *old = neep_wl_objects_by_host(&client->objects, host_id);
	if (old != NULL && old != keep) {
		neep_wl_object_destroy(client, old);
	}
}

void neep_wl_object_take_host(
	struct neep_wl_client *client, struct neep_wl_object *object, uint32_t host_id) {
	neep_wl_object_forget_host(client, host_id, object);
	set_host_id(&client->objects, object, host_id);
}
