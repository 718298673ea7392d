#include <stdlib.h>

#include "neep_vk_release.h"
#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/device.h"
#include "vulkan/handlers_image.h"
#include "vulkan/physical_device.h"

struct image {
	struct neep_vk_object base;
	VkFormat format;
};

// What the driver is asked to create instead of what the guest wants.
struct image_plan {
	VkImageCreateInfo info;
	VkExternalMemoryImageCreateInfo external;                    // linked to info if it is used
	const VkImageDrmFormatModifierExplicitCreateInfoEXT *layout; // that the image must get; NULL
};

struct buffer_plan {
	VkBufferCreateInfo info;
	VkExternalMemoryBufferCreateInfo external;
};

// Where the answers to a create command go.
struct answer {
	uint64_t *id;
	VkMemoryRequirements *requirements; // NULL: not asked
};

static bool lists_linear(const VkImageDrmFormatModifierListCreateInfoEXT *list) {
	for (uint32_t i = 0; i < list->drmFormatModifierCount; i++) {
		if (list->pDrmFormatModifiers[i] == NEEP_VK_MODIFIER_LINEAR) {
			return true;
		}
	}
	return false;
}

// Whether the guest wants, or takes, the one modifier there is.
static bool takes_linear(const VkImageCreateInfo *info) {
	const VkImageDrmFormatModifierListCreateInfoEXT *list =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_LIST_CREATE_INFO_EXT);
	const VkImageDrmFormatModifierExplicitCreateInfoEXT *explicit = neep_vk_chain_find(
		info, VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_EXPLICIT_CREATE_INFO_EXT);
	return (list != NULL && lists_linear(list)) ||
	       (explicit != NULL && explicit->drmFormatModifier == NEEP_VK_MODIFIER_LINEAR);
}

// Whether the driver says that host memory can be imported for such an image.
static bool image_takes_host_memory(const struct neep_vk_device *device, const VkImageCreateInfo *info) {
	const VkPhysicalDeviceExternalImageFormatInfo external = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
	};
	const VkPhysicalDeviceImageFormatInfo2 query = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_FORMAT_INFO_2,
		.pNext = &external,
		.format = info->format,
		.type = info->imageType,
		.tiling = info->tiling,
		.usage = info->usage,
		.flags = info->flags,
	};
	VkExternalImageFormatProperties memory = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES,
	};
	VkImageFormatProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_PROPERTIES_2,
		.pNext = &memory,
	};
	VkResult result = device->physical->instance->vk.GetPhysicalDeviceImageFormatProperties2(
		NEEP_VK_HANDLE(VkPhysicalDevice, &device->physical->base), &query, &properties);
	return result == VK_SUCCESS && (memory.externalMemoryProperties.externalMemoryFeatures &
					       VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0;
}

static VkExternalMemoryHandleTypeFlags image_handle_types(const VkImageCreateInfo *info) {
	const VkExternalMemoryImageCreateInfo *external =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO);
	return external != NULL ? external->handleTypes : 0;
}

// Settles the tiling; VK_ERROR_FORMAT_NOT_SUPPORTED for modifiers that there are not.
static VkResult plan_tiling(struct image_plan *plan) {
	VkImageCreateInfo *info = &plan->info;
	if (info->tiling == VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT) {
		if (!takes_linear(info)) {
			return VK_ERROR_FORMAT_NOT_SUPPORTED;
		}
		plan->layout = neep_vk_chain_find(
			info, VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_EXPLICIT_CREATE_INFO_EXT);
		info->tiling = VK_IMAGE_TILING_LINEAR;
	} else if ((image_handle_types(info) & VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT) != 0) {
		info->tiling = VK_IMAGE_TILING_LINEAR;
	}
	return VK_SUCCESS;
}

static VkResult plan_image(
	struct image_plan *plan, const struct neep_vk_device *device, const VkImageCreateInfo *wanted) {
	static const VkStructureType kept[] = {
		VK_STRUCTURE_TYPE_IMAGE_FORMAT_LIST_CREATE_INFO,
		VK_STRUCTURE_TYPE_IMAGE_STENCIL_USAGE_CREATE_INFO,
		VK_STRUCTURE_TYPE_IMAGE_COMPRESSION_CONTROL_EXT,
	};
	*plan = (struct image_plan){
		.info = *wanted,
		.external = {
			.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO,
			.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
		},
	};
	VkResult result = plan_tiling(plan);
	if (result != VK_SUCCESS) {
		return result;
	}
	bool is_external = image_handle_types(wanted) != 0;
	neep_vk_chain_keep(&plan->info, kept, NEEP_ARRAY_LEN(kept));
	if (is_external && image_takes_host_memory(device, &plan->info)) {
		neep_vk_chain_push(&plan->info, &plan->external);
	}
	return VK_SUCCESS;
}

