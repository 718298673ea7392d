#include "vulkan/physical_device.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "neep_vk_extensions.h"
#include "util/guest_layer.h"
#include "util/log.h"
#include "vulkan/call.h"
#include "vulkan/context.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_physical_device.h"

// More are not looked at.
#define MAX_CANDIDATES 16

// What the renderer or the guest's driver does itself, whatever the driver can.
static const VkExtensionProperties added[] = {
	{ VK_KHR_EXTERNAL_MEMORY_EXTENSION_NAME, VK_KHR_EXTERNAL_MEMORY_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME, VK_KHR_EXTERNAL_MEMORY_FD_SPEC_VERSION },
	{ VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_SPEC_VERSION },
	{ VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME, VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_SPEC_VERSION },
	{ VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME, VK_EXT_QUEUE_FAMILY_FOREIGN_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_SEMAPHORE_EXTENSION_NAME, VK_KHR_EXTERNAL_SEMAPHORE_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME, VK_KHR_EXTERNAL_SEMAPHORE_FD_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_FENCE_EXTENSION_NAME, VK_KHR_EXTERNAL_FENCE_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_FENCE_FD_EXTENSION_NAME, VK_KHR_EXTERNAL_FENCE_FD_SPEC_VERSION },
};

// What the wire carries, but not all of it, or with no meaning at its end: descriptors of templates that lie in the program's memory,
// pointers to its functions, windows of the host, border colours, which the guest driver drops from the samplers that name them.
static const char *const hidden[] = {
	"VK_KHR_push_descriptor",
	"VK_EXT_custom_border_color",
	"VK_EXT_device_memory_report",
	"VK_KHR_swapchain_mutable_format",
	"VK_KHR_present_id",
};

bool neep_vk_device_extension_is_hidden(const char *name) {
	return !neep_vk_extension_is_carried(name) ||
	       neep_vk_names_have(hidden, NEEP_ARRAY_LEN(hidden), name);
}

static VkResult list_driver_extensions(struct neep_vk_physical_device *physical) {
	VkPhysicalDevice handle = NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base);
	PFN_vkEnumerateDeviceExtensionProperties enumerate =
		physical->instance->vk.EnumerateDeviceExtensionProperties;
	struct neep_vk_extensions *extensions = &physical->driver_extensions;
	VkResult result = enumerate(handle, NULL, &extensions->count, NULL);
	if (result != VK_SUCCESS) {
		return result;
	}
	extensions->list = calloc(extensions->count + 1, sizeof(*extensions->list));
	if (extensions->list == NULL) {
		extensions->count = 0;
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	result = enumerate(handle, NULL, &extensions->count, extensions->list);
	return result < 0 ? result : VK_SUCCESS;
}

static VkResult list_guest_extensions(struct neep_vk_physical_device *physical) {
	const struct neep_vk_extensions *from = &physical->driver_extensions;
	struct neep_vk_extensions *to = &physical->extensions;
	to->list = calloc(from->count + NEEP_ARRAY_LEN(added), sizeof(*to->list));
	if (to->list == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	for (uint32_t i = 0; i < from->count; i++) {
		if (!neep_vk_device_extension_is_hidden(from->list[i].extensionName)) {
			to->list[to->count++] = from->list[i];
		}
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(added); i++) {
		if (!neep_vk_extensions_have(to, added[i].extensionName)) {
			to->list[to->count++] = added[i];
		}
	}
	return VK_SUCCESS;
}

static bool has_null_descriptor_feature(const struct neep_vk_physical_device *physical) {
	VkPhysicalDeviceRobustness2FeaturesEXT robustness2 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &robustness2,
	};
	physical->instance->vk.GetPhysicalDeviceFeatures2(
		NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base), &features);
	return robustness2.nullDescriptor;
}

static void dispose_physical_device(struct neep_vk_object *object) {
	struct neep_vk_physical_device *physical = neep_vk_physical_device_from(object);
	neep_vk_extensions_finish(&physical->driver_extensions);
	neep_vk_extensions_finish(&physical->extensions);
	free(physical);
}

