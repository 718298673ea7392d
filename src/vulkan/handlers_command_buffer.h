/* Handlers of command pools and of what is recorded. The rule for prototypes is in call.h; what records where, in command_buffer.h. */
#ifndef NEEP_VULKAN_HANDLERS_COMMAND_BUFFER_H
#define NEEP_VULKAN_HANDLERS_COMMAND_BUFFER_H

#include "vulkan/call.h"
#include "vulkan/google.h"

/* vkCreateCommandPool: whatever the guest asked for, its buffers can be reset one by one, as vkBeginCommandBuffer does it. */
VkResult neep_vk_CreateCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkCommandPoolCreateInfo *pCreateInfo, uint64_t *pCommandPool);

VkResult neep_vk_ResetCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, VkCommandPoolResetFlags flags);
void neep_vk_TrimCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, VkCommandPoolTrimFlags flags);

VkResult neep_vk_AllocateCommandBuffers(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkCommandBufferAllocateInfo *pAllocateInfo, uint64_t *pCommandBuffers);
/* vkFreeCommandBuffers: those of another pool, and repeated ones, are left alone. */
void neep_vk_FreeCommandBuffers(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, uint32_t commandBufferCount,
	struct neep_vk_object *const *pCommandBuffers);

/* vkQueueFlushCommandsGOOGLE: records the commands of the payload. */
void neep_vk_QueueFlushCommandsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	struct neep_vk_object *commandBuffer, VkDeviceSize dataSize, const void *pData);
/* Their failures cannot be told, so they lose the device. */
void neep_vk_BeginCommandBufferAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *commandBuffer,
	const VkCommandBufferBeginInfo *pBeginInfo);
void neep_vk_EndCommandBufferAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *commandBuffer);

#endif
