/* Handlers of queues. The rule for prototypes is in call.h.
 *
 * The guest has told its program that a submission succeeded before we see it: when it does not, the device is lost, which the next
 * command that can tell tells, and nobody waits for its fences any more. All that is done to a queue is done with the turn, so one thread
 * at a time does it. */
#ifndef NEEP_VULKAN_HANDLERS_QUEUE_H
#define NEEP_VULKAN_HANDLERS_QUEUE_H

#include "vulkan/call.h"
#include "vulkan/google.h"

void neep_vk_QueueSubmitAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t submitCount, const VkSubmitInfo *pSubmits, struct neep_vk_object *fence);
void neep_vk_QueueSubmitAsync2GOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t submitCount, const VkSubmitInfo2 *pSubmits, struct neep_vk_object *fence);
VkResult neep_vk_QueueBindSparse(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t bindInfoCount, const VkBindSparseInfo *pBindInfo, struct neep_vk_object *fence);
/* vkQueueWaitIdle: without the turn. */
VkResult neep_vk_QueueWaitIdle(struct neep_vk_call *call, struct neep_vk_object *queue);

#endif
