#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"
#include "util/guest_layer.h"
#include "util/macros.h"

// Whatever the layer is loaded into has no other place for this.
static struct neep_layer_map instances = NEEP_LAYER_MAP_INIT; // struct neep_layer_instance

struct neep_layer_instance *neep_layer_instance_of(const void *handle) {
	struct neep_layer_entry *entry = neep_layer_map_find(&instances, neep_layer_key(handle));
	return entry != NULL ? neep_container_of(entry, struct neep_layer_instance, entry) : NULL;
}

static PFN_vkVoidFunction get(const struct neep_layer_instance *self, const char *name) {
	return self->get(self->handle, name);
}

// The core function, or that of the extension.
static PFN_vkVoidFunction get_either(
	const struct neep_layer_instance *self, const char *name, const char *other_name) {
	PFN_vkVoidFunction function = get(self, name);
	return function != NULL ? function : get(self, other_name);
}

static void load(struct neep_layer_instance *self) {
	self->destroy = (PFN_vkDestroyInstance)get(self, "vkDestroyInstance");
	self->create_device = (PFN_vkCreateDevice)get(self, "vkCreateDevice");
	self->list_extensions =
		(PFN_vkEnumerateDeviceExtensionProperties)get(self, "vkEnumerateDeviceExtensionProperties");
	self->get_features = (PFN_vkGetPhysicalDeviceFeatures2)get_either(
		self, "vkGetPhysicalDeviceFeatures2", "vkGetPhysicalDeviceFeatures2KHR");
	self->get_properties = (PFN_vkGetPhysicalDeviceProperties2)get_either(
		self, "vkGetPhysicalDeviceProperties2", "vkGetPhysicalDeviceProperties2KHR");
	self->get_tools = (PFN_vkGetPhysicalDeviceToolProperties)get_either(
		self, "vkGetPhysicalDeviceToolProperties", "vkGetPhysicalDeviceToolPropertiesEXT");
}

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateInstance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *instance) {
	VkLayerInstanceCreateInfo *link =
		neep_layer_chain_link(info, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
	struct neep_layer_instance *self = calloc(1, sizeof(*self));
	if (link == NULL || self == NULL) {
		free(self);
		return link == NULL ? VK_ERROR_INITIALIZATION_FAILED : VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	self->get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	PFN_vkCreateInstance create = (PFN_vkCreateInstance)self->get(VK_NULL_HANDLE, "vkCreateInstance");
	VkResult result = create != NULL ? create(info, allocator, instance) : VK_ERROR_INITIALIZATION_FAILED;
	if (result != VK_SUCCESS) {
		free(self);
		return result;
	}
	self->handle = *instance;
	self->entry.key = neep_layer_key(*instance);
	load(self);
	neep_layer_map_add(&instances, &self->entry);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyInstance(
	VkInstance instance, const VkAllocationCallbacks *allocator) {
	struct neep_layer_entry *entry =
		instance != VK_NULL_HANDLE ? neep_layer_map_take(&instances, neep_layer_key(instance)) : NULL;
	if (entry == NULL) {
		return;
	}
	struct neep_layer_instance *self = neep_container_of(entry, struct neep_layer_instance, entry);
	self->destroy(instance, allocator);
	free(self);
}

static bool names_extension(const VkExtensionProperties *properties, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(properties[i].extensionName, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME) == 0) {
			return true;
		}
	}
	return false;
}

// Also true for want of memory: then nothing is added.
static bool driver_lists_extension(const struct neep_layer_instance *self, VkPhysicalDevice physical) {
	uint32_t count = 0;
	if (self->list_extensions(physical, NULL, &count, NULL) != VK_SUCCESS) {
		return true;
	}
	VkExtensionProperties *properties = calloc((size_t)count + 1, sizeof(*properties));
	bool is_listed = properties == NULL ||
			 self->list_extensions(physical, NULL, &count, properties) != VK_SUCCESS ||
			 names_extension(properties, count);
	free(properties);
	return is_listed;
}

// The host's answer to the guest's layer; it has no other tool.
static bool host_has_null_descriptors(const struct neep_layer_instance *self, VkPhysicalDevice physical) {
	VkPhysicalDeviceToolProperties tool = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TOOL_PROPERTIES,
	};
	uint32_t count = 1;
	return self->get_tools != NULL && self->get_tools(physical, &count, &tool) >= 0 && count == 1 &&
	       strncmp(tool.layer, NEEP_GUEST_LAYER, sizeof(tool.layer)) == 0;
}

bool neep_layer_adds_extension(const struct neep_layer_instance *instance, VkPhysicalDevice physical) {
	return !driver_lists_extension(instance, physical) && host_has_null_descriptors(instance, physical);
}

// The driver's list, and one more at its end.
static VkResult list_one_more(const struct neep_layer_instance *self, VkPhysicalDevice physical,
	uint32_t *count, VkExtensionProperties *properties) {
	uint32_t room = *count;
	VkResult result = self->list_extensions(physical, NULL, count, properties);
	if (result != VK_SUCCESS) {
		return result;
	}
	if (properties != NULL && *count == room) {
		return VK_INCOMPLETE;
	}
	if (properties != NULL) {
		properties[*count] = (VkExtensionProperties){
			.extensionName = VK_EXT_ROBUSTNESS_2_EXTENSION_NAME,
			.specVersion = VK_EXT_ROBUSTNESS_2_SPEC_VERSION,
		};
	}
	*count += 1;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_EnumerateDeviceExtensionProperties(
	VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *properties) {
	const struct neep_layer_instance *self = neep_layer_instance_of(physical);
	if (layer != NULL && strcmp(layer, NEEP_GUEST_LAYER) == 0) {
		// What it adds belongs to the driver, for the program.
		*count = 0;
		return VK_SUCCESS;
	}
	if (layer != NULL || !neep_layer_adds_extension(self, physical)) {
		return self->list_extensions(physical, layer, count, properties);
	}
	return list_one_more(self, physical, count, properties);
}

VKAPI_ATTR void VKAPI_CALL neep_layer_GetPhysicalDeviceFeatures2(
	VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features) {
	const struct neep_layer_instance *self = neep_layer_instance_of(physical);
	VkPhysicalDeviceRobustness2FeaturesEXT *robustness2 =
		neep_layer_chain_find(features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
	bool adds_feature = robustness2 != NULL && neep_layer_adds_extension(self, physical);
	if (adds_feature) {
		robustness2->robustBufferAccess2 = VK_FALSE;
		robustness2->robustImageAccess2 = VK_FALSE;
	}
	self->get_features(physical, features);
	if (adds_feature) {
		robustness2->nullDescriptor = VK_TRUE;
	}
}

VKAPI_ATTR void VKAPI_CALL neep_layer_GetPhysicalDeviceProperties2(
	VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *properties) {
	const struct neep_layer_instance *self = neep_layer_instance_of(physical);
	VkPhysicalDeviceRobustness2PropertiesEXT *robustness2 = neep_layer_chain_find(
		properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_PROPERTIES_EXT);
	bool adds_properties = robustness2 != NULL && neep_layer_adds_extension(self, physical);
	if (adds_properties) {
		// The coarsest that may be, which holds for every host.
		robustness2->robustStorageBufferAccessSizeAlignment = 4;
		robustness2->robustUniformBufferAccessSizeAlignment = 256;
	}
	self->get_properties(physical, properties);
}
