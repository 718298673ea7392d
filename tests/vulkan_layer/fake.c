#include "support/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "util/guest_layer.h"
#include "util/macros.h"
#include "vulkan_layer/fake.h"

struct fake fake;

static const int tables[3];
static struct fake_object instance_object = { &tables[0] }, physical_object = { &tables[0] };
static struct fake_object device_objects[2] = { { &tables[1] }, { &tables[2] } };

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *instance) {
	(void)info;
	(void)allocator;
	*instance = (VkInstance)(void *)&instance_object;
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_instance(
	VkInstance instance, const VkAllocationCallbacks *allocator) {
	(void)instance;
	(void)allocator;
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(
	VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *properties) {
	static const VkExtensionProperties all[] = {
		{ "VK_KHR_maintenance1", 1 },
		{ VK_EXT_ROBUSTNESS_2_EXTENSION_NAME, 1 },
	};
	(void)physical;
	if (layer != NULL) {
		return VK_ERROR_LAYER_NOT_PRESENT;
	}
	uint32_t have = fake.lists_extension ? 2 : 1;
	if (properties == NULL) {
		*count = have;
		return VK_SUCCESS;
	}
	bool is_all = *count >= have;
	*count = is_all ? have : *count;
	memcpy(properties, all, *count * sizeof(*all));
	return is_all ? VK_SUCCESS : VK_INCOMPLETE;
}

static VKAPI_ATTR void VKAPI_CALL get_features(
	VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features) {
	VkPhysicalDeviceRobustness2FeaturesEXT *robustness2 =
		neep_layer_chain_find(features, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
	(void)physical;
	features->features.geometryShader = VK_TRUE;
	if (robustness2 != NULL && fake.answers_features) {
		robustness2->robustBufferAccess2 = VK_TRUE;
		robustness2->nullDescriptor = VK_TRUE;
	}
}

static VKAPI_ATTR void VKAPI_CALL get_properties(
	VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *properties) {
	VkPhysicalDeviceRobustness2PropertiesEXT *robustness2 = neep_layer_chain_find(
		properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_PROPERTIES_EXT);
	(void)physical;
	if (robustness2 != NULL && fake.answers_features) {
		robustness2->robustStorageBufferAccessSizeAlignment = 1;
		robustness2->robustUniformBufferAccessSizeAlignment = 16;
	}
}

static VKAPI_ATTR VkResult VKAPI_CALL get_tools(
	VkPhysicalDevice physical, uint32_t *count, VkPhysicalDeviceToolProperties *tools) {
	(void)physical;
	*count = fake.has_tool;
	if (fake.has_tool) {
		snprintf(tools->layer, sizeof(tools->layer), "%s", NEEP_GUEST_LAYER);
	}
	return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDevice *device) {
	(void)physical;
	(void)allocator;
	fake.name_count = info->enabledExtensionCount;
	for (uint32_t i = 0; i < fake.name_count; i++) {
		snprintf(fake.names[i], sizeof(fake.names[i]), "%s", info->ppEnabledExtensionNames[i]);
	}
	const VkPhysicalDeviceRobustness2FeaturesEXT *robustness2 =
		neep_layer_chain_find(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
	fake.wants_nulls = robustness2 != NULL && robustness2->nullDescriptor;
	fake.wants_robust = robustness2 != NULL && robustness2->robustBufferAccess2;
	if (fake.create_result == VK_SUCCESS) {
		*device = (VkDevice)(void *)&device_objects[fake.device_count++ % 2];
	}
	return fake.create_result;
}

static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks *allocator) {
	(void)device;
	(void)allocator;
	/* Its own is gone. */
	assert_true(fake.buffer_count < fake.device_count - fake.destroyed_count);
	fake.destroyed_count++;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_buffer(VkDevice device, const VkBufferCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkBuffer *buffer) {
	(void)device;
	(void)allocator;
	fake.buffer_size = info->size;
	fake.buffer_count += fake.buffer_result == VK_SUCCESS;
	*buffer = FAKE_NULL_BUFFER;
	return fake.buffer_result;
}

static VKAPI_ATTR void VKAPI_CALL destroy_buffer(
	VkDevice device, VkBuffer buffer, const VkAllocationCallbacks *allocator) {
	(void)device;
	(void)allocator;
	assert_ptr_equal(buffer, FAKE_NULL_BUFFER);
	fake.buffer_count--;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_template(VkDevice device,
	const VkDescriptorUpdateTemplateCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkDescriptorUpdateTemplate *handle) {
	(void)device;
	(void)allocator;
	/* Any that differs from the others that exist. */
	*handle = (VkDescriptorUpdateTemplate)(uintptr_t)info;
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_template(
	VkDevice device, VkDescriptorUpdateTemplate handle, const VkAllocationCallbacks *allocator) {
	(void)device;
	(void)handle;
	(void)allocator;
}

static VKAPI_ATTR void VKAPI_CALL update_with_template(
	VkDevice device, VkDescriptorSet set, VkDescriptorUpdateTemplate handle, const void *data) {
	(void)device;
	(void)set;
	(void)handle;
	fake.update_data = data;
	memcpy(fake.updated, (const char *)data + fake.update_begin, fake.update_size);
}

static VKAPI_ATTR void VKAPI_CALL bind_vertex_buffers(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets) {
	(void)commands;
	fake.bind_count++;
	for (uint32_t i = 0; i < count; i++) {
		fake.bound[first + i] = buffers[i];
		fake.offsets[first + i] = offsets[i];
	}
	fake.bound_count = first + count;
}

static VKAPI_ATTR void VKAPI_CALL bind_vertex_buffers2(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets, const VkDeviceSize *sizes,
	const VkDeviceSize *strides) {
	assert_null(strides);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(sizes[i], 1000 + first + i);
	}
	bind_vertex_buffers(commands, first, count, buffers, offsets);
}

#define ENTRY(name, function) \
	{ name, (PFN_vkVoidFunction)(function) }

struct entry {
	const char *name;
	PFN_vkVoidFunction function;
};

static PFN_vkVoidFunction find(const struct entry *entries, size_t count, const char *name) {
	for (size_t i = 0; i < count; i++) {
		if (strcmp(entries[i].name, name) == 0) {
			return entries[i].function;
		}
	}
	return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_for_device(VkDevice device, const char *name) {
	static const struct entry entries[] = {
		ENTRY("vkDestroyDevice", destroy_device),
		ENTRY("vkCreateBuffer", create_buffer),
		ENTRY("vkDestroyBuffer", destroy_buffer),
		ENTRY("vkCreateDescriptorUpdateTemplate", create_template),
		ENTRY("vkDestroyDescriptorUpdateTemplate", destroy_template),
		ENTRY("vkUpdateDescriptorSetWithTemplate", update_with_template),
		ENTRY("vkCmdBindVertexBuffers", bind_vertex_buffers),
		/* Under the old name only. */
		ENTRY("vkCmdBindVertexBuffers2EXT", bind_vertex_buffers2),
	};
	(void)device;
	return find(entries, NEEP_ARRAY_LEN(entries), name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_for_instance(VkInstance instance, const char *name) {
	static const struct entry entries[] = {
		ENTRY("vkCreateInstance", create_instance),
		ENTRY("vkDestroyInstance", destroy_instance),
		ENTRY("vkEnumerateDeviceExtensionProperties", list_extensions),
		ENTRY("vkGetPhysicalDeviceFeatures2KHR", get_features),
		ENTRY("vkGetPhysicalDeviceProperties2", get_properties),
		ENTRY("vkGetPhysicalDeviceToolProperties", get_tools),
		ENTRY("vkCreateDevice", create_device),
	};
	(void)instance;
	return find(entries, NEEP_ARRAY_LEN(entries), name);
}

VkInstance fake_start(void) {
	fake = (struct fake){ .has_tool = true };
	VkLayerInstanceLink link = { .pfnNextGetInstanceProcAddr = get_for_instance };
	VkLayerInstanceCreateInfo layer = {
		.sType = VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO,
		.function = VK_LAYER_LINK_INFO,
		.u.pLayerInfo = &link,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pNext = &layer,
	};
	VkInstance instance = VK_NULL_HANDLE;
	assert_int_equal(neep_layer_CreateInstance(&info, NULL, &instance), VK_SUCCESS);
	assert_null(layer.u.pLayerInfo);
	return instance;
}

void fake_stop(VkInstance instance) {
	assert_int_equal(fake.destroyed_count, fake.device_count);
	neep_layer_DestroyInstance(instance, NULL);
	assert_null(neep_layer_instance_of(instance));
}

VkPhysicalDevice fake_physical(void) {
	return (VkPhysicalDevice)(void *)&physical_object;
}

VkResult fake_create_device(const VkDeviceCreateInfo *info, VkDevice *device) {
	VkLayerDeviceLink link = {
		.pfnNextGetInstanceProcAddr = get_for_instance,
		.pfnNextGetDeviceProcAddr = get_for_device,
	};
	/* As the loader does: its own struct comes first. */
	VkLayerDeviceCreateInfo layer = {
		.sType = VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO,
		.pNext = info->pNext,
		.function = VK_LAYER_LINK_INFO,
		.u.pLayerInfo = &link,
	};
	VkDeviceCreateInfo linked = *info;
	linked.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
	linked.pNext = &layer;
	return neep_layer_CreateDevice(fake_physical(), &linked, NULL, device);
}

VkDevice fake_device(void) {
	const VkPhysicalDeviceRobustness2FeaturesEXT wanted = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
		.nullDescriptor = VK_TRUE,
	};
	VkDevice device = VK_NULL_HANDLE;
	assert_int_equal(fake_create_device(&(VkDeviceCreateInfo){ .pNext = &wanted }, &device), VK_SUCCESS);
	return device;
}

PFN_vkVoidFunction fake_get(VkDevice device, const char *name) {
	return neep_layer_GetDeviceProcAddr(device, name);
}
