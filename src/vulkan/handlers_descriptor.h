/* Handlers of descriptor sets, which are children of their pools, and of update templates, which exist only here. The rule for prototypes
 * is in call.h. */
#ifndef NEEP_VULKAN_HANDLERS_DESCRIPTOR_H
#define NEEP_VULKAN_HANDLERS_DESCRIPTOR_H

#include "vulkan/call.h"
#include "vulkan/google.h"

VkResult neep_vk_ResetDescriptorPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *descriptorPool, VkDescriptorPoolResetFlags flags);
VkResult neep_vk_AllocateDescriptorSets(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDescriptorSetAllocateInfo *pAllocateInfo, uint64_t *pDescriptorSets);
/* vkFreeDescriptorSets: those of another pool, and repeated ones, are left alone. */
VkResult neep_vk_FreeDescriptorSets(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *descriptorPool, uint32_t descriptorSetCount,
	struct neep_vk_object *const *pDescriptorSets);

/* vkCreateDescriptorUpdateTemplate: keeps the entries. Templates for push descriptors are refused: this wire cannot carry their use. */
VkResult neep_vk_CreateDescriptorUpdateTemplate(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDescriptorUpdateTemplateCreateInfo *pCreateInfo, uint64_t *pDescriptorUpdateTemplate);

/* vkUpdateDescriptorSetWithTemplateSized2GOOGLE: the program's data, sorted by kind; each element comes with the index of its entry, bytes
 * of inline uniform blocks come in the order of their entries. */
void neep_vk_UpdateDescriptorSetWithTemplateSized2GOOGLE(struct neep_vk_call *call,
	struct neep_vk_object *device, struct neep_vk_object *descriptorSet,
	struct neep_vk_object *descriptorUpdateTemplate, uint32_t imageInfoCount, uint32_t bufferInfoCount,
	uint32_t bufferViewCount, uint32_t inlineUniformBlockCount, const uint32_t *pImageInfoEntryIndices,
	const uint32_t *pBufferInfoEntryIndices, const uint32_t *pBufferViewEntryIndices,
	const VkDescriptorImageInfo *pImageInfos, const VkDescriptorBufferInfo *pBufferInfos,
	struct neep_vk_object *const *pBufferViews, const uint8_t *pInlineUniformBlockData);

#endif
