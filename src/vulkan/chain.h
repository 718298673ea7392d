/* pNext chains of decoded structs. They lie in the arena of their command, so their links are ours to change.
 *
 * A chain is named by the struct that it extends (`head`), which itself is never found or removed. */
#ifndef NEEP_VULKAN_CHAIN_H
#define NEEP_VULKAN_CHAIN_H

#include <stddef.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

/* The first struct of that type behind `head`, or NULL. */
void *neep_vk_chain_find(const void *head, VkStructureType type);

/* Unlinks every struct of that type. */
void neep_vk_chain_remove(void *head, VkStructureType type);

/* Unlinks every struct whose type is not one of `types`. */
void neep_vk_chain_keep(void *head, const VkStructureType *types, size_t count);

/* Links `link` right behind `head`; it must live as long as the chain is used. */
void neep_vk_chain_push(void *head, void *link);

#endif
