#include "vulkan_room/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/cmocka.h"
#include "util/fd.h"
#include "util/log.h"
#include "vulkan/context.h"
#include "vulkan/handlers_device.h"
#include "vulkan/handlers_image.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_memory.h"
#include "vulkan/loader.h"

static int publish_blob(struct neep_vk_host *host, uint64_t blob_id, uint64_t size, int fd) {
	struct rig *rig = neep_container_of(host, struct rig, host);
	if (rig->publish_error != 0) {
		return rig->publish_error;
	}
	assert_true(rig->blob_count < RIG_MAX);
	rig->blobs[rig->blob_count].blob_id = blob_id;
	rig->blobs[rig->blob_count].size = size;
	rig->blobs[rig->blob_count].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	rig->blob_count++;
	return 0;
}

static int find_resource(struct neep_vk_host *host, uint32_t resource_id, struct neep_vk_resource *resource) {
	struct rig *rig = neep_container_of(host, struct rig, host);
	for (size_t i = 0; i < rig->resource_count; i++) {
		if (rig->resources[i].id == resource_id) {
			resource->owned_fd = fcntl(rig->resources[i].fd, F_DUPFD_CLOEXEC, 0);
			resource->size = rig->resources[i].size;
			return 0;
		}
	}
	return -ENOENT;
}

static void lost(struct neep_vk_host *host, const char *reason) {
	(void)host;
	print_message("# lost: %s\n", reason);
}

static const struct neep_vk_host_impl host_impl = {
	.publish_blob = publish_blob,
	.find_resource = find_resource,
	.lost = lost,
};

struct neep_vk_call *rig_call(struct rig *rig) {
	neep_vk_arena_reset(&rig->decoder.arena);
	rig->decoder.call.is_failed = false;
	rig->decoder.call.command = "test";
	rig->decoder.call.device = neep_vk_device_from(rig->device);
	return &rig->decoder.call;
}

struct neep_vk_object *rig_find(struct rig *rig, uint64_t id, enum neep_vk_type type) {
	struct neep_vk_object *object = neep_vk_object_find(rig->context->table, id, type);
	assert_non_null(object);
	return object;
}

void rig_create(struct rig *rig, const struct neep_vk_limits *limits) {
	struct neep_error error = { 0 };
	*rig = (struct rig){ .host.impl = &host_impl };
	rig->context =
		neep_vk_context_create(&rig->host, limits != NULL ? limits : &neep_vk_default_limits, &error);
	assert_non_null(rig->context);
	const struct neep_vk_decoder_params params = {
		.context = rig->context,
		.table = rig->context->table,
		.arena_bytes = 1u << 20,
	};
	neep_vk_decoder_init(&rig->decoder, &params);
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	uint64_t id = 0;
	assert_int_equal(neep_vk_CreateInstance(rig_call(rig), &info, &id), VK_SUCCESS);
	rig->instance = rig_find(rig, id, NEEP_VK_INSTANCE);
	uint32_t count = 1;
	assert_int_equal(
		neep_vk_EnumeratePhysicalDevices(rig_call(rig), rig->instance, &count, &id), VK_SUCCESS);
	assert_int_equal(count, 1);
	rig->physical = rig_find(rig, id, NEEP_VK_PHYSICAL_DEVICE);
}

void rig_destroy(struct rig *rig) {
	neep_vk_decoder_finish(&rig->decoder);
	neep_vk_context_destroy(rig->context);
	for (size_t i = 0; i < rig->blob_count; i++) {
		neep_close_fd(&rig->blobs[i].fd);
	}
	for (size_t i = 0; i < rig->resource_count; i++) {
		neep_close_fd(&rig->resources[i].fd);
	}
}

void rig_start_device(struct rig *rig) {
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	uint64_t id = 0;
	assert_int_equal(neep_vk_CreateDevice(rig_call(rig), rig->physical, &info, &id), VK_SUCCESS);
	rig->device = rig_find(rig, id, NEEP_VK_DEVICE);
	neep_vk_GetDeviceQueue(rig_call(rig), rig->device, 0, 0, &id);
	rig->queue = NEEP_VK_HANDLE(VkQueue, rig_find(rig, id, NEEP_VK_QUEUE));
}

void rig_add_resource(struct rig *rig, uint32_t id, int fd, uint64_t size) {
	assert_true(rig->resource_count < RIG_MAX);
	rig->resources[rig->resource_count].id = id;
	rig->resources[rig->resource_count].size = size;
	rig->resources[rig->resource_count].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	rig->resource_count++;
}

