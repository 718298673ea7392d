/* Handlers of commands whose parameters are more than the registry says. The rule for prototypes is in call.h. */
#ifndef NEEP_VULKAN_HANDLERS_MISC_H
#define NEEP_VULKAN_HANDLERS_MISC_H

#include "vulkan/call.h"
#include "vulkan/google.h"

/* vkGetQueryPoolResults: waits, when it is to, without the turn; what the driver writes is as large as the stride says, not as the guest
 * does. */
VkResult neep_vk_GetQueryPoolResults(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *queryPool, uint32_t firstQuery, uint32_t queryCount, size_t dataSize,
	void *pData, VkDeviceSize stride, VkQueryResultFlags flags);

VkResult neep_vk_GetPipelineCacheData(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *pipelineCache, size_t *pDataSize, void *pData);

/* vkSetPrivateData, vkGetPrivateData: objectHandle is the guest's name of an object of the device. */
VkResult neep_vk_SetPrivateData(struct neep_vk_call *call, struct neep_vk_object *device,
	VkObjectType objectType, uint64_t objectHandle, struct neep_vk_object *privateDataSlot,
	uint64_t data);
void neep_vk_GetPrivateData(struct neep_vk_call *call, struct neep_vk_object *device, VkObjectType objectType,
	uint64_t objectHandle, struct neep_vk_object *privateDataSlot, uint64_t *pData);

VkResult neep_vk_GetPipelineExecutableInternalRepresentationsKHR(struct neep_vk_call *call,
	struct neep_vk_object *device, const VkPipelineExecutableInfoKHR *pExecutableInfo,
	uint32_t *pInternalRepresentationCount,
	VkPipelineExecutableInternalRepresentationKHR *pInternalRepresentations);

#endif
