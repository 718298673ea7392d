/* Instances and the physical device against the host's driver. */
#include <string.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "vulkan/context.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan/physical_device.h"
#include "vulkan_room/rig.h"

#define LINEAR UINT64_C(0)

static void instance_version_is_at_most_1_3(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	uint32_t version = 0;
	assert_int_equal(neep_vk_EnumerateInstanceVersion(rig_call(&rig), &version), VK_SUCCESS);
	assert_true(version >= VK_API_VERSION_1_1);
	assert_true(version <= VK_API_VERSION_1_3);
	rig_destroy(&rig);
}

static void instance_extensions_fit_the_room(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	uint32_t all = 0;
	assert_int_equal(
		neep_vk_EnumerateInstanceExtensionProperties(rig_call(&rig), NULL, &all, NULL), VK_SUCCESS);
	assert_in_range(all, 1, 4);
	VkExtensionProperties list[8];
	uint32_t count = 8;
	assert_int_equal(
		neep_vk_EnumerateInstanceExtensionProperties(rig_call(&rig), NULL, &count, list), VK_SUCCESS);
	assert_int_equal(count, all);
	count = all - 1;
	assert_int_equal(neep_vk_EnumerateInstanceExtensionProperties(rig_call(&rig), NULL, &count, list),
		VK_INCOMPLETE);
	assert_int_equal(count, all - 1);
	rig_destroy(&rig);
}

static void instance_has_no_layers(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	uint32_t count = 3;
	VkLayerProperties layers[3];
	assert_int_equal(
		neep_vk_EnumerateInstanceLayerProperties(rig_call(&rig), &count, layers), VK_SUCCESS);
	assert_int_equal(count, 0);
	VkExtensionProperties list[3];
	count = 3;
	assert_int_equal(
		neep_vk_EnumerateInstanceExtensionProperties(rig_call(&rig), "VK_LAYER_x", &count, list),
		VK_ERROR_LAYER_NOT_PRESENT);
	assert_int_equal(count, 0);
	rig_destroy(&rig);
}

static void instance_is_made_whatever_guest_names(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	const char *const names[] = { "VK_EXT_no_such", VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_EXTENSION_NAME,
		"VK_KHR_surface" };
	const char *const layers[] = { "VK_LAYER_no_such" };
	VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "test",
		.apiVersion = UINT32_MAX,
	};
	VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.flags = 1,
		.pApplicationInfo = &application,
		.enabledLayerCount = 1,
		.ppEnabledLayerNames = layers,
		.enabledExtensionCount = 3,
		.ppEnabledExtensionNames = names,
	};
	uint64_t id = 0;
	assert_int_equal(neep_vk_CreateInstance(rig_call(&rig), &info, &id), VK_SUCCESS);
	neep_vk_DestroyInstance(rig_call(&rig), rig_find(&rig, id, NEEP_VK_INSTANCE));
	assert_null(neep_vk_object_find(rig.context->table, id, NEEP_VK_INSTANCE));
	application.apiVersion = 0;
	assert_int_equal(neep_vk_CreateInstance(rig_call(&rig), &info, &id), VK_SUCCESS);
	rig_destroy(&rig);
}

static void physical_device_is_one_for_the_life_of_an_instance(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	uint32_t count = 0;
	assert_int_equal(
		neep_vk_EnumeratePhysicalDevices(rig_call(&rig), rig.instance, &count, NULL), VK_SUCCESS);
	assert_int_equal(count, 1);
	uint64_t ids[3] = { 0 };
	count = 3;
	assert_int_equal(
		neep_vk_EnumeratePhysicalDevices(rig_call(&rig), rig.instance, &count, ids), VK_SUCCESS);
	assert_int_equal(count, 1);
	assert_int_equal(ids[0], rig.physical->id);
	count = 0;
	assert_int_equal(
		neep_vk_EnumeratePhysicalDevices(rig_call(&rig), rig.instance, &count, ids), VK_INCOMPLETE);
	assert_int_equal(count, 0);
	rig_destroy(&rig);
}

static uint32_t list_extensions(struct rig *rig, VkExtensionProperties *list, uint32_t room) {
	uint32_t count = room;
	assert_int_equal(
		neep_vk_EnumerateDeviceExtensionProperties(rig_call(rig), rig->physical, NULL, &count, list),
		VK_SUCCESS);
	return count;
}

