/* Semaphores, and what is known of their state. Room-internal. */
#ifndef NEEP_VULKAN_SEMAPHORE_H
#define NEEP_VULKAN_SEMAPHORE_H

#include <stdbool.h>

#include "vulkan/object.h"

struct neep_vk_semaphore {
	struct neep_vk_object base;
	bool is_binary;
	bool is_signalled; // binary: a signal was submitted that no submitted wait has taken yet; by the holder of the turn
};

static inline struct neep_vk_semaphore *neep_vk_semaphore_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_semaphore, base);
}

#endif
