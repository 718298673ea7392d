/* Handlers of commands whose parameters are more than the registry says. The rule for prototypes is in call.h. */
#ifndef NEEP_VULKAN_HANDLERS_MISC_H
#define NEEP_VULKAN_HANDLERS_MISC_H

#include "vulkan/call.h"
#include "vulkan/google.h"

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
