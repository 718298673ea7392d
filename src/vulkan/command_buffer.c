#include "vulkan/command_buffer.h"

#include <errno.h>
#include <stdlib.h>

#include "vulkan/context.h"
#include "vulkan/decoder.h"
#include "vulkan/device.h"
#include "vulkan/handlers_command_buffer.h"
#include "vulkan/marshal.h"
#include "vulkan/recorder.h"
#include "vulkan/wait.h"

void neep_vk_recordings_init(struct neep_vk_recordings *recordings) {
	pthread_mutex_init(&recordings->lock, NULL);
	pthread_cond_init(&recordings->ended, NULL);
	neep_list_init(&recordings->running);
	atomic_init(&recordings->count, 0);
}

void neep_vk_recordings_finish(struct neep_vk_recordings *recordings) {
	pthread_cond_destroy(&recordings->ended);
	pthread_mutex_destroy(&recordings->lock);
}

static uint32_t seqno_of(struct neep_vk_call *call) {
	return neep_vk_load32(neep_vk_decoder_of(call)->packet + NEEP_VK_PACKET_SEQNO);
}

static bool is_running_locked(
	struct neep_vk_recordings *recordings, VkCommandBuffer command_buffer, uint32_t seqno) {
	neep_list_for_each (recording, &recordings->running, struct neep_vk_recording, link) {
		if (recording->command_buffer == command_buffer && (int32_t)(recording->seqno - seqno) < 0) {
			return true;
		}
	}
	return false;
}

void neep_vk_recordings_settle(struct neep_vk_call *call, VkCommandBuffer command_buffer) {
	struct neep_vk_recordings *recordings = &call->context->recordings;
	/* Whoever records began with a turn before that of the caller. */
	if (atomic_load(&recordings->count) == 0) {
		return;
	}
	uint32_t seqno = seqno_of(call);
	pthread_mutex_lock(&recordings->lock);
	/* What comes behind a late submission may be left to the thread that makes it. */
	while (is_running_locked(recordings, command_buffer, seqno)) {
		pthread_cond_wait(&recordings->ended, &recordings->lock);
	}
	pthread_mutex_unlock(&recordings->lock);
}

void neep_vk_recordings_begin(struct neep_vk_recordings *recordings, struct neep_vk_recording *recording,
	const struct neep_vk_object *command_buffer, uint32_t seqno) {
	recording->command_buffer = NEEP_VK_HANDLE(VkCommandBuffer, command_buffer);
	recording->seqno = seqno;
	pthread_mutex_lock(&recordings->lock);
	neep_list_append(&recordings->running, &recording->link);
	atomic_fetch_add(&recordings->count, 1);
	pthread_mutex_unlock(&recordings->lock);
}

void neep_vk_recordings_end(struct neep_vk_recordings *recordings, struct neep_vk_recording *recording) {
	pthread_mutex_lock(&recordings->lock);
	neep_list_remove(&recording->link);
	atomic_fetch_sub(&recordings->count, 1);
	pthread_cond_broadcast(&recordings->ended);
	pthread_mutex_unlock(&recordings->lock);
}

static struct neep_vk_command_pool *pool_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_command_pool, base);
}

static struct neep_vk_command_buffer *command_buffer_from(struct neep_vk_object *object) {
	return neep_container_of(object, struct neep_vk_command_buffer, base);
}

static VkCommandPool pool_handle(const struct neep_vk_command_pool *pool) {
	return (VkCommandPool)pool->base.handle;
}

static void release_pool(struct neep_vk_object *object) {
	object->device->vk.DestroyCommandPool(
		NEEP_VK_HANDLE(VkDevice, &object->device->base), NEEP_VK_HANDLE(VkCommandPool, object), NULL);
}

static void dispose_pool(struct neep_vk_object *object) {
	pthread_mutex_destroy(&pool_from(object)->lock);
	free(pool_from(object));
}

static int32_t add_pool(
	struct neep_vk_call *call, struct neep_vk_object *device, VkCommandPool handle, uint64_t *id) {
	struct neep_vk_command_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pool->base.dispose = dispose_pool;
	struct neep_vk_object_params params = {
		.type = NEEP_VK_COMMAND_POOL,
		.handle = NEEP_VK_RAW(handle),
		.parent = device,
		.release = release_pool,
	};
	if (neep_vk_object_add(neep_vk_call_table(call), &pool->base, &params) < 0) {
		dispose_pool(&pool->base);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*id = pool->base.id;
	return VK_SUCCESS;
}

VkResult neep_vk_CreateCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkCommandPoolCreateInfo *pCreateInfo, uint64_t *pCommandPool) {
	VkCommandPoolCreateInfo info = *pCreateInfo;
	info.flags |= VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &call->device->base);
	VkCommandPool pool;
	VkResult result = call->device->vk.CreateCommandPool(handle, &info, NULL, &pool);
	if (result != VK_SUCCESS) {
		return neep_vk_device_told(call->device, result);
	}
	result = add_pool(call, device, pool, pCommandPool);
	if (result != VK_SUCCESS) {
		call->device->vk.DestroyCommandPool(handle, pool, NULL);
	}
	return result;
}

