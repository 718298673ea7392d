#include "vkb.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAMILIES_MAX 16
#define WAIT_NS      UINT64_C(60000000000)

void vkb_die(const char *format, ...) {
	va_list args;
	va_start(args, format);
	fputs("neep-bench-vulkan: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void vkb_check(VkResult result, const char *what) {
	if (result < 0) {
		vkb_die("%s: VkResult %d", what, (int)result);
	}
}

int64_t vkb_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- device ---- */

static bool find_family(VkPhysicalDevice physical, uint32_t *family) {
	VkQueueFamilyProperties families[FAMILIES_MAX];
	uint32_t count = FAMILIES_MAX;
	vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		VkQueueFlags wanted = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
		if ((families[i].queueFlags & wanted) == wanted) {
			*family = i;
			return true;
		}
	}
	return false;
}

static void find_physical(struct vkb *vkb) {
	VkPhysicalDevice devices[8];
	uint32_t count = sizeof(devices) / sizeof(*devices);
	vkb_check(vkEnumeratePhysicalDevices(vkb->instance, &count, devices), "vkEnumeratePhysicalDevices");
	for (uint32_t i = 0; i < count; i++) {
		if (find_family(devices[i], &vkb->queue_family)) {
			vkb->physical = devices[i];
			vkGetPhysicalDeviceProperties(devices[i], &vkb->properties);
			vkGetPhysicalDeviceMemoryProperties(devices[i], &vkb->memory);
			return;
		}
	}
	vkb_die("no Vulkan device with a queue for graphics and compute");
}

static void create_device(struct vkb *vkb) {
	float priority = 1;
	VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = vkb->queue_family,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	vkb_check(vkCreateDevice(vkb->physical, &info, NULL, &vkb->device), "vkCreateDevice");
	vkGetDeviceQueue(vkb->device, vkb->queue_family, 0, &vkb->queue);
}

void vkb_open(struct vkb *vkb) {
	VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_1,
	};
	VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	*vkb = (struct vkb){ 0 };
	vkb_check(vkCreateInstance(&info, NULL, &vkb->instance), "vkCreateInstance");
	find_physical(vkb);
	create_device(vkb);
	vkb->pool = vkb_pool_create(vkb);
}

void vkb_close(struct vkb *vkb) {
	vkDestroyCommandPool(vkb->device, vkb->pool, NULL);
	vkDestroyDevice(vkb->device, NULL);
	vkDestroyInstance(vkb->instance, NULL);
}

/* ---- memory ---- */

static VkDeviceMemory allocate(
	struct vkb *vkb, const VkMemoryRequirements *needs, VkMemoryPropertyFlags wanted) {
	VkDeviceMemory memory = VK_NULL_HANDLE;
	for (uint32_t i = 0; i < vkb->memory.memoryTypeCount && memory == VK_NULL_HANDLE; i++) {
		VkMemoryPropertyFlags flags = vkb->memory.memoryTypes[i].propertyFlags;
		if ((needs->memoryTypeBits >> i & 1) != 0 && (flags & wanted) == wanted) {
			VkMemoryAllocateInfo info = {
				.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
				.allocationSize = needs->size,
				.memoryTypeIndex = i,
			};
			if (vkAllocateMemory(vkb->device, &info, NULL, &memory) < 0) {
				memory = VK_NULL_HANDLE;
			}
		}
	}
	return memory;
}

void vkb_buffer_create(struct vkb *vkb, const struct vkb_buffer_params *params, struct vkb_buffer *buffer) {
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = params->size,
		.usage = params->usage,
	};
	VkMemoryRequirements needs;
	*buffer = (struct vkb_buffer){ .size = params->size };
	vkb_check(vkCreateBuffer(vkb->device, &info, NULL, &buffer->buffer), "vkCreateBuffer");
	vkGetBufferMemoryRequirements(vkb->device, buffer->buffer, &needs);
	buffer->memory = allocate(vkb, &needs,
		params->is_host_visible
			? VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
			: VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	if (buffer->memory == VK_NULL_HANDLE) {
		vkb_die("no memory for a buffer of %llu bytes", (unsigned long long)params->size);
	}
	vkb_check(vkBindBufferMemory(vkb->device, buffer->buffer, buffer->memory, 0), "vkBindBufferMemory");
	if (params->is_host_visible) {
		vkb_check(vkMapMemory(vkb->device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->ptr),
			"vkMapMemory");
	}
}

void vkb_buffer_create_with(
	struct vkb *vkb, VkBufferUsageFlags usage, const void *data, size_t size, struct vkb_buffer *buffer) {
	struct vkb_buffer_params params = { .size = size, .usage = usage, .is_host_visible = true };
	vkb_buffer_create(vkb, &params, buffer);
	memcpy(buffer->ptr, data, size);
}