static uint32_t times_listed(const VkExtensionProperties *list, uint32_t count, const char *name) {
	uint32_t times = 0;
	for (uint32_t i = 0; i < count; i++) {
		times += strcmp(list[i].extensionName, name) == 0;
	}
	return times;
}

static void device_extensions_have_what_renderer_does_itself(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	static VkExtensionProperties list[512];
	uint32_t count = list_extensions(&rig, list, 512);
	assert_int_equal(times_listed(list, count, "VK_KHR_external_memory_fd"), 1);
	assert_int_equal(times_listed(list, count, "VK_EXT_external_memory_dma_buf"), 1);
	assert_int_equal(times_listed(list, count, "VK_EXT_image_drm_format_modifier"), 1);
	assert_int_equal(times_listed(list, count, "VK_KHR_external_semaphore_fd"), 1);
	assert_int_equal(times_listed(list, count, "VK_EXT_external_memory_host"), 0);
	assert_int_equal(times_listed(list, count, "VK_KHR_push_descriptor"), 0);
	assert_int_equal(times_listed(list, count, "VK_KHR_swapchain"), 0);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(times_listed(list, count, list[i].extensionName), 1);
	}
	uint32_t layers = 1;
	assert_int_equal(neep_vk_EnumerateDeviceLayerProperties(rig_call(&rig), rig.physical, &layers, NULL),
		VK_SUCCESS);
	assert_int_equal(layers, 0);
	rig_destroy(&rig);
}

static void device_extensions_are_hidden_when_they_cannot_be_carried(void **state) {
	(void)state;
	assert_false(neep_vk_device_extension_is_hidden("VK_KHR_timeline_semaphore"));
	assert_false(neep_vk_device_extension_is_hidden("VK_EXT_transform_feedback"));
	// Commands under an older name.
	assert_false(neep_vk_device_extension_is_hidden("VK_KHR_create_renderpass2"));
	assert_false(neep_vk_device_extension_is_hidden("VK_EXT_line_rasterization"));
	assert_true(neep_vk_device_extension_is_hidden("VK_EXT_multi_draw"));
	assert_true(neep_vk_device_extension_is_hidden("VK_EXT_external_memory_host"));
	assert_true(neep_vk_device_extension_is_hidden("VK_KHR_push_descriptor"));
	assert_true(neep_vk_device_extension_is_hidden("VK_NEEP_nothing"));
	assert_true(neep_vk_device_extension_is_hidden(""));
}

static void features_hide_what_cannot_be_carried(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkPhysicalDeviceProtectedMemoryFeatures protected_memory = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROTECTED_MEMORY_FEATURES,
		.protectedMemory = VK_TRUE,
	};
	VkPhysicalDeviceVulkan11Features core = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		.pNext = &protected_memory,
		.protectedMemory = VK_TRUE,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &core,
	};
	neep_vk_GetPhysicalDeviceFeatures2(rig_call(&rig), rig.physical, &features);
	assert_false(protected_memory.protectedMemory);
	assert_false(core.protectedMemory);
	VkPhysicalDeviceFeatures plain;
	neep_vk_GetPhysicalDeviceFeatures(rig_call(&rig), rig.physical, &plain);
	assert_memory_equal(&plain, &features.features, sizeof(plain));
	rig_destroy(&rig);
}

static void properties_are_limited(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkPhysicalDeviceMaintenance3Properties maintenance = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
	};
	VkPhysicalDeviceVulkan11Properties core = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
		.pNext = &maintenance,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &core,
	};
	neep_vk_GetPhysicalDeviceProperties2(rig_call(&rig), rig.physical, &properties);
	assert_in_range(maintenance.maxMemoryAllocationSize, 1, NEEP_VK_MAX_HOST_VISIBLE);
	assert_in_range(core.maxMemoryAllocationSize, 1, NEEP_VK_MAX_HOST_VISIBLE);
	assert_true(VK_API_VERSION_MINOR(properties.properties.apiVersion) <= 3);
	VkPhysicalDeviceProperties plain;
	neep_vk_GetPhysicalDeviceProperties(rig_call(&rig), rig.physical, &plain);
	assert_int_equal(plain.apiVersion, properties.properties.apiVersion);
	assert_string_equal(plain.deviceName, properties.properties.deviceName);
	rig_destroy(&rig);
}

