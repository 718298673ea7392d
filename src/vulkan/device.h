/* Instances, devices and those objects of which we know more than the driver's handle. Room-internal.
 *
 * Function tables are generated from the registry (neep_vk_tables.h): one member per command, named without "vk", filled with the
 * core name or, where the driver or device has only that, the KHR or EXT name; NULL where there is none. */
#ifndef NEEP_VULKAN_DEVICE_H
#define NEEP_VULKAN_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "neep_vk_tables.h"
#include "vulkan/google.h"
#include "vulkan/object.h"

struct neep_vk_instance {
	struct neep_vk_object base;
	struct neep_vk_instance_table vk;
	uint32_t api_version; // what the driver was asked for
};

/* The one physical device that a guest sees. What is decided about it is decided once, when it is first enumerated, so that all
 * answers agree for the life of the context. */
struct neep_vk_physical_device {
	struct neep_vk_object base;
	struct neep_vk_instance *instance;
	VkPhysicalDeviceMemoryProperties memory; // as the guest sees it
	uint32_t importable_types;               // bit n: host pointers can be imported as memory type n
	uint64_t import_alignment;               // bytes; 0: no VK_EXT_external_memory_host
	bool has_drm_modifiers;                  // the driver's own; else LINEAR is ours
};

struct neep_vk_device {
	struct neep_vk_object base;
	struct neep_vk_physical_device *physical;
	struct neep_vk_device_table vk;
	atomic_bool is_lost; // sticky: told by every later call that can tell
};

/* VkDeviceMemory. Host-visible memory is a memfd of our own that the driver has imported. */
struct neep_vk_memory {
	struct neep_vk_object base;
	uint64_t size;    // bytes, as allocated
	uint64_t blob_id; // 0: none
	int fd;           // -1: plain memory of the driver
	void *ptr;        // of fd, mapped; NULL
	bool is_published;
};

/* Checked downcasts, for objects that were found with the type. NULL gives NULL. */
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