void vkb_buffer_destroy(struct vkb *vkb, struct vkb_buffer *buffer) {
	vkDestroyBuffer(vkb->device, buffer->buffer, NULL);
	vkFreeMemory(vkb->device, buffer->memory, NULL);
}

static void create_view(struct vkb *vkb, VkFormat format, struct vkb_image *image) {
	VkImageViewCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = image->image,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = format,
		.subresourceRange = { .aspectMask = format == VK_FORMAT_D32_SFLOAT
							    ? VK_IMAGE_ASPECT_DEPTH_BIT
							    : VK_IMAGE_ASPECT_COLOR_BIT,
			.levelCount = 1,
			.layerCount = 1 },
	};
	vkb_check(vkCreateImageView(vkb->device, &info, NULL, &image->view), "vkCreateImageView");
}

void vkb_image_create(struct vkb *vkb, VkFormat format, VkImageUsageFlags usage, struct vkb_image *image) {
	VkImageCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = format,
		.extent = { VKB_TARGET_SIZE, VKB_TARGET_SIZE, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = usage,
	};
	VkMemoryRequirements needs;
	vkb_check(vkCreateImage(vkb->device, &info, NULL, &image->image), "vkCreateImage");
	vkGetImageMemoryRequirements(vkb->device, image->image, &needs);
	image->memory = allocate(vkb, &needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	if (image->memory == VK_NULL_HANDLE) {
		vkb_die("no memory for an image");
	}
	vkb_check(vkBindImageMemory(vkb->device, image->image, image->memory, 0), "vkBindImageMemory");
	create_view(vkb, format, image);
}

void vkb_image_destroy(struct vkb *vkb, struct vkb_image *image) {
	vkDestroyImageView(vkb->device, image->view, NULL);
	vkDestroyImage(vkb->device, image->image, NULL);
	vkFreeMemory(vkb->device, image->memory, NULL);
}

/* ---- commands ---- */

VkCommandPool vkb_pool_create(struct vkb *vkb) {
	VkCommandPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = vkb->queue_family,
	};
	VkCommandPool pool;
	vkb_check(vkCreateCommandPool(vkb->device, &info, NULL, &pool), "vkCreateCommandPool");
	return pool;
}

VkCommandBuffer vkb_commands_allocate(struct vkb *vkb, VkCommandPool pool) {
	VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = pool,
		.commandBufferCount = 1,
	};
	VkCommandBuffer commands;
	vkb_check(vkAllocateCommandBuffers(vkb->device, &info, &commands), "vkAllocateCommandBuffers");
	return commands;
}

void vkb_commands_begin(VkCommandBuffer commands) {
	VkCommandBufferBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	vkb_check(vkBeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
}

void vkb_commands_end(VkCommandBuffer commands) {
	vkb_check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
}

VkFence vkb_fence_create(struct vkb *vkb, bool is_signaled) {
	VkFenceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO,
		.flags = is_signaled ? VK_FENCE_CREATE_SIGNALED_BIT : 0,
	};
	VkFence fence;
	vkb_check(vkCreateFence(vkb->device, &info, NULL, &fence), "vkCreateFence");
	return fence;
}

void vkb_fence_wait(struct vkb *vkb, VkFence fence) {
	VkResult result = vkWaitForFences(vkb->device, 1, &fence, VK_TRUE, WAIT_NS);
	if (result != VK_SUCCESS) {
		vkb_die("vkWaitForFences: VkResult %d", (int)result);
	}
}

void vkb_submit(struct vkb *vkb, VkCommandBuffer commands, VkFence fence) {
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = commands != VK_NULL_HANDLE,
		.pCommandBuffers = &commands,
	};
	vkb_check(vkQueueSubmit(vkb->queue, 1, &info, fence), "vkQueueSubmit");
}

VkCommandBuffer vkb_once_begin(struct vkb *vkb) {
	VkCommandBuffer commands = vkb_commands_allocate(vkb, vkb->pool);
	vkb_commands_begin(commands);
	return commands;
}

void vkb_once_end(struct vkb *vkb, VkCommandBuffer commands) {
	VkFence fence = vkb_fence_create(vkb, false);
	vkb_commands_end(commands);
	vkb_submit(vkb, commands, fence);
	vkb_fence_wait(vkb, fence);
	vkDestroyFence(vkb->device, fence, NULL);
	vkFreeCommandBuffers(vkb->device, vkb->pool, 1, &commands);
}