static void memory_types_are_the_same_in_all_answers(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkPhysicalDeviceMemoryProperties plain;
	neep_vk_GetPhysicalDeviceMemoryProperties(rig_call(&rig), rig.physical, &plain);
	VkPhysicalDeviceMemoryProperties2 second = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
	};
	neep_vk_GetPhysicalDeviceMemoryProperties2(rig_call(&rig), rig.physical, &second);
	assert_memory_equal(&plain, &second.memoryProperties, sizeof(plain));
	uint32_t importable = neep_vk_physical_device_from(rig.physical)->importable_types;
	uint32_t host_visible = 0;
	for (uint32_t i = 0; i < plain.memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = plain.memoryTypes[i].propertyFlags;
		assert_int_equal(flags & VK_MEMORY_PROPERTY_PROTECTED_BIT, 0);
		if ((flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
			assert_true((flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0);
			assert_true((importable >> i & 1) != 0);
			host_visible++;
		}
	}
	assert_true(host_visible > 0);
	rig_destroy(&rig);
}

static void queue_families_have_no_protected_memory(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkQueueFamilyProperties families[16];
	uint32_t count = 16;
	neep_vk_GetPhysicalDeviceQueueFamilyProperties(rig_call(&rig), rig.physical, &count, families);
	assert_in_range(count, 1, 16);
	VkQueueFamilyProperties2 second[16] = { 0 };
	for (uint32_t i = 0; i < count; i++) {
		second[i].sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2;
	}
	neep_vk_GetPhysicalDeviceQueueFamilyProperties2(rig_call(&rig), rig.physical, &count, second);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(families[i].queueFlags & VK_QUEUE_PROTECTED_BIT, 0);
		assert_int_equal(families[i].queueFlags, second[i].queueFamilyProperties.queueFlags);
	}
	uint32_t none = 0;
	neep_vk_GetPhysicalDeviceQueueFamilyProperties(rig_call(&rig), rig.physical, &none, NULL);
	assert_int_equal(none, count);
	rig_destroy(&rig);
}

static void heaps_are_no_larger_than_limits(void **state) {
	(void)state;
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.memory_bytes = UINT64_C(64) << 20;
	limits.mapped_bytes = UINT64_C(32) << 20;
	struct rig rig;
	rig_create(&rig, &limits);
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
	};
	VkPhysicalDeviceMemoryProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
		.pNext = &budget,
	};
	neep_vk_GetPhysicalDeviceMemoryProperties2(rig_call(&rig), rig.physical, &properties);
	const VkPhysicalDeviceMemoryProperties *memory = &properties.memoryProperties;
	assert_int_not_equal(memory->memoryTypeCount, 0);
	for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
		const VkMemoryType *type = &memory->memoryTypes[i];
		bool is_mapped = (type->propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0;
		uint64_t limit = is_mapped ? limits.mapped_bytes : limits.memory_bytes;
		assert_in_range(memory->memoryHeaps[type->heapIndex].size, 1, limit);
		assert_in_range(budget.heapBudget[type->heapIndex], 0, limit);
	}
	rig_destroy(&rig);
}

/* What is bound to a sparse resource must be memory of the driver's own. */
static void sparse_binding_is_offered_only_when_there_is_memory_for_it(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkPhysicalDeviceMemoryProperties memory;
	neep_vk_GetPhysicalDeviceMemoryProperties(rig_call(&rig), rig.physical, &memory);
	bool has_own = false;
	for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
		has_own |= flags != 0 && (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0;
	}
	VkPhysicalDeviceFeatures features;
	neep_vk_GetPhysicalDeviceFeatures(rig_call(&rig), rig.physical, &features);
	VkQueueFamilyProperties families[16];
	uint32_t count = 16;
	neep_vk_GetPhysicalDeviceQueueFamilyProperties(rig_call(&rig), rig.physical, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(has_own || (families[i].queueFlags & VK_QUEUE_SPARSE_BINDING_BIT) == 0);
	}
	assert_true(has_own || (!features.sparseBinding && !features.sparseResidencyAliased));
	assert_int_equal(neep_vk_physical_device_from(rig.physical)->has_sparse, has_own);
	rig_destroy(&rig);
}