// The aspect of the linear image that holds what the guest takes for a memory plane.
static VkImageAspectFlags linear_aspect(VkImageAspectFlags aspect, VkFormat format) {
	bool has_planes = neep_vk_format_planes(format) > 1;
	switch (aspect) {
	case VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT:
		return has_planes ? VK_IMAGE_ASPECT_PLANE_0_BIT : VK_IMAGE_ASPECT_COLOR_BIT;
	case VK_IMAGE_ASPECT_MEMORY_PLANE_1_BIT_EXT:
		return has_planes ? VK_IMAGE_ASPECT_PLANE_1_BIT : VK_IMAGE_ASPECT_COLOR_BIT;
	case VK_IMAGE_ASPECT_MEMORY_PLANE_2_BIT_EXT:
		return has_planes ? VK_IMAGE_ASPECT_PLANE_2_BIT : VK_IMAGE_ASPECT_COLOR_BIT;
	default:
		return aspect;
	}
}

static bool plane_matches(const struct neep_vk_device *device, VkImage image, VkFormat format,
	const VkSubresourceLayout *wanted, uint32_t plane) {
	static const VkImageAspectFlags planes[] = {
		VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT,
		VK_IMAGE_ASPECT_MEMORY_PLANE_1_BIT_EXT,
		VK_IMAGE_ASPECT_MEMORY_PLANE_2_BIT_EXT,
	};
	const VkImageSubresource subresource = { .aspectMask = linear_aspect(planes[plane], format) };
	VkSubresourceLayout layout;
	device->vk.GetImageSubresourceLayout(
		NEEP_VK_HANDLE(VkDevice, &device->base), image, &subresource, &layout);
	return layout.offset == wanted->offset && layout.rowPitch == wanted->rowPitch;
}

// Whether the image lies in its memory as the one who shares it says.
static bool layout_matches(
	const struct neep_vk_device *device, VkImage image, const struct image_plan *plan) {
	uint32_t planes = neep_vk_format_planes(plan->info.format);
	if (plan->layout->drmFormatModifierPlaneCount != planes) {
		return false;
	}
	for (uint32_t i = 0; i < planes; i++) {
		if (!plane_matches(device, image, plan->info.format, &plan->layout->pPlaneLayouts[i], i)) {
			return false;
		}
	}
	return true;
}

static VkResult create_planned(
	const struct neep_vk_device *device, const struct image_plan *plan, VkImage *image) {
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &device->base);
	VkResult result = device->vk.CreateImage(handle, &plan->info, NULL, image);
	if (result == VK_SUCCESS && plan->layout != NULL && !layout_matches(device, *image, plan)) {
		device->vk.DestroyImage(handle, *image, NULL);
		return VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT;
	}
	return result;
}

// Enters the driver's image; takes it in every case.
static VkResult add_image(struct neep_vk_call *call, struct neep_vk_device *device, VkImage owned,
	VkFormat format, uint64_t *id) {
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_IMAGE,
		.handle = NEEP_VK_RAW(owned),
		.parent = &device->base,
		.release = neep_vk_release_Image,
	};
	struct image *image = calloc(1, sizeof(*image));
	if (image == NULL || neep_vk_object_add(neep_vk_call_table(call), &image->base, &params) != 0) {
		device->vk.DestroyImage(NEEP_VK_HANDLE(VkDevice, &device->base), owned, NULL);
		free(image);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	image->format = format;
	*id = image->base.id;
	return VK_SUCCESS;
}

static VkResult create_image(struct neep_vk_call *call, struct neep_vk_device *device,
	const VkImageCreateInfo *wanted, const struct answer *answer) {
	struct image_plan plan;
	VkImage image;
	VkResult result = plan_image(&plan, device, wanted);
	if (result == VK_SUCCESS) {
		result = create_planned(device, &plan, &image);
	}
	if (result != VK_SUCCESS) {
		return result;
	}
	if (answer->requirements != NULL) {
		device->vk.GetImageMemoryRequirements(
			NEEP_VK_HANDLE(VkDevice, &device->base), image, answer->requirements);
	}
	return add_image(call, device, image, plan.info.format, answer->id);
}

VkResult neep_vk_CreateImage(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImageCreateInfo *pCreateInfo, uint64_t *pImage) {
	return create_image(call, neep_vk_device_from(device), pCreateInfo, &(struct answer){ .id = pImage });
}

VkResult neep_vk_CreateImageWithRequirementsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImageCreateInfo *pCreateInfo, uint64_t *pImage, VkMemoryRequirements *pMemoryRequirements) {
	const struct answer answer = { .id = pImage, .requirements = pMemoryRequirements };
	return create_image(call, neep_vk_device_from(device), pCreateInfo, &answer);
}

// Whether the driver says that host memory can be imported for such a buffer.
static bool buffer_takes_host_memory(const struct neep_vk_device *device, const VkBufferCreateInfo *info) {
	const VkPhysicalDeviceExternalBufferInfo query = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.flags = info->flags,
		.usage = info->usage,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
	};
	VkExternalBufferProperties properties = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES,
	};
	device->physical->instance->vk.GetPhysicalDeviceExternalBufferProperties(
		NEEP_VK_HANDLE(VkPhysicalDevice, &device->physical->base), &query, &properties);
	return (properties.externalMemoryProperties.externalMemoryFeatures &
		       VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0;
}

