#include "renderer/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/fd.h"

struct resource {
	struct neep_idmap_link link; // neep_renderer_resources.map
	int fd;
	uint64_t size;
};

int neep_renderer_resources_init(struct neep_renderer_resources *resources) {
	pthread_condattr_t attributes;
	*resources = (struct neep_renderer_resources){ 0 };
	int result = neep_idmap_init(&resources->map);
	if (result < 0) {
		return result;
	}
	pthread_mutex_init(&resources->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&resources->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return 0;
}

static void resource_free(struct neep_idmap_link *link) {
	struct resource *resource = neep_container_of(link, struct resource, link);
	neep_close_fd(&resource->fd);
	free(resource);
}

void neep_renderer_resources_finish(struct neep_renderer_resources *resources) {
	struct neep_idmap_link *link = neep_idmap_take_all(&resources->map);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		resource_free(link);
		link = next;
	}
	neep_idmap_finish(&resources->map);
	pthread_cond_destroy(&resources->changed);
	pthread_mutex_destroy(&resources->lock);
}

static void remove_locked(struct neep_renderer_resources *resources, uint32_t resource_id) {
	struct neep_idmap_link *link = neep_idmap_find(&resources->map, resource_id);
	if (link != NULL) {
		neep_idmap_remove(&resources->map, link);
		resource_free(link);
	}
}

int neep_renderer_resources_add(
	struct neep_renderer_resources *resources, uint32_t resource_id, int owned_fd, uint64_t size) {
	neep_autoclose int fd = owned_fd;
	struct resource *resource = calloc(1, sizeof(*resource));
	if (resource == NULL) {
		return -ENOMEM;
	}
	*resource = (struct resource){ .fd = neep_steal_fd(&fd), .size = size };
	pthread_mutex_lock(&resources->lock);
	remove_locked(resources, resource_id);
	neep_idmap_insert(&resources->map, resource_id, &resource->link);
	pthread_cond_broadcast(&resources->changed);
	pthread_mutex_unlock(&resources->lock);
	return 0;
}

void neep_renderer_resources_remove(struct neep_renderer_resources *resources, uint32_t resource_id) {
	pthread_mutex_lock(&resources->lock);
	remove_locked(resources, resource_id);
	pthread_mutex_unlock(&resources->lock);
}

static struct timespec deadline(void) {
	int64_t ns = neep_clock_ns() + NEEP_RENDERER_FIND_NS;
	return (struct timespec){ .tv_sec = ns / NEEP_NS_PER_S, .tv_nsec = ns % NEEP_NS_PER_S };
}

int neep_renderer_resources_find(
	struct neep_renderer_resources *resources, uint32_t resource_id, struct neep_vk_resource *found) {
	struct timespec until = deadline();
	struct neep_idmap_link *link;
	int waited = 0;
	*found = (struct neep_vk_resource){ .owned_fd = -1 };
	pthread_mutex_lock(&resources->lock);
	while ((link = neep_idmap_find(&resources->map, resource_id)) == NULL && waited == 0 &&
		!resources->is_stopped) {
		waited = pthread_cond_timedwait(&resources->changed, &resources->lock, &until);
	}
	if (link != NULL) {
		struct resource *resource = neep_container_of(link, struct resource, link);
		found->owned_fd = fcntl(resource->fd, F_DUPFD_CLOEXEC, 0);
		found->size = resource->size;
	}
	pthread_mutex_unlock(&resources->lock);
	return found->owned_fd >= 0 ? 0 : -ENOENT;
}

void neep_renderer_resources_stop(struct neep_renderer_resources *resources) {
	pthread_mutex_lock(&resources->lock);
	resources->is_stopped = true;
	pthread_cond_broadcast(&resources->changed);
	pthread_mutex_unlock(&resources->lock);
}
