#include "vulkan/chain.h"

#include <stdbool.h>

// Every chained struct starts so; the compiler is told that it may be any of them.
struct link {
	VkStructureType type;
	struct link *next;
} __attribute__((may_alias));

void *neep_vk_chain_find(const void *head, VkStructureType type) {
	struct link *link = ((const struct link *)head)->next;
	while (link != NULL && link->type != type) {
		link = link->next;
	}
	return link;
}

static bool contains(const VkStructureType *types, size_t count, VkStructureType type) {
	for (size_t i = 0; i < count; i++) {
		if (types[i] == type) {
			return true;
		}
	}
	return false;
}

static void unlink_where(void *head, const VkStructureType *types, size_t count, bool is_listed) {
	struct link *link = head;
	while (link->next != NULL) {
		if (contains(types, count, link->next->type) == is_listed) {
			link->next = link->next->next;
		} else {
			link = link->next;
		}
	}
}

void neep_vk_chain_remove(void *head, VkStructureType type) {
	unlink_where(head, &type, 1, true);
}

void neep_vk_chain_keep(void *head, const VkStructureType *types, size_t count) {
	unlink_where(head, types, count, false);
}

void neep_vk_chain_push(void *head, void *link) {
	((struct link *)link)->next = ((struct link *)head)->next;
	((struct link *)head)->next = link;
}
