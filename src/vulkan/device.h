/* Instances, devices and those objects of which we know more than the driver's handle. Room-internal.
 *
 * Function tables are generated from the registry (neep_vk_tables.h): one member per command, named without "vk", filled with the
 * core name or, where the driver or device has only that, the KHR or EXT name; NULL where there is none. */
#ifndef NEEP_VULKAN_DEVICE_H
#define NEEP_VULKAN_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "neep_vk_tables.h"
#include "vulkan/enumerate.h"
#include "vulkan/google.h"
#include "vulkan/object.h"

struct neep_vk_context;

struct neep_vk_instance {
	struct neep_vk_object base;
	struct neep_vk_instance_table vk;
	uint32_t api_version; // what the driver was asked for
	bool has_chosen;      // physical_id is for good
	uint64_t physical_id; // of the one physical device; 0: there is none that can be used
};

/* The one physical device that a guest sees. What is decided about it is decided once, when it is first enumerated, so that all
 * answers agree for the life of the context. */
struct neep_vk_physical_device {
	struct neep_vk_object base;
	struct neep_vk_instance *instance;
	VkPhysicalDeviceMemoryProperties memory; // as the guest sees it
	uint32_t importable_types;               // bit n: host pointers can be imported as memory type n
	uint32_t hidden_types;                   // bit n: nobody may allocate of memory type n
	bool has_sparse;                         // there is memory that sparse resources can be bound to
	bool has_null_descriptors;               // nullDescriptor is on for every device
	struct neep_vk_extensions driver_extensions;
	struct neep_vk_extensions extensions; // as the guest sees them
};

/* A queue that exists since the device does. */
struct neep_vk_device_queue {
	uint32_t family;
	uint32_t index;
	VkDeviceQueueCreateFlags flags;
	struct neep_vk_object *object; // child of the device; goes when that leaves the table
};

struct neep_vk_device {
	struct neep_vk_object base;
	struct neep_vk_physical_device *physical;
	struct neep_vk_device_table vk;
	atomic_bool is_lost; // sticky: told by every later call that can tell
	uint32_t queue_count;
	struct neep_vk_device_queue *queues; // owned; set when the device is made
};

/* VkDeviceMemory. Host-visible memory is a memfd of our own that the driver has imported. */
struct neep_vk_memory {
	struct neep_vk_object base;
	uint64_t size;                   // bytes, as the driver has it
	uint64_t charged;                // bytes that count against the limit of `context`
	struct neep_vk_context *context; // outlives its objects
	uint64_t blob_id;                // 0: none
	int fd;                          // of the blob, until it is published; -1
	void *ptr; // host memory of `size` bytes that the driver has imported; NULL: plain memory
	bool is_published;
};

/* The driver's handle of an object (VK_NULL_HANDLE for NULL), and back. */
#define NEEP_VK_HANDLE(type, object) ((type)(uintptr_t)neep_vk_raw_handle(object))
#define NEEP_VK_RAW(handle)          ((uint64_t)(uintptr_t)(handle))

static inline uint64_t neep_vk_raw_handle(const struct neep_vk_object *object) {
	return object != NULL ? object->handle : 0;
}

/* Downcasts, for objects that were found with the type. NULL gives NULL. */
static inline struct neep_vk_instance *neep_vk_instance_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_instance, base);
}

static inline struct neep_vk_physical_device *neep_vk_physical_device_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_physical_device, base);
}

static inline struct neep_vk_device *neep_vk_device_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_device, base);
}

static inline struct neep_vk_memory *neep_vk_memory_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_memory, base);
}

#endif
