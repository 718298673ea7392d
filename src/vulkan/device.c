#include "vulkan/device.h"

#include <stdlib.h>
#include <string.h>

#include "util/checked.h"
#include "util/clock.h"
#include "util/log.h"
#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/handlers_device.h"
#include "vulkan/loader.h"
#include "vulkan/physical_device.h"
#include "vulkan/wait.h"

// More families are not looked at.
#define MAX_FAMILIES 32

// What runs on a device that is destroyed is the guest's mistake: so long it may take to end.
#define DESTROY_WAIT_NS (5 * NEEP_NS_PER_S)

static void release_device(struct neep_vk_object *object) {
	neep_vk_device_from(object)->vk.DestroyDevice(NEEP_VK_HANDLE(VkDevice, object), NULL);
}

static void dispose_device(struct neep_vk_object *object) {
	struct neep_vk_device *device = neep_vk_device_from(object);
	free(device->queues);
	free(device);
}

// Whether the driver has so many queues of that family, and what it wants to know of them is there.
static bool queues_exist(const VkQueueFamilyProperties *families, uint32_t family_count,
	const VkDeviceQueueCreateInfo *wanted) {
	return wanted->queueFamilyIndex < family_count && wanted->queueCount > 0 &&
	       wanted->queueCount <= families[wanted->queueFamilyIndex].queueCount &&
	       wanted->pQueuePriorities != NULL;
}

// Drivers trust these numbers. Stores how many queues there will be.
static VkResult check_queues(const struct neep_vk_physical_device *physical, const VkDeviceCreateInfo *wanted,
	uint32_t *queue_count) {
	VkQueueFamilyProperties families[MAX_FAMILIES];
	uint32_t family_count = MAX_FAMILIES;
	bool is_used[MAX_FAMILIES] = { false };
	physical->instance->vk.GetPhysicalDeviceQueueFamilyProperties(
		NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base), &family_count, families);
	*queue_count = 0;
	for (uint32_t i = 0; i < wanted->queueCreateInfoCount; i++) {
		const VkDeviceQueueCreateInfo *queues = &wanted->pQueueCreateInfos[i];
		if ((queues->flags & VK_DEVICE_QUEUE_CREATE_PROTECTED_BIT) != 0) {
			return VK_ERROR_FEATURE_NOT_PRESENT;
		}
		if (!queues_exist(families, family_count, queues) || is_used[queues->queueFamilyIndex] ||
			!neep_add(*queue_count, queues->queueCount, queue_count)) {
			return VK_ERROR_INITIALIZATION_FAILED;
		}
		is_used[queues->queueFamilyIndex] = true;
	}
	return *queue_count > 0 ? VK_SUCCESS : VK_ERROR_INITIALIZATION_FAILED;
}

// Guests ask by name; for null descriptors, which their layer needs, they cannot.
static bool wants_extension(
	const struct neep_vk_physical_device *physical, const VkDeviceCreateInfo *wanted, const char *name) {
	return neep_vk_names_have(wanted->ppEnabledExtensionNames, wanted->enabledExtensionCount, name) ||
	       (physical->has_null_descriptors && strcmp(name, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME) == 0);
}