static void queue_families_are_none_when_there_is_no_room(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	uint32_t count = 0;
	// Nothing behind them may be looked at.
	VkQueueFamilyProperties *families = (VkQueueFamilyProperties *)(uintptr_t)8;
	neep_vk_GetPhysicalDeviceQueueFamilyProperties(rig_call(&rig), rig.physical, &count, families);
	assert_int_equal(count, 0);
	VkQueueFamilyProperties2 *second = (VkQueueFamilyProperties2 *)(uintptr_t)8;
	neep_vk_GetPhysicalDeviceQueueFamilyProperties2(rig_call(&rig), rig.physical, &count, second);
	assert_int_equal(count, 0);
	rig_destroy(&rig);
}

static void tool_tells_of_null_descriptors_where_there_are_any(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	struct neep_vk_physical_device *physical = neep_vk_physical_device_from(rig.physical);
	VkPhysicalDeviceRobustness2FeaturesEXT robustness2 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &robustness2,
	};
	neep_vk_GetPhysicalDeviceFeatures2(rig_call(&rig), rig.physical, &features);
	assert_int_equal(physical->has_null_descriptors, robustness2.nullDescriptor);
	VkPhysicalDeviceToolProperties tool;
	for (uint32_t has = 0; has < 2; has++) {
		uint32_t count = 1;
		physical->has_null_descriptors = has != 0;
		assert_int_equal(
			neep_vk_GetPhysicalDeviceToolProperties(rig_call(&rig), rig.physical, &count, &tool),
			VK_SUCCESS);
		assert_int_equal(count, has);
	}
	assert_string_equal(tool.layer, "VK_LAYER_NEEP_null_descriptor");
	rig_destroy(&rig);
}

static void external_semaphores_are_none(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	const VkPhysicalDeviceExternalSemaphoreInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
		.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT,
	};
	VkExternalSemaphoreProperties properties = { .externalSemaphoreFeatures = 3 };
	neep_vk_GetPhysicalDeviceExternalSemaphoreProperties(
		rig_call(&rig), rig.physical, &info, &properties);
	assert_int_equal(properties.externalSemaphoreFeatures, 0);
	rig_destroy(&rig);
}

static void formats_have_the_linear_modifier_and_no_other(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkDrmFormatModifierPropertiesEXT modifiers[4];
	VkDrmFormatModifierProperties2EXT modifiers2[4];
	VkDrmFormatModifierPropertiesList2EXT list2 = {
		.sType = VK_STRUCTURE_TYPE_DRM_FORMAT_MODIFIER_PROPERTIES_LIST_2_EXT,
		.drmFormatModifierCount = 4,
		.pDrmFormatModifierProperties = modifiers2,
	};
	VkDrmFormatModifierPropertiesListEXT list = {
		.sType = VK_STRUCTURE_TYPE_DRM_FORMAT_MODIFIER_PROPERTIES_LIST_EXT,
		.pNext = &list2,
		.drmFormatModifierCount = 4,
		.pDrmFormatModifierProperties = modifiers,
	};
	VkFormatProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_2,
		.pNext = &list,
	};
	neep_vk_GetPhysicalDeviceFormatProperties2(
		rig_call(&rig), rig.physical, VK_FORMAT_B8G8R8A8_UNORM, &properties);
	assert_int_equal(list.drmFormatModifierCount, 1);
	assert_int_equal(modifiers[0].drmFormatModifier, LINEAR);
	assert_int_equal(modifiers[0].drmFormatModifierPlaneCount, 1);
	assert_int_equal(modifiers[0].drmFormatModifierTilingFeatures,
		properties.formatProperties.linearTilingFeatures);
	assert_int_equal(list2.drmFormatModifierCount, 1);
	assert_int_equal(modifiers2[0].drmFormatModifier, LINEAR);
	list.drmFormatModifierCount = 0;
	list2.drmFormatModifierCount = 0;
	list2.pDrmFormatModifierProperties = NULL;
	neep_vk_GetPhysicalDeviceFormatProperties2(
		rig_call(&rig), rig.physical, VK_FORMAT_B8G8R8A8_UNORM, &properties);
	assert_int_equal(list.drmFormatModifierCount, 0);
	assert_int_equal(list2.drmFormatModifierCount, 1);
	list.drmFormatModifierCount = 4;
	neep_vk_GetPhysicalDeviceFormatProperties2(
		rig_call(&rig), rig.physical, VK_FORMAT_UNDEFINED, &properties);
	assert_int_equal(list.drmFormatModifierCount, 0);
	rig_destroy(&rig);
}

