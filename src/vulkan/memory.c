#include <stdlib.h>
#include <sys/mman.h>

#include "util/fd.h"
#include "util/log.h"
#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/context.h"
#include "vulkan/device.h"
#include "vulkan/handlers_memory.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan/host_memory.h"

// What an allocation asks for, taken from the guest's structs before they are changed.
struct request {
	struct neep_vk_call *call;
	struct neep_vk_device *device;
	VkMemoryAllocateInfo info;
	uint64_t *id;
};

static void release_memory(struct neep_vk_object *object) {
	object->device->vk.FreeMemory(NEEP_VK_HANDLE(VkDevice, &object->device->base),
		NEEP_VK_HANDLE(VkDeviceMemory, object), NULL);
}

static void dispose_memory(struct neep_vk_object *object) {
	struct neep_vk_memory *memory = neep_vk_memory_from(object);
	if (memory->ptr != NULL) {
		munmap(memory->ptr, memory->size);
	}
	neep_close_fd(&memory->fd);
	atomic_fetch_sub(&memory->context->memory_bytes, memory->charged);
	free(memory);
}

static struct neep_vk_memory *memory_create(const struct request *request) {
	struct neep_vk_memory *memory = calloc(1, sizeof(*memory));
	if (memory == NULL) {
		return NULL;
	}
	memory->base.dispose = dispose_memory;
	memory->context = request->call->context;
	memory->size = request->info.allocationSize;
	memory->fd = -1;
	return memory;
}

// Counts the memory's size against the guest's limit.
static bool memory_charge(struct neep_vk_memory *memory) {
	struct neep_vk_context *context = memory->context;
	uint64_t limit = context->limits.memory_bytes;
	uint64_t used = atomic_load(&context->memory_bytes);
	do {
		if (used > limit || memory->size > limit - used) {
			return false;
		}
	} while (!atomic_compare_exchange_weak(&context->memory_bytes, &used, used + memory->size));
	memory->charged = memory->size;
	return true;
}

