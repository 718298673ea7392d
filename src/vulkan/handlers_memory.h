/* Handlers of device memory. Room-internal; the rule for prototypes is in call.h.
 *
 * Memory that the guest may map is pages of a memfd that the driver imports: nothing else of the host shows through a mapping, and it
 * stays good when the driver's memory is gone. Memory of a virtio-gpu resource is imported in the same way. The rest is the
 * driver's own. */
#ifndef NEEP_VULKAN_HANDLERS_MEMORY_H
#define NEEP_VULKAN_HANDLERS_MEMORY_H

#include "vulkan/google.h"

struct neep_vk_call;
struct neep_vk_object;

/* vkAllocateMemory: only chained structs that are known to be harmless reach the driver (others name fds and addresses).
 * VkCreateBlobGOOGLE makes host-visible memory, of NEEP_VK_MAX_HOST_VISIBLE bytes at most; VkImportColorBufferGOOGLE and
 * VkImportBufferGOOGLE import a resource, with the size and the memory type that it really has. */
VkResult neep_vk_AllocateMemory(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkMemoryAllocateInfo *pAllocateInfo, uint64_t *pMemory);

/* vkFreeMemory. The pages live on with whoever has them mapped. */
void neep_vk_FreeMemory(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory);

/* vkFreeMemorySyncGOOGLE: the same, and the guest waits for it. */
VkResult neep_vk_FreeMemorySyncGOOGLE(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory);

/* vkGetBlobGOOGLE: publishes the memory's pages under the blob id of its allocation. VK_ERROR_MEMORY_MAP_FAILED when it has none. */
VkResult neep_vk_GetBlobGOOGLE(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory);

/* vkFlushMappedMemoryRanges and vkInvalidateMappedMemoryRanges: nothing to do, whatever the ranges: all that a guest can map is
 * coherent. */
VkResult neep_vk_FlushMappedMemoryRanges(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t memoryRangeCount, const VkMappedMemoryRange *pMemoryRanges);
VkResult neep_vk_InvalidateMappedMemoryRanges(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t memoryRangeCount, const VkMappedMemoryRange *pMemoryRanges);

#endif
