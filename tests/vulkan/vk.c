#include "vk.h"

#include <string.h>

const char *vk_result_name(VkResult result) {
	static const struct {
		VkResult result;
		const char *name;
	} names[] = {
#define NAME(x) { x, #x }
		NAME(VK_SUCCESS),
		NAME(VK_NOT_READY),
		NAME(VK_TIMEOUT),
		NAME(VK_EVENT_SET),
		NAME(VK_EVENT_RESET),
		NAME(VK_INCOMPLETE),
		NAME(VK_ERROR_OUT_OF_HOST_MEMORY),
		NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY),
		NAME(VK_ERROR_INITIALIZATION_FAILED),
		NAME(VK_ERROR_DEVICE_LOST),
		NAME(VK_ERROR_MEMORY_MAP_FAILED),
		NAME(VK_ERROR_LAYER_NOT_PRESENT),
		NAME(VK_ERROR_EXTENSION_NOT_PRESENT),
		NAME(VK_ERROR_FEATURE_NOT_PRESENT),
		NAME(VK_ERROR_INCOMPATIBLE_DRIVER),
		NAME(VK_ERROR_TOO_MANY_OBJECTS),
		NAME(VK_ERROR_FORMAT_NOT_SUPPORTED),
		NAME(VK_ERROR_FRAGMENTED_POOL),
		NAME(VK_ERROR_OUT_OF_POOL_MEMORY),
		NAME(VK_ERROR_INVALID_EXTERNAL_HANDLE),
		NAME(VK_ERROR_FRAGMENTATION),
		NAME(VK_PIPELINE_COMPILE_REQUIRED),
#undef NAME
	};
	for (uint32_t i = 0; i < VK_COUNT(names); i++) {
		if (names[i].result == result) {
			return names[i].name;
		}
	}
	return "another VkResult";
}

void vk_check(VkResult result, const char *call, const char *file, int line) {
	if (result != VK_SUCCESS) {
		out_fail(file, line, "%s: %s (%d)", call, vk_result_name(result), result);
	}
}

static void choose_queue(struct vk *vk) {
	VkQueueFamilyProperties families[16];
	uint32_t count = VK_COUNT(families);
	vkGetPhysicalDeviceQueueFamilyProperties(vk->physical, &count, families);
	const VkQueueFlags needed = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
	for (uint32_t i = 0; i < count; i++) {
		if ((families[i].queueFlags & needed) == needed) {
			vk->queue_family = i;
			return;
		}
	}
	out_skip_all("no queue draws and computes");
}

void vk_open_instance(struct vk *vk) {
	vk_open_instance_with(vk, NULL, 0);
}

void vk_open_instance_with(struct vk *vk, const char *const *extensions, uint32_t count) {
	*vk = (struct vk){ 0 };
	vk_ok(vkCreateInstance(
		&(VkInstanceCreateInfo){
			.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
			.pApplicationInfo =
				&(VkApplicationInfo){
					.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					.pApplicationName = "neep test",
					.apiVersion = VK_API_VERSION_1_3,
				},
			.enabledExtensionCount = count,
			.ppEnabledExtensionNames = extensions,
		},
		NULL, &vk->instance));
	uint32_t devices = 1;
	VkResult result = vkEnumeratePhysicalDevices(vk->instance, &devices, &vk->physical);
	expect(result == VK_SUCCESS || result == VK_INCOMPLETE);
	if (devices == 0) {
		out_skip_all("there is no Vulkan device");
	}
	vkGetPhysicalDeviceProperties(vk->physical, &vk->properties);
	vkGetPhysicalDeviceMemoryProperties(vk->physical, &vk->memory);
	choose_queue(vk);
}

void vk_open_device(struct vk *vk, const struct vk_wants *wants) {
	const struct vk_wants nothing = { 0 };
	wants = wants != NULL ? wants : &nothing;
	vk_ok(vkCreateDevice(vk->physical,
		&(VkDeviceCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
			.pNext = wants->features,
			.queueCreateInfoCount = 1,
			.pQueueCreateInfos =
				&(VkDeviceQueueCreateInfo){
					.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					.queueFamilyIndex = vk->queue_family,
					.queueCount = 1,
					.pQueuePriorities = &(float){ 1 },
				},
			.enabledExtensionCount = wants->extension_count,
			.ppEnabledExtensionNames = wants->extensions,
		},
		NULL, &vk->device));
	vkGetDeviceQueue(vk->device, vk->queue_family, 0, &vk->queue);
	vk_ok(vkCreateCommandPool(vk->device,
		&(VkCommandPoolCreateInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
			.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
			.queueFamilyIndex = vk->queue_family,
		},
		NULL, &vk->pool));
}

void vk_open(struct vk *vk, const struct vk_wants *wants) {
	vk_open_instance(vk);
	vk_open_device(vk, wants);
}

void vk_close_device(struct vk *vk) {
	vkDestroyCommandPool(vk->device, vk->pool, NULL);
	vkDestroyDevice(vk->device, NULL);
}

void vk_close(struct vk *vk) {
	vk_close_device(vk);
	vkDestroyInstance(vk->instance, NULL);
}

bool vk_has_extension(const struct vk *vk, const char *name) {
	uint32_t count = 0;
	vk_ok(vkEnumerateDeviceExtensionProperties(vk->physical, NULL, &count, NULL));
	VkExtensionProperties *extensions = out_alloc(count, sizeof(*extensions));
	vk_ok(vkEnumerateDeviceExtensionProperties(vk->physical, NULL, &count, extensions));
	bool found = false;
	for (uint32_t i = 0; i < count; i++) {
		found = found || strcmp(extensions[i].extensionName, name) == 0;
	}
	free(extensions);
	return found;
}

