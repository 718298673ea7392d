/* The host's Vulkan loader, once neep_vk_load() has found it. Room-internal. */
#ifndef NEEP_VULKAN_LOADER_H
#define NEEP_VULKAN_LOADER_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

/* vkGetInstanceProcAddr of the loader. neep_vk_load() has succeeded before. Any thread. */
PFN_vkGetInstanceProcAddr neep_vk_loader(void);

/* vkGetDeviceProcAddr for devices of `instance`. */
PFN_vkGetDeviceProcAddr neep_vk_device_loader(VkInstance instance);

#endif