// Of the driver's extensions those that the guest wants and was shown, and the one that we need. Returns their number.
static uint32_t choose_extensions(const struct neep_vk_physical_device *physical,
	const VkDeviceCreateInfo *wanted, const char **names) {
	const struct neep_vk_extensions *have = &physical->driver_extensions;
	uint32_t count = 0;
	for (uint32_t i = 0; i < have->count; i++) {
		const char *name = have->list[i].extensionName;
		if (neep_vk_extensions_have(&physical->extensions, name) &&
			wants_extension(physical, wanted, name)) {
			names[count++] = name;
		}
	}
	names[count++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
	return count;
}

// Every device has them where the driver does: no struct that the driver of a guest carries could ask for them.
static void add_null_descriptors(VkDeviceCreateInfo *info, VkPhysicalDeviceRobustness2FeaturesEXT *added) {
	VkPhysicalDeviceRobustness2FeaturesEXT *features =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
	if (features == NULL) {
		*added = (VkPhysicalDeviceRobustness2FeaturesEXT){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
		};
		neep_vk_chain_push(info, added);
		features = added;
	}
	features->nullDescriptor = VK_TRUE;
}

static void filter_chain(VkDeviceCreateInfo *info) {
	// Function pointers of the guest; handles of a list that has one element.
	neep_vk_chain_remove(info, VK_STRUCTURE_TYPE_DEVICE_DEVICE_MEMORY_REPORT_CREATE_INFO_EXT);
	neep_vk_chain_remove(info, VK_STRUCTURE_TYPE_DEVICE_GROUP_DEVICE_CREATE_INFO);
	neep_vk_features_filter(info);
}

static VkResult create_driver_device(
	const struct neep_vk_physical_device *physical, const VkDeviceCreateInfo *wanted, VkDevice *device) {
	if (neep_vk_features_want_protected(wanted) ||
		(neep_vk_features_want_sparse(wanted) && !physical->has_sparse)) {
		return VK_ERROR_FEATURE_NOT_PRESENT;
	}
	const char **names = calloc((size_t)physical->driver_extensions.count + 1, sizeof(*names));
	if (names == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	VkDeviceCreateInfo info = *wanted;
	filter_chain(&info);
	VkPhysicalDeviceRobustness2FeaturesEXT robustness2;
	if (physical->has_null_descriptors) {
		add_null_descriptors(&info, &robustness2);
	}
	info.flags = 0;
	info.enabledLayerCount = 0;
	info.ppEnabledLayerNames = NULL;
	info.enabledExtensionCount = choose_extensions(physical, wanted, names);
	info.ppEnabledExtensionNames = names;
	VkResult result = physical->instance->vk.CreateDevice(
		NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base), &info, NULL, device);
	free(names);
	return result;
}

static VkQueue fetch_queue(const struct neep_vk_device *device, const struct neep_vk_device_queue *queue) {
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &device->base);
	VkQueue fetched = VK_NULL_HANDLE;
	if (queue->flags == 0) {
		device->vk.GetDeviceQueue(handle, queue->family, queue->index, &fetched);
		return fetched;
	}
	const VkDeviceQueueInfo2 info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2,
		.flags = queue->flags,
		.queueFamilyIndex = queue->family,
		.queueIndex = queue->index,
	};
	device->vk.GetDeviceQueue2(handle, &info, &fetched);
	return fetched;
}

static bool add_queue(struct neep_vk_call *call, struct neep_vk_device *device,
	const VkDeviceQueueCreateInfo *from, uint32_t index) {
	struct neep_vk_device_queue *queue = &device->queues[device->queue_count];
	*queue = (struct neep_vk_device_queue){
		.family = from->queueFamilyIndex,
		.index = index,
		.flags = from->flags,
	};
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_QUEUE,
		.handle = NEEP_VK_RAW(fetch_queue(device, queue)),
		.parent = &device->base,
	};
	queue->object = params.handle != 0 ? neep_vk_object_create(neep_vk_call_table(call), &params) : NULL;
	device->queue_count += queue->object != NULL;
	return queue->object != NULL;
}

// The device has room for all of them.
static bool add_queues(
	struct neep_vk_call *call, struct neep_vk_device *device, const VkDeviceCreateInfo *wanted) {
	for (uint32_t i = 0; i < wanted->queueCreateInfoCount; i++) {
		for (uint32_t index = 0; index < wanted->pQueueCreateInfos[i].queueCount; index++) {
			if (!add_queue(call, device, &wanted->pQueueCreateInfos[i], index)) {
				return false;
			}
		}
	}
	return true;
}

static struct neep_vk_device *device_create(struct neep_vk_physical_device *physical, uint32_t queue_count) {
	struct neep_vk_device *device = calloc(1, sizeof(*device));
	if (device == NULL) {
		return NULL;
	}
	device->physical = physical;
	device->base.dispose = dispose_device;
	device->queues = calloc(queue_count, sizeof(*device->queues));
	if (device->queues == NULL) {
		free(device);
		return NULL;
	}
	return device;
}

