/* Command pools and buffers, and who is recording. Room-internal.
 *
 * The guest sends what it has recorded when it submits (vkQueueFlushCommandsGOOGLE), so that several threads that submit record here at
 * the same time, without the turn. Vulkan wants only one thread at a time in a pool and its buffers: the pool's lock. A submission that
 * has its turn while one of its command buffers is still being recorded waits for the end of the recording.
 *
 * Secondary command buffers are recorded with the turn: so they are complete when a primary that executes them is recorded. */
#ifndef NEEP_VULKAN_COMMAND_BUFFER_H
#define NEEP_VULKAN_COMMAND_BUFFER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "util/list.h"
#include "vulkan/object.h"

struct neep_vk_command_pool {
	struct neep_vk_object base;
	pthread_mutex_t lock; // held while anything of the pool is recorded, allocated or reset
};

struct neep_vk_command_buffer {
	struct neep_vk_object base; // a child of its pool
	VkCommandBufferLevel level;
};

/* One that goes on without the turn; on the stack of its thread. */
struct neep_vk_recording {
	struct neep_list link;
	VkCommandBuffer command_buffer; // the driver's
};

struct neep_vk_recordings {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct neep_list running; // neep_vk_recording.link; guarded by lock
	atomic_uint count;        // of running; written under lock
};

void neep_vk_recordings_init(struct neep_vk_recordings *recordings);
void neep_vk_recordings_finish(struct neep_vk_recordings *recordings);

/* Waits until the command buffer (the driver's) is not being recorded: for those that submit it, with the turn. */
void neep_vk_recordings_settle(struct neep_vk_recordings *recordings, VkCommandBuffer command_buffer);

#endif