static void plan_buffer(
	struct buffer_plan *plan, const struct neep_vk_device *device, const VkBufferCreateInfo *wanted) {
	static const VkStructureType kept[] = {
		VK_STRUCTURE_TYPE_BUFFER_OPAQUE_CAPTURE_ADDRESS_CREATE_INFO,
#ifdef VK_KHR_maintenance5
		VK_STRUCTURE_TYPE_BUFFER_USAGE_FLAGS_2_CREATE_INFO_KHR,
#endif
	};
	*plan = (struct buffer_plan){
		.info = *wanted,
		.external = {
			.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
			.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
		},
	};
	const VkExternalMemoryBufferCreateInfo *external =
		neep_vk_chain_find(wanted, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
	bool is_external = external != NULL && external->handleTypes != 0;
	neep_vk_chain_keep(&plan->info, kept, NEEP_ARRAY_LEN(kept));
	if (is_external && buffer_takes_host_memory(device, wanted)) {
		neep_vk_chain_push(&plan->info, &plan->external);
	}
}

// A buffer without bytes, of which Vulkan knows nothing, is the null one, which guests' drivers cannot name in every place.
// Commands that need a buffer refuse it.
static VkResult create_null_buffer(struct neep_vk_call *call, struct neep_vk_object *device, uint64_t *id) {
	const struct neep_vk_object_params params = { .type = NEEP_VK_BUFFER, .parent = device };
	return neep_vk_call_add(call, &params, id);
}

VkResult neep_vk_CreateBufferWithRequirementsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkBufferCreateInfo *pCreateInfo, uint64_t *pBuffer, VkMemoryRequirements *pMemoryRequirements) {
	struct neep_vk_device *self = neep_vk_device_from(device);
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, device);
	if (pCreateInfo->size == 0) {
		return self->physical->has_null_descriptors ? create_null_buffer(call, device, pBuffer)
							    : VK_ERROR_FEATURE_NOT_PRESENT;
	}
	struct buffer_plan plan;
	plan_buffer(&plan, self, pCreateInfo);
	VkBuffer buffer;
	VkResult result = self->vk.CreateBuffer(handle, &plan.info, NULL, &buffer);
	if (result != VK_SUCCESS) {
		return result;
	}
	self->vk.GetBufferMemoryRequirements(handle, buffer, pMemoryRequirements);
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_BUFFER,
		.handle = NEEP_VK_RAW(buffer),
		.parent = device,
		.release = neep_vk_release_Buffer,
	};
	return neep_vk_call_add(call, &params, pBuffer);
}

void neep_vk_GetImageSubresourceLayout(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *image, const VkImageSubresource *pSubresource, VkSubresourceLayout *pLayout) {
	(void)call;
	VkImageSubresource subresource = *pSubresource;
	subresource.aspectMask =
		linear_aspect(subresource.aspectMask, neep_container_of(image, struct image, base)->format);
	neep_vk_device_from(device)->vk.GetImageSubresourceLayout(
		NEEP_VK_HANDLE(VkDevice, device), NEEP_VK_HANDLE(VkImage, image), &subresource, pLayout);
}

VkResult neep_vk_GetImageDrmFormatModifierPropertiesEXT(struct neep_vk_call *call,
	struct neep_vk_object *device, struct neep_vk_object *image,
	VkImageDrmFormatModifierPropertiesEXT *pProperties) {
	(void)call;
	(void)device;
	(void)image;
	pProperties->drmFormatModifier = NEEP_VK_MODIFIER_LINEAR;
	return VK_SUCCESS;
}

void neep_vk_GetDeviceImageMemoryRequirements(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceImageMemoryRequirements *pInfo, VkMemoryRequirements2 *pMemoryRequirements) {
	(void)call;
	struct neep_vk_device *self = neep_vk_device_from(device);
	struct image_plan plan;
	if (self->vk.GetDeviceImageMemoryRequirements == NULL ||
		plan_image(&plan, self, pInfo->pCreateInfo) != VK_SUCCESS) {
		return;
	}
	VkDeviceImageMemoryRequirements info = *pInfo;
	info.pCreateInfo = &plan.info;
	info.planeAspect =
		(VkImageAspectFlagBits)linear_aspect((VkImageAspectFlags)info.planeAspect, plan.info.format);
	self->vk.GetDeviceImageMemoryRequirements(
		NEEP_VK_HANDLE(VkDevice, device), &info, pMemoryRequirements);
}

void neep_vk_GetDeviceBufferMemoryRequirements(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceBufferMemoryRequirements *pInfo, VkMemoryRequirements2 *pMemoryRequirements) {
	(void)call;
	struct neep_vk_device *self = neep_vk_device_from(device);
	if (self->vk.GetDeviceBufferMemoryRequirements == NULL) {
		return;
	}
	struct buffer_plan plan;
	plan_buffer(&plan, self, pInfo->pCreateInfo);
	VkDeviceBufferMemoryRequirements info = *pInfo;
	info.pCreateInfo = &plan.info;
	self->vk.GetDeviceBufferMemoryRequirements(
		NEEP_VK_HANDLE(VkDevice, device), &info, pMemoryRequirements);
}
