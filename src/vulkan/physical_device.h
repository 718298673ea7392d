/* How the one physical device comes to be, and what its parts tell each other. Room-internal. */
#ifndef NEEP_VULKAN_PHYSICAL_DEVICE_H
#define NEEP_VULKAN_PHYSICAL_DEVICE_H

#include "vulkan/device.h"
#include "vulkan/vulkan.h"

struct neep_vk_call;

/* The DRM format modifier of images without tiles. Source: drm_fourcc.h. */
#define NEEP_VK_MODIFIER_LINEAR UINT64_C(0)

/* Picks the best physical device of the instance that can be used and enters it as a child; sets has_chosen and physical_id. When
 * there is none the log says why. Returns VK_SUCCESS also then. */
VkResult neep_vk_physical_device_choose(struct neep_vk_call *call, struct neep_vk_instance *instance);

/* Decides `memory`, `importable_types`, `hidden_types` and `has_sparse`. Heaps are told no larger than `limits` allow. Returns 0, or a
 * negative errno when no host-visible memory is left. */
int neep_vk_memory_types_decide(
	struct neep_vk_physical_device *physical, const struct neep_vk_limits *limits);

/* Whether the guest must not know of a device extension of the driver. */
bool neep_vk_device_extension_is_hidden(const char *name);

/* Takes out of the features chained to `head` what the guest cannot use. */
void neep_vk_features_filter(void *head);

/* Whether protected memory is asked for in the features chained to `head`. */
bool neep_vk_features_want_protected(const void *head);

/* Whether sparse binding is asked for in `info`. */
bool neep_vk_features_want_sparse(const VkDeviceCreateInfo *info);

/* How many planes an image of the format has, at least 1. */
uint32_t neep_vk_format_planes(VkFormat format);

#endif