VkResult neep_vk_ResetCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, VkCommandPoolResetFlags flags) {
	struct neep_vk_command_pool *pool = pool_from(commandPool);
	(void)device;
	pthread_mutex_lock(&pool->lock);
	VkResult result = call->device->vk.ResetCommandPool(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), pool_handle(pool), flags);
	pthread_mutex_unlock(&pool->lock);
	return neep_vk_device_told(call->device, result);
}

void neep_vk_TrimCommandPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, VkCommandPoolTrimFlags flags) {
	struct neep_vk_command_pool *pool = pool_from(commandPool);
	(void)device;
	pthread_mutex_lock(&pool->lock);
	call->device->vk.TrimCommandPool(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), pool_handle(pool), flags);
	pthread_mutex_unlock(&pool->lock);
}

static void free_command_buffers(
	struct neep_vk_command_pool *pool, uint32_t count, const VkCommandBuffer *command_buffers) {
	struct neep_vk_device *device = pool->base.device;
	pthread_mutex_lock(&pool->lock);
	device->vk.FreeCommandBuffers(
		NEEP_VK_HANDLE(VkDevice, &device->base), pool_handle(pool), count, command_buffers);
	pthread_mutex_unlock(&pool->lock);
}

static void release_command_buffer(struct neep_vk_object *object) {
	VkCommandBuffer handle = NEEP_VK_HANDLE(VkCommandBuffer, object);
	free_command_buffers(pool_from(object->parent), 1, &handle);
}

/* Adds one; on failure the driver's stays the caller's. */
static int add_command_buffer(struct neep_vk_call *call, struct neep_vk_command_pool *pool,
	VkCommandBufferLevel level, VkCommandBuffer handle, uint64_t *id) {
	struct neep_vk_command_buffer *command_buffer = calloc(1, sizeof(*command_buffer));
	if (command_buffer == NULL) {
		return -ENOMEM;
	}
	command_buffer->level = level;
	struct neep_vk_object_params params = {
		.type = NEEP_VK_COMMAND_BUFFER,
		.handle = NEEP_VK_RAW(handle),
		.parent = &pool->base,
		.release = release_command_buffer,
	};
	int ret = neep_vk_object_add(neep_vk_call_table(call), &command_buffer->base, &params);
	if (ret < 0) {
		free(command_buffer);
		return ret;
	}
	*id = command_buffer->base.id;
	return 0;
}

