/* The memory that the guest may name by resource id. The main thread fills it; any thread looks. Room-internal. */
#ifndef NEEP_RENDERER_RESOURCES_H
#define NEEP_RENDERER_RESOURCES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/idmap.h"
#include "vulkan/vulkan.h"

struct neep_renderer_resources {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct neep_idmap map; // struct resource.link, guarded by lock
	bool is_stopped;       // guarded by lock
};

/* Returns 0 or a negative errno. */
int neep_renderer_resources_init(struct neep_renderer_resources *resources);
/* Nobody waits in it. */
void neep_renderer_resources_finish(struct neep_renderer_resources *resources);

/* Enters the memory, in the place of what had the id. Returns 0 or a negative errno. */
int neep_renderer_resources_add(
	struct neep_renderer_resources *resources, uint32_t resource_id, int owned_fd, uint64_t size);

/* An unknown id is fine. */
void neep_renderer_resources_remove(struct neep_renderer_resources *resources, uint32_t resource_id);

/* Fills in `found`, with an fd for the caller, waiting up to NEEP_RENDERER_FIND_NS for an id that is not there yet: the word of
 * the device process and the guest's bytes come by different ways. Returns 0 or -ENOENT. */
#define NEEP_RENDERER_FIND_NS INT64_C(2000000000)
int neep_renderer_resources_find(
	struct neep_renderer_resources *resources, uint32_t resource_id, struct neep_vk_resource *found);

/* Makes all waits end, now and from now on. */
void neep_renderer_resources_stop(struct neep_renderer_resources *resources);

#endif
