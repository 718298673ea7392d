/* Devices and their queues against the host's driver. */
#include <string.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "vulkan/context.h"
#include "vulkan/handlers_device.h"
#include "vulkan_room/rig.h"

static const float priorities[64];

static VkDeviceQueueCreateInfo queues_of(uint32_t family, uint32_t count) {
	return (VkDeviceQueueCreateInfo){
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = family,
		.queueCount = count,
		.pQueuePriorities = priorities,
	};
}

static VkResult create(struct rig *rig, const VkDeviceCreateInfo *info) {
	uint64_t id = 0;
	VkResult result = neep_vk_CreateDevice(rig_call(rig), rig->physical, info, &id);
	assert_int_equal(id != 0, result == VK_SUCCESS);
	if (result == VK_SUCCESS) {
		neep_vk_DestroyDevice(rig_call(rig), rig_find(rig, id, NEEP_VK_DEVICE));
		assert_null(neep_vk_object_find(rig->context->table, id, NEEP_VK_DEVICE));
	}
	return result;
}

static VkResult create_with_queues(
	struct rig *rig, const VkDeviceQueueCreateInfo *queues, uint32_t queue_count) {
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = queue_count,
		.pQueueCreateInfos = queues,
	};
	return create(rig, &info);
}

static void device_is_made_whatever_extensions_and_layers_guest_names(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	const VkDeviceQueueCreateInfo queue = queues_of(0, 1);
	const char *const names[] = { "VK_EXT_no_such", "VK_EXT_image_drm_format_modifier",
		"VK_KHR_swapchain", "VK_EXT_external_memory_dma_buf", "VK_KHR_external_memory_fd",
		"VK_EXT_external_memory_host", "VK_KHR_maintenance1", "VK_KHR_maintenance1",
		"VK_EXT_device_memory_report" };
	VkDeviceDeviceMemoryReportCreateInfoEXT report = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_DEVICE_MEMORY_REPORT_CREATE_INFO_EXT,
		.pfnUserCallback = (PFN_vkDeviceMemoryReportCallbackEXT)(uintptr_t)0x1234,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &report,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledLayerCount = 1,
		.ppEnabledLayerNames = names,
		.enabledExtensionCount = 9,
		.ppEnabledExtensionNames = names,
	};
	assert_int_equal(create(&rig, &info), VK_SUCCESS);
	rig_destroy(&rig);
}

static void device_is_refused_when_memory_would_be_protected(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	VkDeviceQueueCreateInfo queue = queues_of(0, 1);
	VkPhysicalDeviceVulkan11Features features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		.protectedMemory = VK_TRUE,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	assert_int_equal(create(&rig, &info), VK_ERROR_FEATURE_NOT_PRESENT);
	queue.flags = VK_DEVICE_QUEUE_CREATE_PROTECTED_BIT;
	assert_int_equal(create_with_queues(&rig, &queue, 1), VK_ERROR_FEATURE_NOT_PRESENT);
	rig_destroy(&rig);
}

static void device_is_refused_when_sparse_binding_has_no_memory(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	neep_vk_physical_device_from(rig.physical)->has_sparse = false;
	VkDeviceQueueCreateInfo queue = queues_of(0, 1);
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.features = { .sparseBinding = VK_TRUE },
	};
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	assert_int_equal(create(&rig, &info), VK_ERROR_FEATURE_NOT_PRESENT);
	info.pNext = NULL;
	info.pEnabledFeatures = &features.features;
	assert_int_equal(create(&rig, &info), VK_ERROR_FEATURE_NOT_PRESENT);
	features.features.sparseBinding = VK_FALSE;
	assert_int_equal(create(&rig, &info), VK_SUCCESS);
	rig_destroy(&rig);
}

