/* Handlers of images and buffers, as far as they are shared or combined with a question. Room-internal; the rule for prototypes is in
 * call.h.
 *
 * External memory of the guest is memory of the host that the driver imports, so the handle types of the guest never reach the
 * driver: they become host allocations where the driver takes such memory for the image or buffer, and are left out where it does
 * not say so. An image with DRM modifiers, or one that can be a dma-buf, is made with linear tiling: see formats.c. */
#ifndef NEEP_VULKAN_HANDLERS_IMAGE_H
#define NEEP_VULKAN_HANDLERS_IMAGE_H

#include "vulkan/google.h"

struct neep_vk_call;
struct neep_vk_object;

/* vkCreateImage: see above. An explicit layout must be the one that the driver gives the linear image, else
 * VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT. */
VkResult neep_vk_CreateImage(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImageCreateInfo *pCreateInfo, uint64_t *pImage);

/* vkCreateImageWithRequirementsGOOGLE, vkCreateBufferWithRequirementsGOOGLE: create, and the memory it needs. */
VkResult neep_vk_CreateImageWithRequirementsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImageCreateInfo *pCreateInfo, uint64_t *pImage, VkMemoryRequirements *pMemoryRequirements);
VkResult neep_vk_CreateBufferWithRequirementsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkBufferCreateInfo *pCreateInfo, uint64_t *pBuffer, VkMemoryRequirements *pMemoryRequirements);

/* vkGetImageSubresourceLayout: aspects of memory planes become those of the linear image. */
void neep_vk_GetImageSubresourceLayout(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *image, const VkImageSubresource *pSubresource, VkSubresourceLayout *pLayout);

/* vkGetImageDrmFormatModifierPropertiesEXT: LINEAR. */
VkResult neep_vk_GetImageDrmFormatModifierPropertiesEXT(struct neep_vk_call *call,
	struct neep_vk_object *device, struct neep_vk_object *image,
	VkImageDrmFormatModifierPropertiesEXT *pProperties);

/* vkGetDeviceImageMemoryRequirements, vkGetDeviceBufferMemoryRequirements: of what the create commands above would make. */
void neep_vk_GetDeviceImageMemoryRequirements(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceImageMemoryRequirements *pInfo, VkMemoryRequirements2 *pMemoryRequirements);
void neep_vk_GetDeviceBufferMemoryRequirements(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceBufferMemoryRequirements *pInfo, VkMemoryRequirements2 *pMemoryRequirements);

#endif
