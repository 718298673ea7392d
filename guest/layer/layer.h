/* A Vulkan layer for guests: null descriptors (VK_EXT_robustness2) on Mesa's gfxstream driver, where the host has them.
 *
 * That driver does not list the extension, since 26.1 it does not carry the structs either, and where a null buffer stands in
 * vkCmdBindVertexBuffers or in the data of an update template it follows the pointer. The layer finds out from a tool of
 * neep's renderer (vkGetPhysicalDeviceToolProperties, which the driver forwards) that there are null descriptors, lists the
 * extension, and answers with its structs what the driver leaves open. It asks for nothing in vkCreateDevice: every device that
 * the renderer makes has them. In place of a null buffer where the driver would follow it stands a buffer without bytes: Vulkan
 * knows none, so that for neep's renderer it is the null one. What else may be null passes: the driver sends 0.
 *
 * On any other driver and host nothing happens.
 *
 * Threads: any. Instances and devices are found by the pointer that the loader writes into them and into all that descends from
 * them; the maps have locks of their own. What was found lives on, as a program may not destroy what it uses.
 *
 * Source: the Vulkan loader's "Loader and Layer Interface", version 2; VK_EXT_robustness2; Mesa's gfxstream guest;
 * src/vulkan/physical_device.h. */
#ifndef NEEP_LAYER_LAYER_H
#define NEEP_LAYER_LAYER_H

#include <stdbool.h>

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan_core.h>

#include "layer/chain.h"
#include "layer/map.h"

struct neep_layer_instance {
	struct neep_layer_entry entry; // key: neep_layer_key() of the instance
	VkInstance handle;
	PFN_vkGetInstanceProcAddr get;
	PFN_vkDestroyInstance destroy;
	PFN_vkCreateDevice create_device;
	PFN_vkEnumerateDeviceExtensionProperties list_extensions;
	// NULL, all of them: the instance is of Vulkan 1.0.
	PFN_vkGetPhysicalDeviceFeatures2 get_features;
	PFN_vkGetPhysicalDeviceProperties2 get_properties;
	PFN_vkGetPhysicalDeviceToolProperties get_tools;
};

struct neep_layer_device {
	struct neep_layer_entry entry; // key: neep_layer_key() of the device
	VkDevice handle;
	PFN_vkGetDeviceProcAddr get;
	PFN_vkDestroyDevice destroy;
	PFN_vkCreateBuffer create_buffer;
	PFN_vkDestroyBuffer destroy_buffer;
	PFN_vkCreateDescriptorUpdateTemplate create_template;
	PFN_vkDestroyDescriptorUpdateTemplate destroy_template;
	PFN_vkUpdateDescriptorSetWithTemplate update_with_template;
	PFN_vkCmdBindVertexBuffers bind_vertex_buffers;
	PFN_vkCmdBindVertexBuffers2 bind_vertex_buffers2;
	VkBuffer null_buffer;            // stands for the null one; VK_NULL_HANDLE: nothing is replaced
	struct neep_layer_map templates; // struct neep_layer_template
};

/* What the loader dispatches by: the same for an instance and its physical devices, and for a device, its queues and its command
 * buffers. `handle` is dispatchable. */
static inline uint64_t neep_layer_key(const void *handle) {
	return (uint64_t)(uintptr_t) * (const void *const *)handle;
}

/* ---- instance.c ---- */

/* NULL for a handle that the layer has not seen. */
struct neep_layer_instance *neep_layer_instance_of(const void *handle);

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateInstance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *instance);
VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyInstance(
	VkInstance instance, const VkAllocationCallbacks *allocator);
VKAPI_ATTR VkResult VKAPI_CALL neep_layer_EnumerateDeviceExtensionProperties(
	VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *properties);

VKAPI_ATTR void VKAPI_CALL neep_layer_GetPhysicalDeviceFeatures2(
	VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features);
VKAPI_ATTR void VKAPI_CALL neep_layer_GetPhysicalDeviceProperties2(
	VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *properties);

/* Whether the layer lists the extension for that device: the driver does not, and the host has null descriptors. */
bool neep_layer_adds_extension(const struct neep_layer_instance *instance, VkPhysicalDevice physical);

/* ---- device.c ---- */

/* As neep_layer_instance_of(). */
struct neep_layer_device *neep_layer_device_of(const void *handle);

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateDevice(VkPhysicalDevice physical,
	const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *device);
VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyDevice(VkDevice device, const VkAllocationCallbacks *allocator);

/* ---- template.c: descriptor update templates ---- */

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateDescriptorUpdateTemplate(VkDevice device,
	const VkDescriptorUpdateTemplateCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkDescriptorUpdateTemplate *handle);
VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyDescriptorUpdateTemplate(
	VkDevice device, VkDescriptorUpdateTemplate handle, const VkAllocationCallbacks *allocator);
/* Of a template that was never destroyed, when its device is. */
void neep_layer_template_free(struct neep_layer_entry *entry);

/* An update with nulls is lost for want of memory: there is no way to tell. */
VKAPI_ATTR void VKAPI_CALL neep_layer_UpdateDescriptorSetWithTemplate(
	VkDevice device, VkDescriptorSet set, VkDescriptorUpdateTemplate handle, const void *data);

/* ---- vertex.c: vertex buffers ---- */

VKAPI_ATTR void VKAPI_CALL neep_layer_CmdBindVertexBuffers(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets);
VKAPI_ATTR void VKAPI_CALL neep_layer_CmdBindVertexBuffers2(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets, const VkDeviceSize *sizes,
	const VkDeviceSize *strides);

/* ---- entry.c: the way in ---- */

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL neep_layer_GetInstanceProcAddr(
	VkInstance instance, const char *name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL neep_layer_GetDeviceProcAddr(VkDevice device, const char *name);

#endif
