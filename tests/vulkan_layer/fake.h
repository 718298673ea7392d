/* What is below the layer: a loader's end of the chain and a driver in one, which notes what it gets. One instance, two devices. */
#ifndef NEEP_TESTS_VULKAN_LAYER_FAKE_H
#define NEEP_TESTS_VULKAN_LAYER_FAKE_H

#include "layer/layer.h"

#define FAKE_MAX 80

/* A dispatchable object: the loader's pointer comes first. */
struct fake_object {
	const void *dispatch;
};

struct fake {
	/* What it is. */
	bool lists_extension;
	bool has_tool;
	bool answers_features;
	VkResult create_result; // of vkCreateDevice
	VkResult buffer_result; // of vkCreateBuffer
	/* What it got. */
	uint32_t device_count, destroyed_count; // devices
	uint32_t buffer_count;                  // that exist
	VkDeviceSize buffer_size;               // of the last
	char names[FAKE_MAX][64];               // extensions of the last device
	uint32_t name_count;
	bool wants_nulls, wants_robust; // in the chain of the last device
	uint32_t bind_count, bound_count;
	VkBuffer bound[FAKE_MAX];
	VkDeviceSize offsets[FAKE_MAX];
	const void *update_data;
	char updated[512]; // as much as fake.update_size says, from fake.update_begin on
	size_t update_begin, update_size;
};
extern struct fake fake;

/* The handle of the null buffer that the layer made. */
#define FAKE_NULL_BUFFER ((VkBuffer)(uintptr_t)0x77000)

/* Makes an instance through the layer, on a driver that lacks what the layer is for, and has what it needs. */
VkInstance fake_start(void);
void fake_stop(VkInstance instance);
VkPhysicalDevice fake_physical(void);

/* Makes a device through the layer; `info` may have a chain and names. */
VkResult fake_create_device(const VkDeviceCreateInfo *info, VkDevice *device);
/* One with null descriptors. */
VkDevice fake_device(void);
/* A function of the device or NULL, as a program gets it. */
PFN_vkVoidFunction fake_get(VkDevice device, const char *name);

#endif
