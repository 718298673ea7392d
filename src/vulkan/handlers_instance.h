/* Handlers of commands that make an instance and find its physical device. Room-internal; the rule for prototypes is in call.h.
 *
 * The guest sees Vulkan 1.3 at most (later versions have commands that its stream cannot carry), no layers, a short list of instance
 * extensions and one physical device. */
#ifndef NEEP_VULKAN_HANDLERS_INSTANCE_H
#define NEEP_VULKAN_HANDLERS_INSTANCE_H

#include "vulkan/google.h"

struct neep_vk_call;
struct neep_vk_object;

/* The highest version a guest is told of. */
#define NEEP_VK_API_VERSION VK_API_VERSION_1_3

/* vkEnumerateInstanceVersion: the loader's, at most NEEP_VK_API_VERSION. */
VkResult neep_vk_EnumerateInstanceVersion(struct neep_vk_call *call, uint32_t *pApiVersion);

/* vkEnumerateInstanceExtensionProperties: a fixed list. */
VkResult neep_vk_EnumerateInstanceExtensionProperties(struct neep_vk_call *call, const char *pLayerName,
	uint32_t *pPropertyCount, VkExtensionProperties *pProperties);

/* vkEnumerateInstanceLayerProperties: none. */
VkResult neep_vk_EnumerateInstanceLayerProperties(
	struct neep_vk_call *call, uint32_t *pPropertyCount, VkLayerProperties *pProperties);

/* vkCreateInstance: the application keeps its name (drivers know some), not its version: we need 1.1 and what is above it. Layers,
 * flags, extensions and chained structs are the guest's own affair. */
VkResult neep_vk_CreateInstance(
	struct neep_vk_call *call, const VkInstanceCreateInfo *pCreateInfo, uint64_t *pInstance);

/* vkDestroyInstance: with all that descends from it. */
void neep_vk_DestroyInstance(struct neep_vk_call *call, struct neep_vk_object *instance);

/* vkEnumeratePhysicalDevices: the best one that can import host memory, or none; the same for the life of the instance. */
VkResult neep_vk_EnumeratePhysicalDevices(struct neep_vk_call *call, struct neep_vk_object *instance,
	uint32_t *pPhysicalDeviceCount, uint64_t *pPhysicalDevices);

#endif
