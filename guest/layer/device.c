#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"
#include "util/macros.h"

// As in instance.c.
static struct neep_layer_map devices = NEEP_LAYER_MAP_INIT; // struct neep_layer_device

struct neep_layer_device *neep_layer_device_of(const void *handle) {
	struct neep_layer_entry *entry = neep_layer_map_find(&devices, neep_layer_key(handle));
	return entry != NULL ? neep_container_of(entry, struct neep_layer_device, entry) : NULL;
}

static VkPhysicalDeviceRobustness2FeaturesEXT *find_features(const VkDeviceCreateInfo *info) {
	return neep_layer_chain_find(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
}

static bool wants_null_descriptors(const VkDeviceCreateInfo *info) {
	const VkPhysicalDeviceRobustness2FeaturesEXT *wanted = find_features(info);
	return wanted != NULL && wanted->nullDescriptor;
}

// Stores all names but that of the extension; `names` has room for them.
static uint32_t drop_extension(const VkDeviceCreateInfo *info, const char **names) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		if (strcmp(info->ppEnabledExtensionNames[i], VK_EXT_ROBUSTNESS_2_EXTENSION_NAME) != 0) {
			names[count++] = info->ppEnabledExtensionNames[i];
		}
	}
	return count;
}

// With what the driver knows of it.
static VkResult create_below(const struct neep_layer_instance *instance, VkPhysicalDevice physical,
	const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *device) {
	const char **names = calloc((size_t)info->enabledExtensionCount + 1, sizeof(*names));
	if (names == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	VkDeviceCreateInfo below = *info;
	below.enabledExtensionCount = drop_extension(info, names);
	below.ppEnabledExtensionNames = names;
	VkResult result = instance->create_device(physical, &below, allocator, device);
	free(names);
	return result;
}

// Mesa's runtime holds what is wanted against what the driver says, and every device of neep's has null descriptors: so they are
// not asked for. Where a struct is too new to be copied, the program's own is changed for so long.
static VkResult create_with_nulls(const struct neep_layer_instance *instance, VkPhysicalDevice physical,
	const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *device) {
	VkDeviceCreateInfo below = *info;
	void *copy = neep_layer_chain_copy(&below, find_features(info));
	VkPhysicalDeviceRobustness2FeaturesEXT *wanted = find_features(&below);
	wanted->nullDescriptor = VK_FALSE;
	VkResult result = create_below(instance, physical, &below, allocator, device);
	wanted->nullDescriptor = VK_TRUE;
	free(copy);
	return result;
}

static PFN_vkVoidFunction get(const struct neep_layer_device *self, const char *name) {
	return self->get(self->handle, name);
}

// The core function, or that of the extension.
static PFN_vkVoidFunction get_either(
	const struct neep_layer_device *self, const char *name, const char *other_name) {
	PFN_vkVoidFunction function = get(self, name);
	return function != NULL ? function : get(self, other_name);
}

static void load(struct neep_layer_device *self) {
	self->destroy = (PFN_vkDestroyDevice)get(self, "vkDestroyDevice");
	self->create_buffer = (PFN_vkCreateBuffer)get(self, "vkCreateBuffer");
	self->destroy_buffer = (PFN_vkDestroyBuffer)get(self, "vkDestroyBuffer");
	self->create_template = (PFN_vkCreateDescriptorUpdateTemplate)get_either(
		self, "vkCreateDescriptorUpdateTemplate", "vkCreateDescriptorUpdateTemplateKHR");
	self->destroy_template = (PFN_vkDestroyDescriptorUpdateTemplate)get_either(
		self, "vkDestroyDescriptorUpdateTemplate", "vkDestroyDescriptorUpdateTemplateKHR");
	self->update_with_template = (PFN_vkUpdateDescriptorSetWithTemplate)get_either(
		self, "vkUpdateDescriptorSetWithTemplate", "vkUpdateDescriptorSetWithTemplateKHR");
	self->bind_vertex_buffers = (PFN_vkCmdBindVertexBuffers)get(self, "vkCmdBindVertexBuffers");
	self->bind_vertex_buffers2 = (PFN_vkCmdBindVertexBuffers2)get_either(
		self, "vkCmdBindVertexBuffers2", "vkCmdBindVertexBuffers2EXT");
}

static VkResult create_null_buffer(struct neep_layer_device *self) {
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = 0,
		.usage = VK_BUFFER_USAGE_VERTEX_BUFFER_BIT,
	};
	return self->create_buffer(self->handle, &info, NULL, &self->null_buffer);
}

static struct neep_layer_device *device_alloc(const VkLayerDeviceLink *link) {
	struct neep_layer_device *self = calloc(1, sizeof(*self));
	if (self != NULL) {
		neep_layer_map_init(&self->templates);
		self->get = link->pfnNextGetDeviceProcAddr;
	}
	return self;
}

static void device_free(struct neep_layer_device *self) {
	struct neep_layer_entry *template;
	while ((template = neep_layer_map_take_any(&self->templates)) != NULL) {
		neep_layer_template_free(template);
	}
	neep_layer_map_finish(&self->templates);
	free(self);
}

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateDevice(VkPhysicalDevice physical,
	const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *device) {
	const struct neep_layer_instance *instance = neep_layer_instance_of(physical);
	VkLayerDeviceCreateInfo *link =
		neep_layer_chain_link(info, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
	if (instance == NULL || link == NULL) {
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	struct neep_layer_device *self = device_alloc(link->u.pLayerInfo);
	if (self == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	bool adds_extension = neep_layer_adds_extension(instance, physical);
	bool has_nulls = adds_extension && wants_null_descriptors(info);
	VkResult result = has_nulls        ? create_with_nulls(instance, physical, info, allocator, device)
			  : adds_extension ? create_below(instance, physical, info, allocator, device)
					   : instance->create_device(physical, info, allocator, device);
	if (result != VK_SUCCESS) {
		device_free(self);
		return result;
	}
	self->handle = *device;
	self->entry.key = neep_layer_key(*device);
	load(self);
	if (has_nulls) {
		result = create_null_buffer(self);
	}
	if (result != VK_SUCCESS) {
		self->destroy(*device, allocator);
		device_free(self);
		return result;
	}
	neep_layer_map_add(&devices, &self->entry);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyDevice(VkDevice device, const VkAllocationCallbacks *allocator) {
	struct neep_layer_entry *entry =
		device != VK_NULL_HANDLE ? neep_layer_map_take(&devices, neep_layer_key(device)) : NULL;
	if (entry == NULL) {
		return;
	}
	struct neep_layer_device *self = neep_container_of(entry, struct neep_layer_device, entry);
	if (self->null_buffer != VK_NULL_HANDLE) {
		self->destroy_buffer(device, self->null_buffer, NULL);
	}
	self->destroy(device, allocator);
	device_free(self);
}
