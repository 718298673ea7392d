#include "vulkan/enumerate.h"

#include <stdlib.h>
#include <string.h>

VkResult neep_vk_enumerate(const struct neep_vk_items *all, uint32_t *count, void *out) {
	if (out == NULL) {
		*count = all->count;
		return VK_SUCCESS;
	}
	uint32_t room = *count;
	*count = room < all->count ? room : all->count;
	if (*count > 0) {
		memcpy(out, all->items, *count * all->item_size);
	}
	return room < all->count ? VK_INCOMPLETE : VK_SUCCESS;
}

void neep_vk_extensions_finish(struct neep_vk_extensions *extensions) {
	free(extensions->list);
	*extensions = (struct neep_vk_extensions){ 0 };
}

bool neep_vk_extensions_have(const struct neep_vk_extensions *extensions, const char *name) {
	for (uint32_t i = 0; i < extensions->count; i++) {
		if (strcmp(extensions->list[i].extensionName, name) == 0) {
			return true;
		}
	}
	return false;
}

bool neep_vk_names_have(const char *const *names, size_t count, const char *name) {
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

VkResult neep_vk_extensions_enumerate(
	const struct neep_vk_items *all, const char *layer, uint32_t *count, VkExtensionProperties *out) {
	if (layer != NULL) {
		*count = 0;
		return VK_ERROR_LAYER_NOT_PRESENT;
	}
	return neep_vk_enumerate(all, count, out);
}