// Lets the driver allocate, and enters the memory; takes it in every case.
static VkResult memory_add(const struct request *request, struct neep_vk_memory *owned) {
	const struct neep_vk_device *device = request->device;
	VkDeviceMemory handle;
	VkResult result = device->vk.AllocateMemory(
		NEEP_VK_HANDLE(VkDevice, &device->base), &request->info, NULL, &handle);
	if (result != VK_SUCCESS) {
		dispose_memory(&owned->base);
		return result;
	}
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_DEVICE_MEMORY,
		.handle = NEEP_VK_RAW(handle),
		.parent = &request->device->base,
		.release = release_memory,
	};
	if (neep_vk_object_add(neep_vk_call_table(request->call), &owned->base, &params) != 0) {
		device->vk.FreeMemory(NEEP_VK_HANDLE(VkDevice, &device->base), handle, NULL);
		dispose_memory(&owned->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*request->id = owned->base.id;
	return VK_SUCCESS;
}

// As memory_add(), of the memory's own pages.
static VkResult memory_add_imported(struct request *request, struct neep_vk_memory *owned) {
	// An import is of no image's or buffer's own: a dedicated one would have to be as large as that.
	static const VkStructureType kept[] = {
		VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
		VK_STRUCTURE_TYPE_MEMORY_OPAQUE_CAPTURE_ADDRESS_ALLOCATE_INFO,
	};
	VkImportMemoryHostPointerInfoEXT import = neep_vk_host_import(owned->ptr);
	neep_vk_chain_keep(&request->info, kept, NEEP_ARRAY_LEN(kept));
	neep_vk_chain_push(&request->info, &import);
	request->info.allocationSize = owned->size;
	return memory_add(request, owned);
}

static VkResult allocate_plain(struct request *request) {
	static const VkStructureType kept[] = {
		VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
		VK_STRUCTURE_TYPE_MEMORY_OPAQUE_CAPTURE_ADDRESS_ALLOCATE_INFO,
		VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
		VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT,
	};
	neep_vk_chain_keep(&request->info, kept, NEEP_ARRAY_LEN(kept));
	struct neep_vk_memory *memory = memory_create(request);
	if (memory == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	if (!memory_charge(memory)) {
		dispose_memory(&memory->base);
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	return memory_add(request, memory);
}

// Gives the memory pages of its own, of its size.
static bool memory_make_pages(struct neep_vk_memory *memory) {
	memory->fd = neep_memfd_create("neep-memory", memory->size);
	if (memory->fd < 0) {
		memory->fd = -1;
		return false;
	}
	memory->ptr = neep_vk_host_map(memory->fd, memory->size);
	return memory->ptr != NULL;
}

static VkResult allocate_blob(struct request *request, uint64_t blob_id) {
	const VkMemoryType *type =
		&request->device->physical->memory.memoryTypes[request->info.memoryTypeIndex];
	if (blob_id == 0 || (type->propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0) {
		neep_vk_call_fail(request->call, "a blob of memory type %u with id %llu",
			request->info.memoryTypeIndex, (unsigned long long)blob_id);
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	if (request->info.allocationSize > NEEP_VK_MAX_HOST_VISIBLE ||
		!neep_vk_page_round(request->info.allocationSize, &request->info.allocationSize)) {
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	struct neep_vk_memory *memory = memory_create(request);
	if (memory == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	memory->blob_id = blob_id;
	if (!memory_charge(memory) || !memory_make_pages(memory)) {
		dispose_memory(&memory->base);
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	return memory_add_imported(request, memory);
}

// The type as which the driver imports host memory, preferably what the guest named. A resource has none of its own.
static uint32_t import_type(const struct neep_vk_physical_device *physical, uint32_t wanted) {
	if ((physical->importable_types >> wanted & 1) != 0) {
		return wanted;
	}
	return (uint32_t)__builtin_ctz(physical->importable_types);
}

static VkResult import_found(struct request *request, const struct neep_vk_resource *resource) {
	uint64_t size, wanted;
	if (!neep_vk_page_round(resource->size, &size) || size == 0 ||
		!neep_vk_page_round(request->info.allocationSize, &wanted) || wanted > size) {
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	}
	struct neep_vk_memory *memory = memory_create(request);
	if (memory == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	memory->size = size;
	memory->ptr = neep_vk_host_map(resource->owned_fd, size);
	if (memory->ptr == NULL) {
		dispose_memory(&memory->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	request->info.memoryTypeIndex = import_type(request->device->physical, request->info.memoryTypeIndex);
	return memory_add_imported(request, memory);
}

// The resource may be on its way to us, so the turn ends.
static VkResult import_resource(struct request *request, uint32_t resource_id) {
	neep_vk_object_ref(&request->device->base);
	neep_vk_call_end_turn(request->call);
	struct neep_vk_host *host = request->call->context->host;
	struct neep_vk_resource resource = { .owned_fd = -1 };
	VkResult result = VK_ERROR_INVALID_EXTERNAL_HANDLE;
	if (host->impl->find_resource(host, resource_id, &resource) == 0) {
		result = import_found(request, &resource);
		neep_close_fd(&resource.owned_fd);
	}
	neep_vk_object_unref(&request->device->base);
	return result;
}

static bool type_exists(const struct neep_vk_physical_device *physical, uint32_t type) {
	return type < physical->memory.memoryTypeCount && (physical->hidden_types >> type & 1) == 0;
}

static VkResult allocate(struct request *request, const VkCreateBlobGOOGLE *blob) {
	return blob != NULL ? allocate_blob(request, blob->blobId) : allocate_plain(request);
}

static bool is_short_of_memory(VkResult result) {
	return result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
}

VkResult neep_vk_AllocateMemory(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkMemoryAllocateInfo *pAllocateInfo, uint64_t *pMemory) {
	struct request request = {
		.call = call,
		.device = neep_vk_device_from(device),
		.info = *pAllocateInfo,
		.id = pMemory,
	};
	if (request.info.allocationSize == 0 ||
		!type_exists(request.device->physical, request.info.memoryTypeIndex)) {
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	const VkImportColorBufferGOOGLE *image =
		neep_vk_chain_find(&request.info, VK_STRUCTURE_TYPE_IMPORT_COLOR_BUFFER_GOOGLE);
	if (image != NULL) {
		return import_resource(&request, image->colorBuffer);
	}
	const VkImportBufferGOOGLE *buffer =
		neep_vk_chain_find(&request.info, VK_STRUCTURE_TYPE_IMPORT_BUFFER_GOOGLE);
	if (buffer != NULL) {
		return import_resource(&request, buffer->buffer);
	}
	const VkCreateBlobGOOGLE *blob =
		neep_vk_chain_find(&request.info, VK_STRUCTURE_TYPE_CREATE_BLOB_GOOGLE);
	VkResult result = allocate(&request, blob);
	/* What the guest has freed may still be held by others of its rings, which record. */
	if (is_short_of_memory(result) && neep_vk_table_settle(neep_vk_call_table(call))) {
		request.info = *pAllocateInfo;
		result = allocate(&request, blob);
	}
	return result;
}

void neep_vk_FreeMemory(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory) {
	(void)device;
	neep_vk_object_destroy(neep_vk_call_table(call), memory);
}

VkResult neep_vk_FreeMemorySyncGOOGLE(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory) {
	neep_vk_FreeMemory(call, device, memory);
	return VK_SUCCESS;
}

VkResult neep_vk_GetBlobGOOGLE(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *memory) {
	(void)device;
	struct neep_vk_memory *self = neep_vk_memory_from(memory);
	if (self->blob_id == 0) {
		return VK_ERROR_MEMORY_MAP_FAILED;
	}
	if (self->is_published) {
		return VK_SUCCESS;
	}
	struct neep_vk_host *host = call->context->host;
	if (host->impl->publish_blob(host, self->blob_id, self->size, self->fd) != 0) {
		return VK_ERROR_MEMORY_MAP_FAILED;
	}
	// Others have it now; thousands of allocations must not use up our fds.
	neep_close_fd(&self->fd);
	self->is_published = true;
	return VK_SUCCESS;
}

VkResult neep_vk_FlushMappedMemoryRanges(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t memoryRangeCount, const VkMappedMemoryRange *pMemoryRanges) {
	(void)call;
	(void)device;
	(void)memoryRangeCount;
	(void)pMemoryRanges;
	return VK_SUCCESS;
}

VkResult neep_vk_InvalidateMappedMemoryRanges(struct neep_vk_call *call, struct neep_vk_object *device,
	uint32_t memoryRangeCount, const VkMappedMemoryRange *pMemoryRanges) {
	return neep_vk_FlushMappedMemoryRanges(call, device, memoryRangeCount, pMemoryRanges);
}