// Whether it can serve a guest; the log says why not. Leaves errors of memory in *result.
static bool is_usable(struct neep_vk_physical_device *physical, const struct neep_vk_limits *limits,
	const char *name, VkResult *result) {
	*result = list_driver_extensions(physical);
	if (*result != VK_SUCCESS) {
		return false;
	}
	if (!neep_vk_extensions_have(
		    &physical->driver_extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) {
		neep_log("vulkan", NEEP_LOG_ERROR,
			"%s cannot be used: its driver lacks VK_EXT_external_memory_host", name);
		return false;
	}
	if (neep_vk_memory_types_decide(physical, limits) != 0) {
		neep_log("vulkan", NEEP_LOG_ERROR,
			"%s cannot be used: its driver imports no coherent memory from the host", name);
		return false;
	}
	physical->has_null_descriptors =
		neep_vk_extensions_have(&physical->driver_extensions, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME) &&
		has_null_descriptor_feature(physical);
	*result = list_guest_extensions(physical);
	return *result == VK_SUCCESS;
}

// VK_ERROR_FEATURE_NOT_PRESENT: this one cannot be used.
static VkResult try_candidate(
	struct neep_vk_call *call, struct neep_vk_instance *instance, VkPhysicalDevice candidate) {
	VkPhysicalDeviceProperties properties;
	instance->vk.GetPhysicalDeviceProperties(candidate, &properties);
	struct neep_vk_physical_device *physical = calloc(1, sizeof(*physical));
	if (physical == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	physical->base.handle = NEEP_VK_RAW(candidate);
	physical->base.dispose = dispose_physical_device;
	physical->instance = instance;
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_PHYSICAL_DEVICE,
		.handle = NEEP_VK_RAW(candidate),
		.parent = &instance->base,
	};
	VkResult result;
	if (!is_usable(physical, &call->context->limits, properties.deviceName, &result)) {
		dispose_physical_device(&physical->base);
		return result != VK_SUCCESS ? result : VK_ERROR_FEATURE_NOT_PRESENT;
	}
	if (neep_vk_object_add(neep_vk_call_table(call), &physical->base, &params) != 0) {
		dispose_physical_device(&physical->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	instance->physical_id = physical->base.id;
	neep_log("vulkan", NEEP_LOG_DEBUG, "renders with %s", properties.deviceName);
	return VK_SUCCESS;
}

// The lower the better; VK_PHYSICAL_DEVICE_TYPE_* is the index.
static int rank_of(const VkPhysicalDeviceProperties *properties) {
	static const int ranks[] = { 4, 1, 0, 2, 3 };
	if (properties->apiVersion < VK_API_VERSION_1_1) {
		return -1;
	}
	size_t type = (size_t)properties->deviceType;
	return type < NEEP_ARRAY_LEN(ranks) ? ranks[type] : ranks[0];
}

// Those of one rank, in the driver's order.
static VkResult try_rank(struct neep_vk_call *call, struct neep_vk_instance *instance,
	const VkPhysicalDevice *candidates, uint32_t count, int rank) {
	for (uint32_t i = 0; i < count; i++) {
		VkPhysicalDeviceProperties properties;
		instance->vk.GetPhysicalDeviceProperties(candidates[i], &properties);
		if (rank_of(&properties) != rank) {
			continue;
		}
		VkResult result = try_candidate(call, instance, candidates[i]);
		if (result != VK_ERROR_FEATURE_NOT_PRESENT) {
			return result;
		}
	}
	return VK_ERROR_FEATURE_NOT_PRESENT;
}

VkResult neep_vk_physical_device_choose(struct neep_vk_call *call, struct neep_vk_instance *instance) {
	VkPhysicalDevice candidates[MAX_CANDIDATES];
	uint32_t count = MAX_CANDIDATES;
	VkResult result = instance->vk.EnumeratePhysicalDevices(
		NEEP_VK_HANDLE(VkInstance, &instance->base), &count, candidates);
	if (result < 0) {
		return result;
	}
	result = VK_ERROR_FEATURE_NOT_PRESENT;
	for (int rank = 0; rank <= 4 && result == VK_ERROR_FEATURE_NOT_PRESENT; rank++) {
		result = try_rank(call, instance, candidates, count, rank);
	}
	if (result == VK_ERROR_FEATURE_NOT_PRESENT) {
		neep_log("vulkan", NEEP_LOG_ERROR,
			"no Vulkan device of the host can be used (of %u): install a driver, such as "
			"mesa-vulkan-drivers",
			count);
		result = VK_SUCCESS;
	}
	instance->has_chosen = result == VK_SUCCESS;
	return result;
}

VkResult neep_vk_EnumerateDeviceExtensionProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const char *pLayerName, uint32_t *pPropertyCount,
	VkExtensionProperties *pProperties) {
	(void)call;
	const struct neep_vk_extensions *extensions =
		&neep_vk_physical_device_from(physicalDevice)->extensions;
	const struct neep_vk_items all = {
		.items = extensions->list,
		.item_size = sizeof(*extensions->list),
		.count = extensions->count,
	};
	return neep_vk_extensions_enumerate(&all, pLayerName, pPropertyCount, pProperties);
}

VkResult neep_vk_EnumerateDeviceLayerProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pPropertyCount, VkLayerProperties *pProperties) {
	(void)call;
	(void)physicalDevice;
	return neep_vk_enumerate(&(struct neep_vk_items){ 0 }, pPropertyCount, pProperties);
}

// For the guest's layer (guest/layer). Mesa 26.1's driver carries no struct that would tell of null descriptors, but it does forward
// this, and a layer that adds features is such a tool.
VkResult neep_vk_GetPhysicalDeviceToolProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pToolCount,
	VkPhysicalDeviceToolProperties *pToolProperties) {
	static const VkPhysicalDeviceToolProperties null_descriptors = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TOOL_PROPERTIES,
		.name = "neep",
		.version = NEEP_VERSION,
		.purposes = VK_TOOL_PURPOSE_ADDITIONAL_FEATURES_BIT,
		.description = "Null descriptors, where the guest has the layer",
		.layer = NEEP_GUEST_LAYER,
	};
	(void)call;
	const struct neep_vk_items tools = {
		.items = &null_descriptors,
		.item_size = sizeof(null_descriptors),
		.count = neep_vk_physical_device_from(physicalDevice)->has_null_descriptors,
	};
	return neep_vk_enumerate(&tools, pToolCount, pToolProperties);
}

