/* The driver's handles, out of objects. Those that are no pointers of the loader are cast where they are used. */
#ifndef NEEP_VULKAN_HANDLE_H
#define NEEP_VULKAN_HANDLE_H

#include "vulkan/device.h"

static inline VkDevice neep_vk_device_handle(const struct neep_vk_device *device) {
	return (VkDevice)(uintptr_t)device->base.handle;
}

static inline VkQueue neep_vk_queue_handle(const struct neep_vk_object *queue) {
	return (VkQueue)(uintptr_t)queue->handle;
}

static inline VkCommandBuffer neep_vk_command_buffer_handle(const struct neep_vk_object *command_buffer) {
	return (VkCommandBuffer)(uintptr_t)command_buffer->handle;
}

#endif
