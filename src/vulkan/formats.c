/* Formats, and images and buffers that are shared: a dma-buf or an opaque fd of the guest is a virtio-gpu resource, and that is plain
 * memory which every renderer imports as host memory. Only linear images look the same to all who share them, so the one DRM modifier
 * is LINEAR, and what is made to be a dma-buf is linear even if the guest left the choice to the driver. */
#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/device.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan/physical_device.h"

// The guest's driver makes resources for these only. Source: Mesa's gfxstream guest.
static bool is_exportable(VkFormat format) {
	switch (format) {
	case VK_FORMAT_R8G8B8A8_UNORM:
	case VK_FORMAT_R8G8B8A8_SNORM:
	case VK_FORMAT_R8G8B8A8_USCALED:
	case VK_FORMAT_R8G8B8A8_SSCALED:
	case VK_FORMAT_R8G8B8A8_SINT:
	case VK_FORMAT_R8G8B8A8_SRGB:
	case VK_FORMAT_B8G8R8A8_UNORM:
	case VK_FORMAT_B8G8R8A8_SNORM:
	case VK_FORMAT_B8G8R8A8_USCALED:
	case VK_FORMAT_B8G8R8A8_SSCALED:
	case VK_FORMAT_B8G8R8A8_SINT:
	case VK_FORMAT_B8G8R8A8_SRGB:
	case VK_FORMAT_A2R10G10B10_UNORM_PACK32:
		return true;
	default:
		return false;
	}
}

uint32_t neep_vk_format_planes(VkFormat format) {
	switch (format) {
	case VK_FORMAT_G8_B8_R8_3PLANE_420_UNORM:
	case VK_FORMAT_G8_B8_R8_3PLANE_422_UNORM:
	case VK_FORMAT_G8_B8_R8_3PLANE_444_UNORM:
	case VK_FORMAT_G10X6_B10X6_R10X6_3PLANE_420_UNORM_3PACK16:
	case VK_FORMAT_G10X6_B10X6_R10X6_3PLANE_422_UNORM_3PACK16:
	case VK_FORMAT_G10X6_B10X6_R10X6_3PLANE_444_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4_R12X4_3PLANE_420_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4_R12X4_3PLANE_422_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4_R12X4_3PLANE_444_UNORM_3PACK16:
	case VK_FORMAT_G16_B16_R16_3PLANE_420_UNORM:
	case VK_FORMAT_G16_B16_R16_3PLANE_422_UNORM:
	case VK_FORMAT_G16_B16_R16_3PLANE_444_UNORM:
		return 3;
	case VK_FORMAT_G8_B8R8_2PLANE_420_UNORM:
	case VK_FORMAT_G8_B8R8_2PLANE_422_UNORM:
	case VK_FORMAT_G8_B8R8_2PLANE_444_UNORM:
	case VK_FORMAT_G10X6_B10X6R10X6_2PLANE_420_UNORM_3PACK16:
	case VK_FORMAT_G10X6_B10X6R10X6_2PLANE_422_UNORM_3PACK16:
	case VK_FORMAT_G10X6_B10X6R10X6_2PLANE_444_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4R12X4_2PLANE_420_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4R12X4_2PLANE_422_UNORM_3PACK16:
	case VK_FORMAT_G12X4_B12X4R12X4_2PLANE_444_UNORM_3PACK16:
	case VK_FORMAT_G16_B16R16_2PLANE_420_UNORM:
	case VK_FORMAT_G16_B16R16_2PLANE_422_UNORM:
	case VK_FORMAT_G16_B16R16_2PLANE_444_UNORM:
		return 2;
	default:
		return 1;
	}
}

// How many modifiers there are to tell, for a list with `room` for so many (of 0 or 1).
static uint32_t told(bool has_array, uint32_t room, uint32_t available) {
	return !has_array || room > available ? available : room;
}

static void list_modifier(VkDrmFormatModifierPropertiesListEXT *list, uint32_t room, VkFormat format,
	VkFormatFeatureFlags features) {
	list->drmFormatModifierCount = told(list->pDrmFormatModifierProperties != NULL, room, features != 0);
	if (list->pDrmFormatModifierProperties == NULL || list->drmFormatModifierCount == 0) {
		return;
	}
	list->pDrmFormatModifierProperties[0] = (VkDrmFormatModifierPropertiesEXT){
		.drmFormatModifier = NEEP_VK_MODIFIER_LINEAR,
		.drmFormatModifierPlaneCount = neep_vk_format_planes(format),
		.drmFormatModifierTilingFeatures = features,
	};
}

static void list_modifier2(VkDrmFormatModifierPropertiesList2EXT *list, uint32_t room, VkFormat format,
	VkFormatFeatureFlags features) {
	list->drmFormatModifierCount = told(list->pDrmFormatModifierProperties != NULL, room, features != 0);
	if (list->pDrmFormatModifierProperties == NULL || list->drmFormatModifierCount == 0) {
		return;
	}
	list->pDrmFormatModifierProperties[0] = (VkDrmFormatModifierProperties2EXT){
		.drmFormatModifier = NEEP_VK_MODIFIER_LINEAR,
		.drmFormatModifierPlaneCount = neep_vk_format_planes(format),
		.drmFormatModifierTilingFeatures = features,
	};
}

