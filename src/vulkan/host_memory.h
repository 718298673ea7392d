/* Memory of the host that a driver imports: shared pages that other processes can map. Room-internal, any thread. */
#ifndef NEEP_VULKAN_HOST_MEMORY_H
#define NEEP_VULKAN_HOST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "vulkan/device.h"

/* What host pointers and their sizes are multiples of. Drivers that want more than this cannot be used. */
#define NEEP_VK_HOST_PAGE UINT64_C(4096)

/* `size` rounded up to whole pages; false when that is no number. */
bool neep_vk_page_round(uint64_t size, uint64_t *rounded);

/* Maps `size` bytes (whole pages) of `fd` for reading and writing. NULL when the kernel refuses. To be unmapped by munmap(). */
void *neep_vk_host_map(int fd, uint64_t size);

/* The chain link by which vkAllocateMemory imports host memory. */
static inline VkImportMemoryHostPointerInfoEXT neep_vk_host_import(void *ptr) {
	return (VkImportMemoryHostPointerInfoEXT){
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
		.pHostPointer = ptr,
	};
}

#endif