// Some drivers look at the first element of an array of none.
static bool has_no_room(const uint32_t *count, const void *array) {
	return array != NULL && *count == 0;
}

static VkQueueFlags hidden_queue_flags(const struct neep_vk_physical_device *physical) {
	return VK_QUEUE_PROTECTED_BIT | (physical->has_sparse ? 0u : VK_QUEUE_SPARSE_BINDING_BIT);
}

void neep_vk_GetPhysicalDeviceQueueFamilyProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pQueueFamilyPropertyCount,
	VkQueueFamilyProperties *pQueueFamilyProperties) {
	(void)call;
	if (has_no_room(pQueueFamilyPropertyCount, pQueueFamilyProperties)) {
		return;
	}
	const struct neep_vk_physical_device *physical = neep_vk_physical_device_from(physicalDevice);
	physical->instance->vk.GetPhysicalDeviceQueueFamilyProperties(
		NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pQueueFamilyPropertyCount,
		pQueueFamilyProperties);
	for (uint32_t i = 0; pQueueFamilyProperties != NULL && i < *pQueueFamilyPropertyCount; i++) {
		pQueueFamilyProperties[i].queueFlags &= ~hidden_queue_flags(physical);
	}
}

void neep_vk_GetPhysicalDeviceQueueFamilyProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pQueueFamilyPropertyCount,
	VkQueueFamilyProperties2 *pQueueFamilyProperties) {
	(void)call;
	if (has_no_room(pQueueFamilyPropertyCount, pQueueFamilyProperties)) {
		return;
	}
	const struct neep_vk_physical_device *physical = neep_vk_physical_device_from(physicalDevice);
	physical->instance->vk.GetPhysicalDeviceQueueFamilyProperties2(
		NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pQueueFamilyPropertyCount,
		pQueueFamilyProperties);
	for (uint32_t i = 0; pQueueFamilyProperties != NULL && i < *pQueueFamilyPropertyCount; i++) {
		pQueueFamilyProperties[i].queueFamilyProperties.queueFlags &= ~hidden_queue_flags(physical);
	}
}

void neep_vk_GetPhysicalDeviceExternalSemaphoreProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice,
	const VkPhysicalDeviceExternalSemaphoreInfo *pExternalSemaphoreInfo,
	VkExternalSemaphoreProperties *pExternalSemaphoreProperties) {
	(void)call;
	(void)physicalDevice;
	(void)pExternalSemaphoreInfo;
	pExternalSemaphoreProperties->exportFromImportedHandleTypes = 0;
	pExternalSemaphoreProperties->compatibleHandleTypes = 0;
	pExternalSemaphoreProperties->externalSemaphoreFeatures = 0;
}
