/* Which memory the guest sees.
 *
 * What it maps must be memory that another process can map too: pages of a memfd, which the driver imports. So a type is host-visible
 * for the guest if the driver really imports such pages as that type (found by trying, on a device of our own), and if it is
 * coherent: the guest's caches are then nobody's business. Indices and heaps stay the driver's.
 *
 * To imported pages drivers need not bind sparse resources: lavapipe says that it did and does nothing. So there must be
 * memory of another type for those. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/fd.h"
#include "util/log.h"
#include "vulkan/call.h"
#include "vulkan/chain.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan/host_memory.h"
#include "vulkan/loader.h"
#include "vulkan/physical_device.h"

#define HOST_FLAGS                                                                    \
	(VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | \
		VK_MEMORY_PROPERTY_HOST_CACHED_BIT)

// Protected memory is off; the others are of no use to a guest, or want features that are not shown.
#define HIDDEN_FLAGS                                                                                      \
	(VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |                     \
		VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD | \
		VK_MEMORY_PROPERTY_RDMA_CAPABLE_BIT_NV)

// A device and a page for the trial.
struct probe {
	VkDevice device;
	struct neep_vk_device_table vk;
	void *page;
};

static VkResult create_probe_device(const struct neep_vk_physical_device *physical, VkDevice *device) {
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	const char *const extension = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledExtensionCount = 1,
		.ppEnabledExtensionNames = &extension,
	};
	VkPhysicalDevice handle = NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base);
	return physical->instance->vk.CreateDevice(handle, &info, NULL, device);
}

static void *map_probe_page(void) {
	neep_autoclose int fd = neep_memfd_create("neep-probe", NEEP_VK_HOST_PAGE);
	return fd >= 0 ? neep_vk_host_map(fd, NEEP_VK_HOST_PAGE) : NULL;
}

static bool imports_as(const struct probe *probe, uint32_t type) {
	const VkImportMemoryHostPointerInfoEXT import = neep_vk_host_import(probe->page);
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &import,
		.allocationSize = NEEP_VK_HOST_PAGE,
		.memoryTypeIndex = type,
	};
	VkDeviceMemory memory;
	if (probe->vk.AllocateMemory(probe->device, &info, NULL, &memory) != VK_SUCCESS) {
		return false;
	}
	probe->vk.FreeMemory(probe->device, memory, NULL);
	return true;
}

static uint32_t importable_types(const struct probe *probe, uint32_t type_count) {
	VkMemoryHostPointerPropertiesEXT pointer = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
	};
	if (probe->vk.GetMemoryHostPointerPropertiesEXT(probe->device,
		    VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, probe->page,
		    &pointer) != VK_SUCCESS) {
		return 0;
	}
	uint32_t types = 0;
	for (uint32_t i = 0; i < type_count; i++) {
		uint32_t bit = UINT32_C(1) << i;
		if ((pointer.memoryTypeBits & bit) != 0 && imports_as(probe, i)) {
			types |= bit;
		}
	}
	return types;
}

static uint32_t probe_types(const struct neep_vk_physical_device *physical) {
	struct probe probe;
	if (create_probe_device(physical, &probe.device) != VK_SUCCESS) {
		return 0;
	}
	neep_vk_device_table_load(&probe.vk,
		neep_vk_device_loader(NEEP_VK_HANDLE(VkInstance, &physical->instance->base)), probe.device);
	uint32_t types = 0;
	probe.page = map_probe_page();
	if (probe.page != NULL) {
		types = importable_types(&probe, physical->memory.memoryTypeCount);
		munmap(probe.page, NEEP_VK_HOST_PAGE);
	}
	probe.vk.DestroyDevice(probe.device, NULL);
	return types;
}

// Larger steps than pages would have to be told to everyone who maps the memory. No driver is known to want them.
static bool takes_pages(const struct neep_vk_physical_device *physical) {
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &host,
	};
	VkPhysicalDevice handle = NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base);
	physical->instance->vk.GetPhysicalDeviceProperties2(handle, &properties);
	return host.minImportedHostPointerAlignment <= NEEP_VK_HOST_PAGE;
}

static uint64_t least(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

/* Programs allocate what a heap is said to have: more than they may is no use to them, nor more than they can map where that is what
 * the heap is for. */
static void limit_heaps(VkPhysicalDeviceMemoryProperties *memory, const struct neep_vk_limits *limits) {
	for (uint32_t i = 0; i < memory->memoryHeapCount && i < VK_MAX_MEMORY_HEAPS; i++) {
		memory->memoryHeaps[i].size = least(memory->memoryHeaps[i].size, limits->memory_bytes);
	}
	for (uint32_t i = 0; i < memory->memoryTypeCount && i < VK_MAX_MEMORY_TYPES; i++) {
		const VkMemoryType *type = &memory->memoryTypes[i];
		if ((type->propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 &&
			type->heapIndex < VK_MAX_MEMORY_HEAPS) {
			VkMemoryHeap *heap = &memory->memoryHeaps[type->heapIndex];
			heap->size = least(heap->size, limits->mapped_bytes);
		}
	}
}

int neep_vk_memory_types_decide(
	struct neep_vk_physical_device *physical, const struct neep_vk_limits *limits) {
	if (!takes_pages(physical)) {
		return -ENOTSUP;
	}
	VkPhysicalDevice handle = NEEP_VK_HANDLE(VkPhysicalDevice, &physical->base);
	physical->instance->vk.GetPhysicalDeviceMemoryProperties(handle, &physical->memory);
	physical->importable_types = probe_types(physical);
	bool has_host_visible = false;
	for (uint32_t i = 0; i < physical->memory.memoryTypeCount && i < VK_MAX_MEMORY_TYPES; i++) {
		VkMemoryPropertyFlags *flags = &physical->memory.memoryTypes[i].propertyFlags;
		if ((*flags & HIDDEN_FLAGS) != 0) {
			physical->hidden_types |= UINT32_C(1) << i;
			*flags = 0;
		}
		if ((physical->importable_types & UINT32_C(1) << i) == 0 ||
			(*flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) == 0) {
			*flags &= ~(VkMemoryPropertyFlags)HOST_FLAGS;
		}
		bool is_host_visible = (*flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0;
		has_host_visible |= is_host_visible;
		physical->has_sparse |= *flags != 0 && !is_host_visible;
	}
	limit_heaps(&physical->memory, limits);
	return has_host_visible ? 0 : -ENOTSUP;
}

void neep_vk_GetPhysicalDeviceMemoryProperties(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkPhysicalDeviceMemoryProperties *pMemoryProperties) {
	(void)call;
	*pMemoryProperties = neep_vk_physical_device_from(physicalDevice)->memory;
}

void neep_vk_GetPhysicalDeviceMemoryProperties2(struct neep_vk_call *call,
	struct neep_vk_object *physicalDevice, VkPhysicalDeviceMemoryProperties2 *pMemoryProperties) {
	(void)call;
	// What is chained is the driver's to fill: budgets change.
	const struct neep_vk_physical_device *physical = neep_vk_physical_device_from(physicalDevice);
	physical->instance->vk.GetPhysicalDeviceMemoryProperties2(
		NEEP_VK_HANDLE(VkPhysicalDevice, physicalDevice), pMemoryProperties);
	pMemoryProperties->memoryProperties = physical->memory;
	VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = neep_vk_chain_find(
		pMemoryProperties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
	for (uint32_t i = 0; budget != NULL && i < physical->memory.memoryHeapCount; i++) {
		budget->heapBudget[i] = least(budget->heapBudget[i], physical->memory.memoryHeaps[i].size);
	}
}