uint32_t vk_find_memory(const struct vk *vk, uint32_t type_bits, VkMemoryPropertyFlags properties) {
	for (uint32_t i = 0; i < vk->memory.memoryTypeCount; i++) {
		if ((type_bits & (1u << i)) != 0 &&
			(vk->memory.memoryTypes[i].propertyFlags & properties) == properties) {
			return i;
		}
	}
	return UINT32_MAX;
}

static VkDeviceMemory allocate(
	const struct vk *vk, const VkMemoryRequirements *needs, VkMemoryPropertyFlags properties) {
	uint32_t type = vk_find_memory(vk, needs->memoryTypeBits, properties);
	expect(type != UINT32_MAX);
	VkDeviceMemory memory;
	vk_ok(vkAllocateMemory(vk->device,
		&(VkMemoryAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
			.allocationSize = needs->size,
			.memoryTypeIndex = type,
		},
		NULL, &memory));
	return memory;
}

static void create_buffer(const struct vk *vk, struct vk_buffer *buffer, VkBufferUsageFlags usage,
	VkMemoryPropertyFlags properties) {
	vk_ok(vkCreateBuffer(vk->device,
		&(VkBufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
			.size = buffer->size,
			.usage = usage,
		},
		NULL, &buffer->buffer));
	VkMemoryRequirements needs;
	vkGetBufferMemoryRequirements(vk->device, buffer->buffer, &needs);
	buffer->memory = allocate(vk, &needs, properties);
	vk_ok(vkBindBufferMemory(vk->device, buffer->buffer, buffer->memory, 0));
}

void vk_buffer_create(
	const struct vk *vk, struct vk_buffer *buffer, VkDeviceSize size, VkBufferUsageFlags usage) {
	*buffer = (struct vk_buffer){ .size = size };
	create_buffer(vk, buffer, usage,
		VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	vk_ok(vkMapMemory(vk->device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->map));
}

void vk_buffer_create_local(
	const struct vk *vk, struct vk_buffer *buffer, VkDeviceSize size, VkBufferUsageFlags usage) {
	*buffer = (struct vk_buffer){ .size = size };
	create_buffer(vk, buffer, usage, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
}

void vk_buffer_destroy(const struct vk *vk, struct vk_buffer *buffer) {
	vkDestroyBuffer(vk->device, buffer->buffer, NULL);
	vkFreeMemory(vk->device, buffer->memory, NULL);
}

static VkImageAspectFlags aspect_of(VkFormat format) {
	switch (format) {
	case VK_FORMAT_D16_UNORM:
	case VK_FORMAT_D32_SFLOAT:
		return VK_IMAGE_ASPECT_DEPTH_BIT;
	default:
		return VK_IMAGE_ASPECT_COLOR_BIT;
	}
}

static void create_view(const struct vk *vk, struct vk_image *image) {
	const VkImageUsageFlags viewed = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_STORAGE_BIT |
					 VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT |
					 VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT |
					 VK_IMAGE_USAGE_INPUT_ATTACHMENT_BIT;
	if ((image->usage & viewed) == 0) {
		return;
	}
	vk_ok(vkCreateImageView(vk->device,
		&(VkImageViewCreateInfo){
			.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
			.image = image->image,
			.viewType = image->layers > 1 ? VK_IMAGE_VIEW_TYPE_2D_ARRAY : VK_IMAGE_VIEW_TYPE_2D,
			.format = image->format,
			.subresourceRange = { image->aspect, 0, image->levels, 0, image->layers },
		},
		NULL, &image->view));
}

void vk_image_create(const struct vk *vk, struct vk_image *image) {
	image->levels = image->levels != 0 ? image->levels : 1;
	image->layers = image->layers != 0 ? image->layers : 1;
	image->samples = image->samples != 0 ? image->samples : VK_SAMPLE_COUNT_1_BIT;
	image->aspect = aspect_of(image->format);
	image->view = VK_NULL_HANDLE;
	vk_ok(vkCreateImage(vk->device,
		&(VkImageCreateInfo){
			.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
			.imageType = VK_IMAGE_TYPE_2D,
			.format = image->format,
			.extent = { image->width, image->height, 1 },
			.mipLevels = image->levels,
			.arrayLayers = image->layers,
			.samples = image->samples,
			.tiling = VK_IMAGE_TILING_OPTIMAL,
			.usage = image->usage,
		},
		NULL, &image->image));
	VkMemoryRequirements needs;
	vkGetImageMemoryRequirements(vk->device, image->image, &needs);
	image->memory = allocate(vk, &needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	vk_ok(vkBindImageMemory(vk->device, image->image, image->memory, 0));
	create_view(vk, image);
}

void vk_image_destroy(const struct vk *vk, struct vk_image *image) {
	vkDestroyImageView(vk->device, image->view, NULL);
	vkDestroyImage(vk->device, image->image, NULL);
	vkFreeMemory(vk->device, image->memory, NULL);
}

VkSemaphore vk_semaphore_create(const struct vk *vk, const void *next) {
	VkSemaphore semaphore;
	vk_ok(vkCreateSemaphore(vk->device,
		&(VkSemaphoreCreateInfo){ .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = next },
		NULL, &semaphore));
	return semaphore;
}

VkFence vk_fence_create(const struct vk *vk, const void *next) {
	VkFence fence;
	vk_ok(vkCreateFence(vk->device,
		&(VkFenceCreateInfo){ .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .pNext = next }, NULL,
		&fence));
	return fence;
}