static void device_is_refused_when_queues_do_not_exist(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	const VkDeviceQueueCreateInfo twice[] = { queues_of(0, 1), queues_of(0, 1) };
	const VkDeviceQueueCreateInfo none = queues_of(0, 0);
	const VkDeviceQueueCreateInfo many = queues_of(0, UINT32_MAX);
	const VkDeviceQueueCreateInfo other = queues_of(UINT32_MAX, 1);
	VkDeviceQueueCreateInfo bare = queues_of(0, 1);
	bare.pQueuePriorities = NULL;
	assert_int_equal(create_with_queues(&rig, NULL, 0), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(create_with_queues(&rig, twice, 2), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(create_with_queues(&rig, &none, 1), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(create_with_queues(&rig, &many, 1), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(create_with_queues(&rig, &other, 1), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(create_with_queues(&rig, &bare, 1), VK_ERROR_INITIALIZATION_FAILED);
	rig_destroy(&rig);
}

static void queue_has_the_same_id_each_time(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	uint64_t first = 0, second = 0, third = 0;
	neep_vk_GetDeviceQueue(rig_call(&rig), rig.device, 0, 0, &first);
	neep_vk_GetDeviceQueue(rig_call(&rig), rig.device, 0, 0, &second);
	const VkDeviceQueueInfo2 info = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2 };
	neep_vk_GetDeviceQueue2(rig_call(&rig), rig.device, &info, &third);
	assert_true(first != 0);
	assert_int_equal(first, second);
	assert_int_equal(first, third);
	rig_destroy(&rig);
}

static void queue_is_none_when_device_was_made_without(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	uint64_t id = 1;
	neep_vk_GetDeviceQueue(rig_call(&rig), rig.device, 0, 1000, &id);
	assert_int_equal(id, 0);
	id = 1;
	neep_vk_GetDeviceQueue(rig_call(&rig), rig.device, UINT32_MAX, 0, &id);
	assert_int_equal(id, 0);
	const VkDeviceQueueInfo2 info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2,
		.flags = VK_DEVICE_QUEUE_CREATE_PROTECTED_BIT,
	};
	id = 1;
	neep_vk_GetDeviceQueue2(rig_call(&rig), rig.device, &info, &id);
	assert_int_equal(id, 0);
	rig_destroy(&rig);
}

static void device_takes_its_objects_with_it(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, 4096, 1, VK_SUCCESS);
	VkBuffer buffer = rig_bind_buffer(&rig, memory, 4096);
	rig_fill(&rig, buffer, 4096, 1);
	uint64_t id = memory->id;
	neep_vk_DestroyDevice(rig_call(&rig), rig.device);
	assert_null(neep_vk_object_find(rig.context->table, id, NEEP_VK_DEVICE_MEMORY));
	assert_int_equal(atomic_load(&rig.context->memory_bytes), 0);
	neep_vk_DestroyDevice(rig_call(&rig), NULL);
	rig_destroy(&rig);
}

static void device_that_is_idle_need_not_be_waited_for(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	assert_int_equal(neep_vk_DeviceWaitIdle(rig_call(&rig), rig.device), VK_SUCCESS);
	rig_destroy(&rig);
}

static void device_tells_that_it_is_lost(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	atomic_store(&neep_vk_device_from(rig.device)->is_lost, true);
	assert_int_equal(neep_vk_DeviceWaitIdle(rig_call(&rig), rig.device), VK_ERROR_DEVICE_LOST);
	rig_destroy(&rig);
}

static void device_can_be_made_many_times(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	const VkDeviceQueueCreateInfo queue = queues_of(0, 1);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(create_with_queues(&rig, &queue, 1), VK_SUCCESS);
	}
	rig_destroy(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(device_is_made_whatever_extensions_and_layers_guest_names),
		fd_checked_test(device_is_refused_when_memory_would_be_protected),
		fd_checked_test(device_is_refused_when_sparse_binding_has_no_memory),
		fd_checked_test(device_is_refused_when_queues_do_not_exist),
		fd_checked_test(queue_has_the_same_id_each_time),
		fd_checked_test(queue_is_none_when_device_was_made_without),
		fd_checked_test(device_takes_its_objects_with_it),
		fd_checked_test(device_that_is_idle_need_not_be_waited_for),
		fd_checked_test(device_tells_that_it_is_lost),
		fd_checked_test(device_can_be_made_many_times),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
