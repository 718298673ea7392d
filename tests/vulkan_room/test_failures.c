/* What drivers of other hosts do, and failures at any step: single functions of the real driver are replaced. */
#include <string.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "vulkan/context.h"
#include "vulkan/handlers_device.h"
#include "vulkan/handlers_image.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_memory.h"
#include "vulkan_room/rig.h"

#define SIZE UINT64_C(4096)

// The driver's own, behind the replaced ones.
static struct neep_vk_instance_table real;

// An instance whose physical device was not asked for yet.
static struct neep_vk_instance *create_instance(struct rig *rig) {
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	uint64_t id = 0;
	assert_int_equal(neep_vk_CreateInstance(rig_call(rig), &info, &id), VK_SUCCESS);
	struct neep_vk_instance *instance = neep_vk_instance_from(rig_find(rig, id, NEEP_VK_INSTANCE));
	real = instance->vk;
	return instance;
}

static struct neep_vk_physical_device *enumerate(struct rig *rig, struct neep_vk_instance *instance) {
	uint32_t count = 1;
	uint64_t id = 0;
	assert_int_equal(
		neep_vk_EnumeratePhysicalDevices(rig_call(rig), &instance->base, &count, &id), VK_SUCCESS);
	assert_int_equal(count, id != 0);
	return count == 0 ? NULL : neep_vk_physical_device_from(rig_find(rig, id, NEEP_VK_PHYSICAL_DEVICE));
}

enum { REAL, BAR, INCOHERENT, PROTECTED, LAZY, TYPE_COUNT };

// One type of the driver, and what others have beside it.
static void VKAPI_CALL many_types(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *memory) {
	const VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
	const VkMemoryPropertyFlags coherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
	real.GetPhysicalDeviceMemoryProperties(device, memory);
	memory->memoryTypeCount = TYPE_COUNT;
	memory->memoryTypes[BAR].propertyFlags = local | visible | coherent;
	memory->memoryTypes[INCOHERENT].propertyFlags = visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
	memory->memoryTypes[PROTECTED].propertyFlags = local | VK_MEMORY_PROPERTY_PROTECTED_BIT;
	memory->memoryTypes[LAZY].propertyFlags = local | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT;
}

