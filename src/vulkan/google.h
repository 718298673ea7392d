/* The structs of Mesa's VK_GOOGLE_gfxstream that its guest sends in vkAllocateMemory: not in Khronos' headers. Their names are those of
 * the registry, as the generated code expects them. */
#ifndef NEEP_VULKAN_GOOGLE_H
#define NEEP_VULKAN_GOOGLE_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#define VK_STRUCTURE_TYPE_IMPORT_COLOR_BUFFER_GOOGLE ((VkStructureType)1000385000)
#define VK_STRUCTURE_TYPE_IMPORT_BUFFER_GOOGLE       ((VkStructureType)1000385001)
#define VK_STRUCTURE_TYPE_CREATE_BLOB_GOOGLE         ((VkStructureType)1000385002)

/* The memory is that of a virtio-gpu resource. */
typedef struct VkImportColorBufferGOOGLE {
	VkStructureType sType;
	void *pNext;
	uint32_t colorBuffer; // resource id
} VkImportColorBufferGOOGLE;

typedef struct VkImportBufferGOOGLE {
	VkStructureType sType;
	void *pNext;
	uint32_t buffer; // resource id
} VkImportBufferGOOGLE;

/* The guest may map the memory later, as the blob of this id. */
typedef struct VkCreateBlobGOOGLE {
	VkStructureType sType;
	void *pNext;
	uint32_t blobMem;
	uint32_t blobFlags;
	uint64_t blobId;
} VkCreateBlobGOOGLE;

#endif
