#include <string.h>

#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/device.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan/physical_device.h"

// Bytes of a features struct that the guest must see as VK_FALSE.
struct part {
	VkStructureType type;
	size_t offset;
	size_t size;
};

#define MEMBER(struct_type, member) offsetof(struct_type, member), sizeof(VkBool32)
// All that comes behind sType and pNext.
#define WHOLE(struct_type) sizeof(VkBaseOutStructure), sizeof(struct_type) - sizeof(VkBaseOutStructure)

// Newer ones are known to newer headers only.
static const struct part hidden[] = {
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROTECTED_MEMORY_FEATURES,
		MEMBER(VkPhysicalDeviceProtectedMemoryFeatures, protectedMemory) },
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		MEMBER(VkPhysicalDeviceVulkan11Features, protectedMemory) },
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEVICE_MEMORY_REPORT_FEATURES_EXT,
		WHOLE(VkPhysicalDeviceDeviceMemoryReportFeaturesEXT) },
	/* The guest driver drops the colour from samplers. */
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_CUSTOM_BORDER_COLOR_FEATURES_EXT,
		WHOLE(VkPhysicalDeviceCustomBorderColorFeaturesEXT) },
#ifdef VK_EXT_host_image_copy
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_HOST_IMAGE_COPY_FEATURES_EXT,
		WHOLE(VkPhysicalDeviceHostImageCopyFeaturesEXT) },
#endif
#ifdef VK_VERSION_1_4
	{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_4_FEATURES, WHOLE(VkPhysicalDeviceVulkan14Features) },
#endif
};

void neep_vk_features_filter(void *head) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(hidden); i++) {
		char *features = neep_vk_chain_find(head, hidden[i].type);
		if (features != NULL) {
			memset(features + hidden[i].offset, 0, hidden[i].size);
		}
	}
}

bool neep_vk_features_want_protected(const void *head) {
	const VkPhysicalDeviceProtectedMemoryFeatures *own =
		neep_vk_chain_find(head, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROTECTED_MEMORY_FEATURES);
	const VkPhysicalDeviceVulkan11Features *core =
		neep_vk_chain_find(head, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
	return (own != NULL && own->protectedMemory) || (core != NULL && core->protectedMemory);
}

#define SPARSE_SIZE                                                                      \
	(offsetof(VkPhysicalDeviceFeatures, sparseResidencyAliased) + sizeof(VkBool32) - \
		offsetof(VkPhysicalDeviceFeatures, sparseBinding))

static void filter_sparse(struct neep_vk_object *physical, VkPhysicalDeviceFeatures *features) {
	if (!neep_vk_physical_device_from(physical)->has_sparse) {
		memset(&features->sparseBinding, 0, SPARSE_SIZE);
		features->shaderResourceResidency = VK_FALSE;
	}
}

bool neep_vk_features_want_sparse(const VkDeviceCreateInfo *info) {
	const VkPhysicalDeviceFeatures2 *chained =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
	const VkPhysicalDeviceFeatures *features =
		chained != NULL ? &chained->features : info->pEnabledFeatures;
	return features != NULL && features->sparseBinding;
}

void neep_vk_GetPhysicalDeviceFeatures(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceFeatures *pFeatures) {
	(void)call;
	neep_vk_physical_device_from(physicalDevice)
		->instance->vk.GetPhysicalDeviceFeatures(
			NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pFeatures);
	filter_sparse(physicalDevice, pFeatures);
}

void neep_vk_GetPhysicalDeviceFeatures2(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceFeatures2 *pFeatures) {
	(void)call;
	neep_vk_physical_device_from(physicalDevice)
		->instance->vk.GetPhysicalDeviceFeatures2(
			NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pFeatures);
	neep_vk_features_filter(pFeatures);
	filter_sparse(physicalDevice, &pFeatures->features);
}

static void filter_properties(VkPhysicalDeviceProperties *properties) {
	// The patch number of a driver of that version is left.
	if (properties->apiVersion >= VK_MAKE_API_VERSION(0, 1, 4, 0)) {
		properties->apiVersion = NEEP_VK_API_VERSION;
	}
}

static void limit_size(VkDeviceSize *size) {
	if (*size > NEEP_VK_MAX_HOST_VISIBLE) {
		*size = NEEP_VK_MAX_HOST_VISIBLE;
	}
}

static void limit_allocation_size(VkPhysicalDeviceProperties2 *properties) {
	VkPhysicalDeviceMaintenance3Properties *own =
		neep_vk_chain_find(properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES);
	if (own != NULL) {
		limit_size(&own->maxMemoryAllocationSize);
	}
	VkPhysicalDeviceVulkan11Properties *core =
		neep_vk_chain_find(properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
	if (core != NULL) {
		limit_size(&core->maxMemoryAllocationSize);
	}
}

// Layouts for copies that the host makes: there are none. Before the driver too: it fills what the guest has counted.
static void empty_layout_lists(VkPhysicalDeviceProperties2 *properties) {
#ifdef VK_EXT_host_image_copy
	VkPhysicalDeviceHostImageCopyPropertiesEXT *own = neep_vk_chain_find(
		properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_HOST_IMAGE_COPY_PROPERTIES_EXT);
	if (own != NULL) {
		own->copySrcLayoutCount = 0;
		own->copyDstLayoutCount = 0;
	}
#endif
#ifdef VK_VERSION_1_4
	VkPhysicalDeviceVulkan14Properties *core =
		neep_vk_chain_find(properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_4_PROPERTIES);
	if (core != NULL) {
		core->copySrcLayoutCount = 0;
		core->copyDstLayoutCount = 0;
	}
#endif
	(void)properties;
}

void neep_vk_GetPhysicalDeviceProperties(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceProperties *pProperties) {
	(void)call;
	neep_vk_physical_device_from(physicalDevice)
		->instance->vk.GetPhysicalDeviceProperties(
			NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pProperties);
	filter_properties(pProperties);
}

void neep_vk_GetPhysicalDeviceProperties2(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceProperties2 *pProperties) {
	(void)call;
	empty_layout_lists(pProperties);
	neep_vk_physical_device_from(physicalDevice)
		->instance->vk.GetPhysicalDeviceProperties2(
			NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pProperties);
	empty_layout_lists(pProperties);
	filter_properties(&pProperties->properties);
	limit_allocation_size(pProperties);
}
