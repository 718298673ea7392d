/* Handlers of devices and their queues. Room-internal; the rule for prototypes is in call.h. */
#ifndef NEEP_VULKAN_HANDLERS_DEVICE_H
#define NEEP_VULKAN_HANDLERS_DEVICE_H

#include "vulkan/google.h"

struct neep_vk_call;
struct neep_vk_object;

/* vkCreateDevice: with those of the wanted extensions that the driver has (the renderer does the others) and with
 * VK_EXT_external_memory_host; without layers, and without chained structs that hold pointers or other devices. Protected memory
 * is refused. All queues are fetched at once. */
VkResult neep_vk_CreateDevice(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	const VkDeviceCreateInfo *pCreateInfo, uint64_t *pDevice);

/* vkDestroyDevice: waits a bounded time until its queues are idle, then destroys what is left of its objects, too. */
void neep_vk_DestroyDevice(struct neep_vk_call *call, struct neep_vk_object *device);

/* vkGetDeviceQueue and ...2: always the same id for a queue; 0 for one that the device was not made with. */
void neep_vk_GetDeviceQueue(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t queueFamilyIndex, uint32_t queueIndex, uint64_t *pQueue);
void neep_vk_GetDeviceQueue2(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDeviceQueueInfo2 *pQueueInfo, uint64_t *pQueue);

/* vkDeviceWaitIdle: without the turn. */
VkResult neep_vk_DeviceWaitIdle(struct neep_vk_call *call, struct neep_vk_object *device);

#endif