static void memory_types_are_host_visible_only_where_host_memory_is_imported(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	struct neep_vk_instance *instance = create_instance(&rig);
	instance->vk.GetPhysicalDeviceMemoryProperties = many_types;
	const struct neep_vk_physical_device *physical = enumerate(&rig, instance);
	assert_non_null(physical);
	const VkMemoryType *types = physical->memory.memoryTypes;
	assert_true((types[REAL].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0);
	assert_int_equal(types[BAR].propertyFlags, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	assert_int_equal(types[INCOHERENT].propertyFlags, 0);
	assert_int_equal(types[PROTECTED].propertyFlags, 0);
	assert_int_equal(types[LAZY].propertyFlags, 0);
	assert_int_equal(physical->hidden_types, 1u << PROTECTED | 1u << LAZY);
	rig_destroy(&rig);
}

static void memory_of_hidden_type_is_refused(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	neep_vk_physical_device_from(rig.physical)->hidden_types = 1;
	rig_allocate_blob(&rig, SIZE, 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	rig_destroy(&rig);
}

static void VKAPI_CALL no_types(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *memory) {
	real.GetPhysicalDeviceMemoryProperties(device, memory);
	memory->memoryTypes[REAL].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
}

static VkResult VKAPI_CALL no_extensions(
	VkPhysicalDevice device, const char *layer, uint32_t *count, VkExtensionProperties *properties) {
	(void)device;
	(void)layer;
	(void)properties;
	*count = 0;
	return VK_SUCCESS;
}

static void VKAPI_CALL of_version_1_0(VkPhysicalDevice device, VkPhysicalDeviceProperties *properties) {
	real.GetPhysicalDeviceProperties(device, properties);
	properties->apiVersion = VK_API_VERSION_1_0;
}

static VkResult VKAPI_CALL no_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDevice *device) {
	(void)physical;
	(void)info;
	(void)allocator;
	(void)device;
	return VK_ERROR_INITIALIZATION_FAILED;
}

static void physical_device_is_none_when_driver_lacks_what_is_needed(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	struct neep_vk_instance *instance = create_instance(&rig);
	instance->vk.GetPhysicalDeviceMemoryProperties = no_types;
	assert_null(enumerate(&rig, instance));
	instance = create_instance(&rig);
	instance->vk.EnumerateDeviceExtensionProperties = no_extensions;
	assert_null(enumerate(&rig, instance));
	instance = create_instance(&rig);
	instance->vk.GetPhysicalDeviceProperties = of_version_1_0;
	assert_null(enumerate(&rig, instance));
	instance = create_instance(&rig);
	instance->vk.CreateDevice = no_device;
	assert_null(enumerate(&rig, instance));
	// For good, as the guest has been told.
	instance->vk = real;
	assert_null(enumerate(&rig, instance));
	rig_destroy(&rig);
}

static VkResult VKAPI_CALL no_physical_devices(
	VkInstance instance, uint32_t *count, VkPhysicalDevice *devices) {
	(void)instance;
	(void)devices;
	*count = 0;
	return VK_ERROR_OUT_OF_HOST_MEMORY;
}

static void physical_devices_are_asked_for_again_after_an_error(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	struct neep_vk_instance *instance = create_instance(&rig);
	instance->vk.EnumeratePhysicalDevices = no_physical_devices;
	uint32_t count = 5;
	assert_int_equal(neep_vk_EnumeratePhysicalDevices(rig_call(&rig), &instance->base, &count, NULL),
		VK_ERROR_OUT_OF_HOST_MEMORY);
	assert_int_equal(count, 0);
	instance->vk = real;
	assert_non_null(enumerate(&rig, instance));
	rig_destroy(&rig);
}

static VkResult VKAPI_CALL no_memory(VkDevice device, const VkMemoryAllocateInfo *info,
	const VkAllocationCallbacks *allocator, VkDeviceMemory *memory) {
	(void)device;
	(void)info;
	(void)allocator;
	(void)memory;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void memory_leaves_nothing_when_driver_has_none(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	neep_vk_device_from(rig.device)->vk.AllocateMemory = no_memory;
	rig_allocate_blob(&rig, SIZE, 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(atomic_load(&rig.context->memory_bytes), 0);
	rig_destroy(&rig);
}

static VkResult VKAPI_CALL no_image(VkDevice device, const VkImageCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkImage *image) {
	(void)device;
	(void)info;
	(void)allocator;
	(void)image;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void image_is_none_when_driver_fails(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	neep_vk_device_from(rig.device)->vk.CreateImage = no_image;
	const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO };
	uint64_t id = 0;
	VkMemoryRequirements requirements = { 0 };
	assert_int_equal(neep_vk_CreateImageWithRequirementsGOOGLE(
				 rig_call(&rig), rig.device, &info, &id, &requirements),
		VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(id, 0);
	assert_int_equal(requirements.size, 0);
	rig_destroy(&rig);
}

static void everything_is_refused_cleanly_when_table_is_full(void **state) {
	(void)state;
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.objects = 4; // instance, physical device, device, queue
	struct rig rig;
	rig_create(&rig, &limits);
	rig_start_device(&rig);
	uint64_t id = 0;
	const VkInstanceCreateInfo instance = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	assert_int_equal(neep_vk_CreateInstance(rig_call(&rig), &instance, &id), VK_ERROR_OUT_OF_HOST_MEMORY);
	rig_allocate_blob(&rig, SIZE, 1, VK_ERROR_OUT_OF_HOST_MEMORY);
	assert_int_equal(atomic_load(&rig.context->memory_bytes), 0);
	const VkBufferCreateInfo buffer = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = SIZE,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
	};
	VkMemoryRequirements requirements;
	assert_int_equal(neep_vk_CreateBufferWithRequirementsGOOGLE(
				 rig_call(&rig), rig.device, &buffer, &id, &requirements),
		VK_ERROR_OUT_OF_HOST_MEMORY);
	const VkImageCreateInfo image = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { 4, 4, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT,
	};
	assert_int_equal(
		neep_vk_CreateImage(rig_call(&rig), rig.device, &image, &id), VK_ERROR_OUT_OF_HOST_MEMORY);
	assert_int_equal(id, 0);
	rig_destroy(&rig);
}

static void device_is_refused_when_its_queues_do_not_fit_the_table(void **state) {
	(void)state;
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.objects = 3;
	struct rig rig;
	rig_create(&rig, &limits);
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	uint64_t id = 0;
	assert_int_equal(
		neep_vk_CreateDevice(rig_call(&rig), rig.physical, &info, &id), VK_ERROR_OUT_OF_HOST_MEMORY);
	assert_int_equal(id, 0);
	assert_int_equal(neep_vk_table_count(rig.context->table), 2);
	rig_destroy(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(memory_types_are_host_visible_only_where_host_memory_is_imported),
		fd_checked_test(memory_of_hidden_type_is_refused),
		fd_checked_test(physical_device_is_none_when_driver_lacks_what_is_needed),
		fd_checked_test(physical_devices_are_asked_for_again_after_an_error),
		fd_checked_test(memory_leaves_nothing_when_driver_has_none),
		fd_checked_test(image_is_none_when_driver_fails),
		fd_checked_test(everything_is_refused_cleanly_when_table_is_full),
		fd_checked_test(device_is_refused_when_its_queues_do_not_fit_the_table),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