void neep_vk_GetPhysicalDeviceFormatProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkFormat format, VkFormatProperties2 *pFormatProperties) {
	(void)call;
	VkDrmFormatModifierPropertiesListEXT *list = neep_vk_chain_find(
		pFormatProperties, VK_STRUCTURE_TYPE_DRM_FORMAT_MODIFIER_PROPERTIES_LIST_EXT);
	VkDrmFormatModifierPropertiesList2EXT *list2 = neep_vk_chain_find(
		pFormatProperties, VK_STRUCTURE_TYPE_DRM_FORMAT_MODIFIER_PROPERTIES_LIST_2_EXT);
	uint32_t room = list != NULL ? list->drmFormatModifierCount : 0;
	uint32_t room2 = list2 != NULL ? list2->drmFormatModifierCount : 0;
	neep_vk_physical_device_from(physicalDevice)
		->instance->vk.GetPhysicalDeviceFormatProperties2(
			NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), format, pFormatProperties);
	VkFormatFeatureFlags features = pFormatProperties->formatProperties.linearTilingFeatures;
	if (list != NULL) {
		list_modifier(list, room, format, features);
	}
	if (list2 != NULL) {
		list_modifier2(list2, room2, format, features);
	}
}

static const VkExternalMemoryHandleTypeFlags shared_types =
	VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT | VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;

static VkExternalMemoryProperties sharing(bool can_export) {
	VkExternalMemoryFeatureFlags export = can_export ? VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT : 0;
	return (VkExternalMemoryProperties){
		.externalMemoryFeatures = export | VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT |
					  VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT,
		.exportFromImportedHandleTypes = can_export ? shared_types : 0,
		.compatibleHandleTypes = shared_types,
	};
}

void neep_vk_GetPhysicalDeviceExternalBufferProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const VkPhysicalDeviceExternalBufferInfo *pExternalBufferInfo,
	VkExternalBufferProperties *pExternalBufferProperties) {
	(void)call;
	(void)physicalDevice;
	bool is_shared = (pExternalBufferInfo->handleType & shared_types) != 0;
	pExternalBufferProperties->externalMemoryProperties =
		is_shared ? sharing(true) : (VkExternalMemoryProperties){ 0 };
}

// What to ask the driver for instead of what the guest asked. Returns VK_ERROR_FORMAT_NOT_SUPPORTED for what cannot be.
static VkResult translate_query(VkPhysicalDeviceImageFormatInfo2 *info) {
	const VkPhysicalDeviceImageDrmFormatModifierInfoEXT *modifier = neep_vk_chain_find(
		info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_DRM_FORMAT_MODIFIER_INFO_EXT);
	const VkPhysicalDeviceExternalImageFormatInfo *external =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO);
	bool is_dma_buf =
		external != NULL && external->handleType == VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT;
	if (external != NULL && external->handleType != 0 && (external->handleType & shared_types) == 0) {
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	}
	if (info->tiling == VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT &&
		(modifier == NULL || modifier->drmFormatModifier != NEEP_VK_MODIFIER_LINEAR)) {
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	}
	if (info->tiling == VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT || is_dma_buf) {
		info->tiling = VK_IMAGE_TILING_LINEAR;
	}
	neep_vk_chain_remove(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_DRM_FORMAT_MODIFIER_INFO_EXT);
	neep_vk_chain_remove(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO);
	return VK_SUCCESS;
}

VkResult neep_vk_GetPhysicalDeviceImageFormatProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const VkPhysicalDeviceImageFormatInfo2 *pImageFormatInfo,
	VkImageFormatProperties2 *pImageFormatProperties) {
	(void)call;
	VkPhysicalDeviceImageFormatInfo2 info = *pImageFormatInfo;
	const VkPhysicalDeviceExternalImageFormatInfo *external =
		neep_vk_chain_find(&info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO);
	bool is_shared = external != NULL && (external->handleType & shared_types) != 0;
	VkResult result = translate_query(&info);
	if (result != VK_SUCCESS) {
		return result;
	}
	result = neep_vk_physical_device_from(physicalDevice)
			 ->instance->vk.GetPhysicalDeviceImageFormatProperties2(
				 NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), &info,
				 pImageFormatProperties);
	VkExternalImageFormatProperties *answer = neep_vk_chain_find(
		pImageFormatProperties, VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES);
	if (answer != NULL) {
		answer->externalMemoryProperties = is_shared && result == VK_SUCCESS
							   ? sharing(is_exportable(info.format))
							   : (VkExternalMemoryProperties){ 0 };
	}
	return result;
}
