/* Handlers of the questions about the physical device. Room-internal; the rule for prototypes is in call.h.
 *
 * The answers are the driver's, less what the guest's stream cannot carry, and with external memory as the renderer does it: images
 * and buffers that are shared lie, linear, in memory that any renderer can map, whatever the driver itself can share. */
#ifndef NEEP_VULKAN_HANDLERS_PHYSICAL_DEVICE_H
#define NEEP_VULKAN_HANDLERS_PHYSICAL_DEVICE_H

#include "vulkan/google.h"

struct neep_vk_call;
struct neep_vk_object;

/* The guest's driver keeps the book of one allocation's mappings in a signed 512 MiB: larger mapped ones break there. Reported as
 * maxMemoryAllocationSize, and the cap of host-visible memory. Source: Mesa's gfxstream guest. */
#define NEEP_VK_MAX_HOST_VISIBLE (UINT64_C(512) << 20)

/* vkEnumerateDeviceExtensionProperties: the driver's, less what cannot be carried, plus what the renderer does itself. */
VkResult neep_vk_EnumerateDeviceExtensionProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const char *pLayerName, uint32_t *pPropertyCount,
	VkExtensionProperties *pProperties);

/* vkEnumerateDeviceLayerProperties: none. */
VkResult neep_vk_EnumerateDeviceLayerProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pPropertyCount, VkLayerProperties *pProperties);

/* vkGetPhysicalDeviceFeatures: the driver's. */
void neep_vk_GetPhysicalDeviceFeatures(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceFeatures *pFeatures);

/* vkGetPhysicalDeviceFeatures2: no protected memory, and nothing that needs commands which cannot be carried. */
void neep_vk_GetPhysicalDeviceFeatures2(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceFeatures2 *pFeatures);

/* vkGetPhysicalDeviceProperties: version 1.3 at most. */
void neep_vk_GetPhysicalDeviceProperties(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceProperties *pProperties);

/* vkGetPhysicalDeviceProperties2: the same, and allocations of NEEP_VK_MAX_HOST_VISIBLE at most. */
void neep_vk_GetPhysicalDeviceProperties2(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceProperties2 *pProperties);

/* vkGetPhysicalDeviceFormatProperties2: the one DRM modifier is LINEAR, with the features of linear tiling. */
void neep_vk_GetPhysicalDeviceFormatProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkFormat format, VkFormatProperties2 *pFormatProperties);

/* vkGetPhysicalDeviceImageFormatProperties2: asks for the image that neep_vk_CreateImage() would make, and adds what can be shared. */
VkResult neep_vk_GetPhysicalDeviceImageFormatProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const VkPhysicalDeviceImageFormatInfo2 *pImageFormatInfo,
	VkImageFormatProperties2 *pImageFormatProperties);

/* vkGetPhysicalDeviceQueueFamilyProperties and ...2: without the flag of protected memory. */
void neep_vk_GetPhysicalDeviceQueueFamilyProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pQueueFamilyPropertyCount,
	VkQueueFamilyProperties *pQueueFamilyProperties);
void neep_vk_GetPhysicalDeviceQueueFamilyProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pQueueFamilyPropertyCount,
	VkQueueFamilyProperties2 *pQueueFamilyProperties);

/* vkGetPhysicalDeviceMemoryProperties and ...2: what was decided when the device was chosen. */
void neep_vk_GetPhysicalDeviceMemoryProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkPhysicalDeviceMemoryProperties *pMemoryProperties);
void neep_vk_GetPhysicalDeviceMemoryProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkPhysicalDeviceMemoryProperties2 *pMemoryProperties);

/* vkGetPhysicalDeviceExternalBufferProperties: dma-bufs and opaque fds, as the guest's driver makes them of resources. */
void neep_vk_GetPhysicalDeviceExternalBufferProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, const VkPhysicalDeviceExternalBufferInfo *pExternalBufferInfo,
	VkExternalBufferProperties *pExternalBufferProperties);

/* vkGetPhysicalDeviceExternalSemaphoreProperties: nothing; the guest's driver adds the sync files that it makes itself. */
void neep_vk_GetPhysicalDeviceExternalSemaphoreProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice,
	const VkPhysicalDeviceExternalSemaphoreInfo *pExternalSemaphoreInfo,
	VkExternalSemaphoreProperties *pExternalSemaphoreProperties);

/* vkGetPhysicalDeviceToolProperties: none. */
VkResult neep_vk_GetPhysicalDeviceToolProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, uint32_t *pToolCount,
	VkPhysicalDeviceToolProperties *pToolProperties);

#endif
