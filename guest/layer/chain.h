/* pNext chains of the program, which are not the layer's to change. */
#ifndef NEEP_LAYER_CHAIN_H
#define NEEP_LAYER_CHAIN_H

#include <stdbool.h>

#include <vulkan/vulkan_core.h>

/* The struct of that type in the chain behind `head`, or NULL. */
void *neep_layer_chain_find(const void *head, VkStructureType type);

/* The loader's struct for layers in the chain of vkCreateInstance or vkCreateDevice: a VkLayerInstanceCreateInfo or a
 * VkLayerDeviceCreateInfo, as `type` says. NULL: the caller is no loader. */
void *neep_layer_chain_link(const void *head, VkStructureType type);

/* Puts copies in the place of the structs in the chain of `info` (which is the caller's) up to `last`, which is one of them.
 * Returns the memory that they lie in, for the caller to free; NULL, with nothing done, where there is none or where the size of
 * one is not known. */
void *neep_layer_chain_copy(VkDeviceCreateInfo *info, const void *last);

#endif