static VkResult add_command_buffers(struct neep_vk_call *call, struct neep_vk_command_pool *pool,
	const VkCommandBufferAllocateInfo *info, const VkCommandBuffer *handles, uint64_t *ids) {
	struct neep_vk_table *table = neep_vk_call_table(call);
	for (uint32_t i = 0; i < info->commandBufferCount; i++) {
		if (add_command_buffer(call, pool, info->level, handles[i], &ids[i]) == 0) {
			continue;
		}
		free_command_buffers(pool, info->commandBufferCount - i, handles + i);
		while (i-- > 0) {
			neep_vk_object_destroy(
				table, neep_vk_object_find(table, ids[i], NEEP_VK_COMMAND_BUFFER));
		}
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	return VK_SUCCESS;
}

VkResult neep_vk_AllocateCommandBuffers(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkCommandBufferAllocateInfo *pAllocateInfo, uint64_t *pCommandBuffers) {
	(void)device;
	struct neep_vk_object *object =
		neep_vk_call_find(call, NEEP_VK_COMMAND_POOL, NEEP_VK_RAW(pAllocateInfo->commandPool));
	VkCommandBuffer *handles =
		neep_vk_call_alloc(call, pAllocateInfo->commandBufferCount, sizeof(VkCommandBuffer));
	if (object == NULL || handles == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	struct neep_vk_command_pool *pool = pool_from(object);
	pthread_mutex_lock(&pool->lock);
	VkResult result = call->device->vk.AllocateCommandBuffers(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), pAllocateInfo, handles);
	pthread_mutex_unlock(&pool->lock);
	if (result != VK_SUCCESS) {
		return neep_vk_device_told(call->device, result);
	}
	return add_command_buffers(call, pool, pAllocateInfo, handles, pCommandBuffers);
}

void neep_vk_FreeCommandBuffers(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *commandPool, uint32_t commandBufferCount,
	struct neep_vk_object *const *pCommandBuffers) {
	(void)device;
	if (pCommandBuffers == NULL) {
		return;
	}
	/* The array may name one twice: all live until it has been walked. */
	neep_vk_hold(call);
	for (uint32_t i = 0; i < commandBufferCount; i++) {
		if (pCommandBuffers[i] != NULL && pCommandBuffers[i]->parent == commandPool) {
			neep_vk_object_destroy(neep_vk_call_table(call), pCommandBuffers[i]);
		}
	}
	neep_vk_let_go(call);
}

struct neep_vk_object *neep_vk_flush_target(
	struct neep_vk_table *table, const uint8_t *packet, uint32_t len) {
	const uint8_t *p = packet + NEEP_VK_PACKET_HEADER;
	const struct neep_vk_object *queue = neep_vk_object_find(table, neep_vk_load64(p), NEEP_VK_QUEUE);
	struct neep_vk_object *target =
		neep_vk_object_find(table, neep_vk_load64(p + 8), NEEP_VK_COMMAND_BUFFER);
	bool is_right = queue != NULL && target != NULL && queue->device == target->device &&
			command_buffer_from(target)->level == VK_COMMAND_BUFFER_LEVEL_PRIMARY &&
			neep_vk_load64(p + 16) == len - NEEP_VK_FLUSH_HEADER;
	return is_right ? target : NULL;
}

void neep_vk_record(struct neep_vk_decoder *decoder, struct neep_vk_object *command_buffer,
	struct neep_vk_commands *commands) {
	struct neep_vk_command_pool *pool = pool_from(command_buffer->parent);
	pthread_mutex_lock(&pool->lock);
	neep_vk_decode_commands(decoder, command_buffer, commands);
	pthread_mutex_unlock(&pool->lock);
}

/* Whether a thread of the stream has taken it. */
static bool record_later(struct neep_vk_call *call, struct neep_vk_object *command_buffer,
	const struct neep_vk_commands *commands) {
	bool is_large = commands->len >= call->context->limits.late_bytes;
	struct neep_vk_recorder *recorder =
		call->stream != NULL ? neep_vk_stream_recorder(call->stream, is_large) : NULL;
	if (recorder == NULL) {
		return false;
	}
	/* Behind a large one comes a small one of the same command buffer. */
	if ((is_large || neep_vk_recorder_is_busy(recorder)) &&
		neep_vk_recorder_record(
			recorder, seqno_of(call), command_buffer, commands->bytes, commands->len)) {
		return true;
	}
	neep_vk_recorder_settle(recorder);
	return false;
}

static void record_without_turn(
	struct neep_vk_call *call, struct neep_vk_object *command_buffer, struct neep_vk_commands *commands) {
	struct neep_vk_recordings *recordings = &call->context->recordings;
	struct neep_vk_table *table = neep_vk_call_table(call);
	struct neep_vk_recording recording;
	neep_vk_recordings_begin(recordings, &recording, command_buffer, seqno_of(call));
	uint32_t epoch = neep_vk_table_enter(table);
	neep_vk_hold(call);
	neep_vk_call_end_turn(call);
	neep_vk_record(neep_vk_decoder_of(call), command_buffer, commands);
	neep_vk_table_leave(table, epoch);
	neep_vk_recordings_end(recordings, &recording);
	neep_vk_let_go(call);
}

void neep_vk_QueueFlushCommandsGOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	struct neep_vk_object *commandBuffer, VkDeviceSize dataSize, const void *pData) {
	struct neep_vk_commands commands = { .bytes = pData, .len = dataSize, .here = dataSize };
	(void)queue;
	if (commandBuffer == NULL) {
		neep_vk_call_fail(call, "no command buffer");
		return;
	}
	if (command_buffer_from(commandBuffer)->level != VK_COMMAND_BUFFER_LEVEL_PRIMARY) {
		neep_vk_call_settle(call);
		neep_vk_record(neep_vk_decoder_of(call), commandBuffer, &commands);
	} else if (!record_later(call, commandBuffer, &commands)) {
		record_without_turn(call, commandBuffer, &commands);
	}
}

void neep_vk_BeginCommandBufferAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *commandBuffer,
	const VkCommandBufferBeginInfo *pBeginInfo) {
	VkCommandBufferBeginInfo info = *pBeginInfo;
	if (command_buffer_from(commandBuffer)->level == VK_COMMAND_BUFFER_LEVEL_PRIMARY) {
		info.pInheritanceInfo = NULL;
	} else if (info.pInheritanceInfo == NULL) {
		neep_vk_call_fail(call, "a secondary command buffer that inherits nothing");
		return;
	}
	VkResult result =
		call->device->vk.BeginCommandBuffer(NEEP_VK_HANDLE(VkCommandBuffer, commandBuffer), &info);
	if (result < 0) {
		neep_vk_device_lose(call->device, call->command, result);
	}
}

void neep_vk_EndCommandBufferAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *commandBuffer) {
	VkResult result = call->device->vk.EndCommandBuffer(NEEP_VK_HANDLE(VkCommandBuffer, commandBuffer));
	if (result < 0) {
		neep_vk_device_lose(call->device, call->command, result);
	}
}
