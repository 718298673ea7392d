/* What all streams of a guest process share. Room-internal. */
#ifndef NEEP_VULKAN_CONTEXT_H
#define NEEP_VULKAN_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vulkan/command_buffer.h"
#include "vulkan/object.h"
#include "vulkan/recorder.h"
#include "vulkan/sequence.h"
#include "vulkan/vulkan.h"

struct neep_vk_context {
	struct neep_vk_host *host;    // borrowed
	struct neep_vk_limits limits; // constant
	struct neep_vk_table *table;  // owned
	struct neep_vk_sequence sequence;
	struct neep_vk_recordings recordings;
	struct neep_vk_late late;
	atomic_uint_least64_t memory_bytes; // of VkDeviceMemory, against limits.memory_bytes
	atomic_bool is_ending;              // stopped or lost: nothing waits any more
	atomic_bool is_lost;
	bool refuses_all; // constant once a stream is served
};

/* The context is lost: every stream ends, and the host is told if it is the first time. Any thread. */
void neep_vk_context_lose(struct neep_vk_context *context, const char *reason);

#endif