// Enters the device, which has the driver's, and its queues; takes it in every case.
static VkResult add_device(struct neep_vk_call *call, struct neep_vk_device *owned, VkDevice handle,
	const VkDeviceCreateInfo *wanted) {
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_DEVICE,
		.handle = NEEP_VK_RAW(handle),
		.parent = &owned->physical->base,
		.release = release_device,
	};
	struct neep_vk_table *table = neep_vk_call_table(call);
	if (neep_vk_object_add(table, &owned->base, &params) != 0) {
		owned->vk.DestroyDevice(handle, NULL);
		dispose_device(&owned->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	if (!add_queues(call, owned, wanted)) {
		neep_vk_object_destroy(table, &owned->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	return VK_SUCCESS;
}

VkResult neep_vk_CreateDevice(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	const VkDeviceCreateInfo *pCreateInfo, uint64_t *pDevice) {
	struct neep_vk_physical_device *physical = neep_vk_physical_device_from(physicalDevice);
	uint32_t queue_count;
	VkResult result = check_queues(physical, pCreateInfo, &queue_count);
	if (result != VK_SUCCESS) {
		return result;
	}
	struct neep_vk_device *device = device_create(physical, queue_count);
	if (device == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	VkDevice handle;
	result = create_driver_device(physical, pCreateInfo, &handle);
	if (result != VK_SUCCESS) {
		dispose_device(&device->base);
		return result;
	}
	neep_vk_device_table_load(&device->vk,
		neep_vk_device_loader(NEEP_VK_HANDLE(VkInstance, &physical->instance->base)), handle);
	result = add_device(call, device, handle, pCreateInfo);
	if (result == VK_SUCCESS) {
		*pDevice = device->base.id;
	}
	return result;
}

void neep_vk_DestroyDevice(struct neep_vk_call *call, struct neep_vk_object *device) {
	const struct neep_vk_device *self = neep_vk_device_from(device);
	int64_t deadline = neep_clock_ns() + DESTROY_WAIT_NS;
	for (uint32_t i = 0; self != NULL && i < self->queue_count; i++) {
		neep_vk_drain_queue(self->queues[i].object, deadline);
	}
	neep_vk_object_destroy(neep_vk_call_table(call), device);
}

static uint64_t find_queue(const struct neep_vk_device *device, const VkDeviceQueueInfo2 *wanted) {
	for (uint32_t i = 0; i < device->queue_count; i++) {
		const struct neep_vk_device_queue *queue = &device->queues[i];
		if (queue->family == wanted->queueFamilyIndex && queue->index == wanted->queueIndex &&
			queue->flags == wanted->flags) {
			return queue->object->id;
		}
	}
	return 0;
}

void neep_vk_GetDeviceQueue(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t queueFamilyIndex, uint32_t queueIndex, uint64_t *pQueue) {
	(void)call;
	const VkDeviceQueueInfo2 wanted = { .queueFamilyIndex = queueFamilyIndex, .queueIndex = queueIndex };
	*pQueue = find_queue(neep_vk_device_from(device), &wanted);
}

void neep_vk_GetDeviceQueue2(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceQueueInfo2 *pQueueInfo, uint64_t *pQueue) {
	(void)call;
	*pQueue = find_queue(neep_vk_device_from(device), pQueueInfo);
}

VkResult neep_vk_DeviceWaitIdle(struct neep_vk_call *call, struct neep_vk_object *device) {
	const struct neep_vk_device *self = neep_vk_device_from(device);
	struct neep_vk_object **queues =
		neep_vk_call_alloc(call, self->queue_count, sizeof(struct neep_vk_object *));
	if (queues == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	for (uint32_t i = 0; i < self->queue_count; i++) {
		queues[i] = self->queues[i].object;
	}
	return neep_vk_wait_queues(call, queues, self->queue_count);
}