static VkResult query_image(struct rig *rig, VkFormat format, uint64_t modifier,
	VkExternalMemoryHandleTypeFlagBits handle_type, VkExternalMemoryProperties *memory) {
	VkPhysicalDeviceExternalImageFormatInfo external = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO,
		.handleType = handle_type,
	};
	VkPhysicalDeviceImageDrmFormatModifierInfoEXT drm = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_DRM_FORMAT_MODIFIER_INFO_EXT,
		.pNext = &external,
		.drmFormatModifier = modifier,
	};
	const VkPhysicalDeviceImageFormatInfo2 info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_FORMAT_INFO_2,
		.pNext = &drm,
		.format = format,
		.type = VK_IMAGE_TYPE_2D,
		.tiling = VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT,
	};
	VkExternalImageFormatProperties answer = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES,
	};
	VkImageFormatProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_PROPERTIES_2,
		.pNext = &answer,
	};
	VkResult result = neep_vk_GetPhysicalDeviceImageFormatProperties2(
		rig_call(rig), rig->physical, &info, &properties);
	*memory = answer.externalMemoryProperties;
	return result;
}

static void image_formats_tell_what_can_be_shared(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkExternalMemoryProperties memory;
	assert_int_equal(query_image(&rig, VK_FORMAT_B8G8R8A8_UNORM, LINEAR,
				 VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, &memory),
		VK_SUCCESS);
	assert_int_equal(memory.externalMemoryFeatures,
		VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT | VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT |
			VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT);
	assert_true((memory.compatibleHandleTypes & VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT) != 0);
	assert_int_equal(query_image(&rig, VK_FORMAT_R8_UNORM, LINEAR,
				 VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, &memory),
		VK_SUCCESS);
	assert_int_equal(memory.externalMemoryFeatures & VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT, 0);
	rig_destroy(&rig);
}

static void image_formats_refuse_other_modifiers_and_handle_types(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkExternalMemoryProperties memory;
	assert_int_equal(query_image(&rig, VK_FORMAT_B8G8R8A8_UNORM, 1,
				 VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, &memory),
		VK_ERROR_FORMAT_NOT_SUPPORTED);
	assert_int_equal(query_image(&rig, VK_FORMAT_B8G8R8A8_UNORM, LINEAR,
				 VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, &memory),
		VK_ERROR_FORMAT_NOT_SUPPORTED);
	assert_int_equal(memory.externalMemoryFeatures, 0);
	rig_destroy(&rig);
}

static void buffers_can_be_shared_as_files_only(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkPhysicalDeviceExternalBufferInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	VkExternalBufferProperties properties = { 0 };
	neep_vk_GetPhysicalDeviceExternalBufferProperties(rig_call(&rig), rig.physical, &info, &properties);
	assert_true((properties.externalMemoryProperties.externalMemoryFeatures &
			    VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0);
	info.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
	neep_vk_GetPhysicalDeviceExternalBufferProperties(rig_call(&rig), rig.physical, &info, &properties);
	assert_int_equal(properties.externalMemoryProperties.externalMemoryFeatures, 0);
	rig_destroy(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(instance_version_is_at_most_1_3),
		fd_checked_test(instance_extensions_fit_the_room),
		fd_checked_test(instance_has_no_layers),
		fd_checked_test(instance_is_made_whatever_guest_names),
		fd_checked_test(physical_device_is_one_for_the_life_of_an_instance),
		fd_checked_test(device_extensions_have_what_renderer_does_itself),
		fd_checked_test(device_extensions_are_hidden_when_they_cannot_be_carried),
		fd_checked_test(features_hide_what_cannot_be_carried),
		fd_checked_test(properties_are_limited),
		fd_checked_test(memory_types_are_the_same_in_all_answers),
		fd_checked_test(heaps_are_no_larger_than_limits),
		fd_checked_test(queue_families_have_no_protected_memory),
		fd_checked_test(sparse_binding_is_offered_only_when_there_is_memory_for_it),
		fd_checked_test(queue_families_are_none_when_there_is_no_room),
		fd_checked_test(tool_tells_of_null_descriptors_where_there_are_any),
		fd_checked_test(external_semaphores_are_none),
		fd_checked_test(formats_have_the_linear_modifier_and_no_other),
		fd_checked_test(image_formats_tell_what_can_be_shared),
		fd_checked_test(image_formats_refuse_other_modifiers_and_handle_types),
		fd_checked_test(buffers_can_be_shared_as_files_only),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
