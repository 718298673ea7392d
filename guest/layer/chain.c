#include "layer/chain.h"

#include <stdlib.h>
#include <string.h>

#include <vulkan/vk_layer.h>

#include "util/macros.h"

static const struct {
	uint32_t type;
	size_t size;
} structs[] = {
	{ VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO, sizeof(VkLayerDeviceCreateInfo) },
#include "neep_layer_sizes.h"
};

// 0: newer than the registry that this was built with.
static size_t size_of(VkStructureType type) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(structs); i++) {
		if (structs[i].type == (uint32_t)type) {
			return structs[i].size;
		}
	}
	return 0;
}

void *neep_layer_chain_find(const void *head, VkStructureType type) {
	const VkBaseInStructure *at = head;
	do {
		at = at->pNext;
	} while (at != NULL && at->sType != type);
	return (void *)(uintptr_t)at;
}

void *neep_layer_chain_link(const void *head, VkStructureType type) {
	/* Both kinds begin alike. */
	const VkLayerDeviceCreateInfo *link = neep_layer_chain_find(head, type);
	while (link != NULL && link->function != VK_LAYER_LINK_INFO) {
		link = neep_layer_chain_find(link, type);
	}
	return (void *)(uintptr_t)link;
}

// Bytes of the structs up to `last`; 0: one is not known.
static size_t size_up_to(const VkDeviceCreateInfo *info, const void *last) {
	size_t size = 0;
	const VkBaseInStructure *at = (const void *)info;
	do {
		at = at->pNext;
		size_t one = size_of(at->sType);
		if (one == 0) {
			return 0;
		}
		size += one;
	} while (at != last);
	return size;
}

void *neep_layer_chain_copy(VkDeviceCreateInfo *info, const void *last) {
	size_t size = size_up_to(info, last);
	char *copy = size > 0 ? malloc(size) : NULL;
	char *to = copy;
	VkBaseInStructure *before = (void *)info;
	for (bool is_last = copy == NULL; !is_last;) {
		const VkBaseInStructure *at = before->pNext;
		is_last = at == last;
		memcpy(to, at, size_of(at->sType));
		before->pNext = (void *)to;
		before = (void *)to;
		to += size_of(at->sType);
	}
	return copy;
}
