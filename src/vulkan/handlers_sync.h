/* Handlers of fences and semaphores. The rule for prototypes is in call.h. What is exported or imported as a sync file stays between the
 * guest and its kernel. */
#ifndef NEEP_VULKAN_HANDLERS_SYNC_H
#define NEEP_VULKAN_HANDLERS_SYNC_H

#include "vulkan/call.h"
#include "vulkan/google.h"

/* vkCreateFence: without what asks for an export, as the driver's payload never leaves it. */
VkResult neep_vk_CreateFence(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkFenceCreateInfo *pCreateInfo, uint64_t *pFence);
VkResult neep_vk_ResetFences(struct neep_vk_call *call, struct neep_vk_object *device, uint32_t fenceCount,
	struct neep_vk_object *const *pFences);
VkResult neep_vk_GetFenceStatus(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *fence);
/* vkWaitForFences: without the turn. */
VkResult neep_vk_WaitForFences(struct neep_vk_call *call, struct neep_vk_object *device, uint32_t fenceCount,
	struct neep_vk_object *const *pFences, VkBool32 waitAll, uint64_t timeout);

/* vkCreateSemaphore: as vkCreateFence. */
VkResult neep_vk_CreateSemaphore(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreCreateInfo *pCreateInfo, uint64_t *pSemaphore);
/* vkWaitSemaphores: without the turn. */
VkResult neep_vk_WaitSemaphores(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreWaitInfo *pWaitInfo, uint64_t timeout);
VkResult neep_vk_GetSemaphoreCounterValue(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *semaphore, uint64_t *pValue);

/* The guest would send and get a number in place of a file descriptor: there are no such semaphores here. */
VkResult neep_vk_ImportSemaphoreFdKHR(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImportSemaphoreFdInfoKHR *pImportSemaphoreFdInfo);
VkResult neep_vk_GetSemaphoreFdKHR(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreGetFdInfoKHR *pGetFdInfo, int *pFd);

#endif
