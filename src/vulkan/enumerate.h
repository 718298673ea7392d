/* Answers to the queries that are called twice: for the number, then for as many elements as there is room for. Room-internal. */
#ifndef NEEP_VULKAN_ENUMERATE_H
#define NEEP_VULKAN_ENUMERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

/* All that there is. */
struct neep_vk_items {
	const void *items;
	size_t item_size; // bytes
	uint32_t count;
};

/* Writes the answer; `out` may be NULL and holds *count elements otherwise. The guest copies as many as the answer says, whatever
 * room it has: so never more than it asked for. Returns VK_SUCCESS or VK_INCOMPLETE. */
VkResult neep_vk_enumerate(const struct neep_vk_items *all, uint32_t *count, void *out);

/* A list of extensions of the driver, or what the guest sees of it. */
struct neep_vk_extensions {
	VkExtensionProperties *list; // owned; NULL: empty
	uint32_t count;
};

void neep_vk_extensions_finish(struct neep_vk_extensions *extensions);
bool neep_vk_extensions_have(const struct neep_vk_extensions *extensions, const char *name);

/* Whether `name` is among `count` names. */
bool neep_vk_names_have(const char *const *names, size_t count, const char *name);

/* The answer to vkEnumerate*ExtensionProperties: there are no layers, so a named one is not present. */
VkResult neep_vk_extensions_enumerate(
	const struct neep_vk_items *all, const char *layer, uint32_t *count, VkExtensionProperties *out);

#endif