uint32_t rig_host_visible_type(const struct rig *rig) {
	const VkPhysicalDeviceMemoryProperties *memory = &neep_vk_physical_device_from(rig->physical)->memory;
	uint32_t type = 0;
	while ((memory->memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0) {
		type++;
		assert_true(type < memory->memoryTypeCount);
	}
	return type;
}

struct neep_vk_object *rig_allocate_blob(struct rig *rig, uint64_t size, uint64_t blob_id, VkResult result) {
	VkCreateBlobGOOGLE blob = {
		.sType = VK_STRUCTURE_TYPE_CREATE_BLOB_GOOGLE,
		.blobMem = 2,
		.blobId = blob_id,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &blob,
		.allocationSize = size,
		.memoryTypeIndex = rig_host_visible_type(rig),
	};
	uint64_t id = 0;
	assert_int_equal(neep_vk_AllocateMemory(rig_call(rig), rig->device, &info, &id), result);
	if (result != VK_SUCCESS) {
		assert_int_equal(id, 0);
		return NULL;
	}
	return rig_find(rig, id, NEEP_VK_DEVICE_MEMORY);
}

VkBuffer rig_bind_buffer(struct rig *rig, struct neep_vk_object *memory, uint64_t size) {
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	uint64_t id = 0;
	VkMemoryRequirements requirements;
	assert_int_equal(neep_vk_CreateBufferWithRequirementsGOOGLE(
				 rig_call(rig), rig->device, &info, &id, &requirements),
		VK_SUCCESS);
	assert_true(requirements.size >= size);
	VkBuffer buffer = NEEP_VK_HANDLE(VkBuffer, rig_find(rig, id, NEEP_VK_BUFFER));
	assert_int_equal(neep_vk_device_from(rig->device)
				 ->vk.BindBufferMemory(NEEP_VK_HANDLE(VkDevice, rig->device), buffer,
					 NEEP_VK_HANDLE(VkDeviceMemory, memory), 0),
		VK_SUCCESS);
	return buffer;
}

static VkCommandBuffer allocate_commands(struct rig *rig, VkCommandPool *pool) {
	const struct neep_vk_device_table *vk = &neep_vk_device_from(rig->device)->vk;
	VkDevice device = NEEP_VK_HANDLE(VkDevice, rig->device);
	const VkCommandPoolCreateInfo pool_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	assert_int_equal(vk->CreateCommandPool(device, &pool_info, NULL, pool), VK_SUCCESS);
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = *pool,
		.commandBufferCount = 1,
	};
	VkCommandBuffer commands;
	assert_int_equal(vk->AllocateCommandBuffers(device, &info, &commands), VK_SUCCESS);
	return commands;
}

void rig_submit(struct rig *rig, rig_record record, void *data) {
	const struct neep_vk_device_table *vk = &neep_vk_device_from(rig->device)->vk;
	VkDevice device = NEEP_VK_HANDLE(VkDevice, rig->device);
	VkCommandPool pool;
	VkCommandBuffer commands = allocate_commands(rig, &pool);
	const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	assert_int_equal(vk->BeginCommandBuffer(commands, &begin), VK_SUCCESS);
	record(vk, commands, data);
	const VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT,
	};
	vk->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
		&barrier, 0, NULL, 0, NULL);
	assert_int_equal(vk->EndCommandBuffer(commands), VK_SUCCESS);
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands,
	};
	assert_int_equal(vk->QueueSubmit(rig->queue, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
	assert_int_equal(vk->QueueWaitIdle(rig->queue), VK_SUCCESS);
	vk->DestroyCommandPool(device, pool, NULL);
}

struct fill {
	VkBuffer buffer;
	uint64_t size;
	uint32_t word;
};

static void record_fill(const struct neep_vk_device_table *vk, VkCommandBuffer commands, void *data) {
	const struct fill *fill = data;
	vk->CmdFillBuffer(commands, fill->buffer, 0, fill->size, fill->word);
}

void rig_fill(struct rig *rig, VkBuffer buffer, uint64_t size, uint32_t word) {
	rig_submit(rig, record_fill, &(struct fill){ .buffer = buffer, .size = size, .word = word });
}

bool rig_fd_holds(int fd, uint64_t size, uint32_t word) {
	const uint32_t *words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(words, MAP_FAILED);
	size_t count = 0;
	while (count < size / sizeof(word) && words[count] == word) {
		count++;
	}
	munmap((void *)(uintptr_t)words, size);
	return count == size / sizeof(word);
}
