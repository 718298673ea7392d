#include <string.h>
#include <time.h>

#include "util/checked.h"
#include "util/clock.h"
#include "vulkan/call.h"
#include "vulkan/device.h"
#include "vulkan/handlers_misc.h"
#include "vulkan/wait.h"

/* More than the results of one query take: 64-bit words, one for each pipeline statistic, and one that says whether it is there. */
#define MAX_QUERY_BYTES 256
/* How often a result that is waited for is looked for: at first, and later. */
#define POLL_FIRST_NS (20 * NEEP_NS_PER_US)
#define POLL_LAST_NS  NEEP_NS_PER_MS

struct query_waiter {
	struct neep_vk_waiter base;
	VkQueryPool pool;
	uint32_t first;
	uint32_t count;
	size_t size;
	void *data;
	VkDeviceSize stride;
	VkQueryResultFlags flags;
};

static VkResult get_results(struct query_waiter *waiter, VkQueryResultFlags flags) {
	struct neep_vk_device *device = waiter->base.device;
	return device->vk.GetQueryPoolResults(NEEP_VK_HANDLE(VkDevice, &device->base), waiter->pool,
		waiter->first, waiter->count, waiter->size, waiter->data, waiter->stride, flags);
}

/* Vulkan's own wait has no limit. */
static VkResult wait_results_slice(struct neep_vk_waiter *base, uint64_t timeout_ns) {
	struct query_waiter *waiter = neep_container_of(base, struct query_waiter, base);
	int64_t deadline = neep_clock_ns() + (int64_t)timeout_ns;
	struct timespec pause = { .tv_nsec = POLL_FIRST_NS };
	VkResult result;
	while ((result = get_results(waiter, waiter->flags)) == VK_NOT_READY) {
		if (neep_clock_ns() >= deadline) {
			return VK_TIMEOUT;
		}
		nanosleep(&pause, NULL);
		pause.tv_nsec = pause.tv_nsec * 2 < POLL_LAST_NS ? pause.tv_nsec * 2 : POLL_LAST_NS;
	}
	return result;
}

/* The device may be gone afterwards. */
static VkResult wait_results(struct neep_vk_call *call, struct query_waiter *waiter) {
	waiter->flags &= ~(VkQueryResultFlags)(VK_QUERY_RESULT_WAIT_BIT | VK_QUERY_RESULT_PARTIAL_BIT);
	neep_vk_hold(call);
	neep_vk_call_end_turn(call);
	VkResult result = neep_vk_wait(&waiter->base, UINT64_MAX);
	neep_vk_let_go(call);
	return result;
}

/* Memory for all that the driver may write; false with the call failed. */
static bool make_room(struct neep_vk_call *call, struct query_waiter *waiter, size_t data_size) {
	uint64_t size;
	if (!neep_mul(waiter->stride, waiter->count, &size) || !neep_add(size, MAX_QUERY_BYTES, &size)) {
		neep_vk_call_fail(call, "%u results with a stride of %llu bytes", waiter->count,
			(unsigned long long)waiter->stride);
		return false;
	}
	waiter->size = size > data_size ? size : data_size;
	waiter->data = neep_vk_call_alloc(call, waiter->size, 1);
	return waiter->data != NULL;
}

VkResult neep_vk_GetQueryPoolResults(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *queryPool, uint32_t firstQuery, uint32_t queryCount, size_t dataSize,
	void *pData, VkDeviceSize stride, VkQueryResultFlags flags) {
	(void)device;
	struct query_waiter waiter = {
		.base = { .context = call->context, .device = call->device, .slice = wait_results_slice },
		.pool = NEEP_VK_HANDLE(VkQueryPool, queryPool),
		.first = firstQuery,
		.count = queryCount,
		.stride = stride,
		.flags = flags,
	};
	if (!make_room(call, &waiter, dataSize)) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	memcpy(waiter.data, pData, dataSize);
	VkResult result = (flags & VK_QUERY_RESULT_WAIT_BIT) != 0
				  ? wait_results(call, &waiter)
				  : neep_vk_device_told(call->device, get_results(&waiter, flags));
	memcpy(pData, waiter.data, dataSize);
	return result;
}

VkResult neep_vk_GetPipelineCacheData(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *pipelineCache, size_t *pDataSize, void *pData) {
	(void)device;
	if (pDataSize == NULL) {
		return VK_ERROR_UNKNOWN;
	}
	size_t room = *pDataSize;
	VkResult result = call->device->vk.GetPipelineCacheData(NEEP_VK_HANDLE(VkDevice, &call->device->base),
		NEEP_VK_HANDLE(VkPipelineCache, pipelineCache), pDataSize, pData);
	if (pData != NULL && *pDataSize > room) {
		*pDataSize = room;
	}
	return neep_vk_device_told(call->device, result);
}

/* NEEP_VK_NONE for what has no private data. */
static enum neep_vk_type type_of(VkObjectType type) {
	static const struct {
		VkObjectType vulkan;
		enum neep_vk_type ours;
	} types[] = {
		{ VK_OBJECT_TYPE_DEVICE, NEEP_VK_DEVICE },
		{ VK_OBJECT_TYPE_QUEUE, NEEP_VK_QUEUE },
		{ VK_OBJECT_TYPE_COMMAND_POOL, NEEP_VK_COMMAND_POOL },
		{ VK_OBJECT_TYPE_COMMAND_BUFFER, NEEP_VK_COMMAND_BUFFER },
		{ VK_OBJECT_TYPE_DEVICE_MEMORY, NEEP_VK_DEVICE_MEMORY },
		{ VK_OBJECT_TYPE_BUFFER, NEEP_VK_BUFFER },
		{ VK_OBJECT_TYPE_BUFFER_VIEW, NEEP_VK_BUFFER_VIEW },
		{ VK_OBJECT_TYPE_IMAGE, NEEP_VK_IMAGE },
		{ VK_OBJECT_TYPE_IMAGE_VIEW, NEEP_VK_IMAGE_VIEW },
		{ VK_OBJECT_TYPE_SAMPLER, NEEP_VK_SAMPLER },
		{ VK_OBJECT_TYPE_SAMPLER_YCBCR_CONVERSION, NEEP_VK_SAMPLER_YCBCR_CONVERSION },
		{ VK_OBJECT_TYPE_SHADER_MODULE, NEEP_VK_SHADER_MODULE },
		{ VK_OBJECT_TYPE_PIPELINE_CACHE, NEEP_VK_PIPELINE_CACHE },
		{ VK_OBJECT_TYPE_PIPELINE_LAYOUT, NEEP_VK_PIPELINE_LAYOUT },
		{ VK_OBJECT_TYPE_PIPELINE, NEEP_VK_PIPELINE },
		{ VK_OBJECT_TYPE_RENDER_PASS, NEEP_VK_RENDER_PASS },
		{ VK_OBJECT_TYPE_FRAMEBUFFER, NEEP_VK_FRAMEBUFFER },
		{ VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT, NEEP_VK_DESCRIPTOR_SET_LAYOUT },
		{ VK_OBJECT_TYPE_DESCRIPTOR_POOL, NEEP_VK_DESCRIPTOR_POOL },
		{ VK_OBJECT_TYPE_DESCRIPTOR_SET, NEEP_VK_DESCRIPTOR_SET },
		{ VK_OBJECT_TYPE_FENCE, NEEP_VK_FENCE },
		{ VK_OBJECT_TYPE_SEMAPHORE, NEEP_VK_SEMAPHORE },
		{ VK_OBJECT_TYPE_EVENT, NEEP_VK_EVENT },
		{ VK_OBJECT_TYPE_QUERY_POOL, NEEP_VK_QUERY_POOL },
		{ VK_OBJECT_TYPE_PRIVATE_DATA_SLOT, NEEP_VK_PRIVATE_DATA_SLOT },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(types); i++) {
		if (types[i].vulkan == type) {
			return types[i].ours;
		}
	}
	return NEEP_VK_NONE;
}

/* The driver's handle; 0 for what is no such object of the device. */
static uint64_t handle_of(struct neep_vk_call *call, VkObjectType type, uint64_t id) {
	struct neep_vk_object *object = neep_vk_object_find(neep_vk_call_table(call), id, type_of(type));
	return object != NULL && object->device == call->device ? object->handle : 0;
}

VkResult neep_vk_SetPrivateData(struct neep_vk_call *call, struct neep_vk_object *device,
	VkObjectType objectType, uint64_t objectHandle, struct neep_vk_object *privateDataSlot,
	uint64_t data) {
	(void)device;
	uint64_t handle = handle_of(call, objectType, objectHandle);
	if (handle == 0 || call->device->vk.SetPrivateData == NULL) {
		return VK_ERROR_UNKNOWN;
	}
	return call->device->vk.SetPrivateData(NEEP_VK_HANDLE(VkDevice, &call->device->base), objectType,
		handle, NEEP_VK_HANDLE(VkPrivateDataSlot, privateDataSlot), data);
}

void neep_vk_GetPrivateData(struct neep_vk_call *call, struct neep_vk_object *device, VkObjectType objectType,
	uint64_t objectHandle, struct neep_vk_object *privateDataSlot, uint64_t *pData) {
	(void)device;
	uint64_t handle = handle_of(call, objectType, objectHandle);
	if (handle != 0 && call->device->vk.GetPrivateData != NULL) {
		call->device->vk.GetPrivateData(NEEP_VK_HANDLE(VkDevice, &call->device->base), objectType,
			handle, NEEP_VK_HANDLE(VkPrivateDataSlot, privateDataSlot), pData);
	}
}

VkResult neep_vk_GetPipelineExecutableInternalRepresentationsKHR(struct neep_vk_call *call,
	struct neep_vk_object *device, const VkPipelineExecutableInfoKHR *pExecutableInfo,
	uint32_t *pInternalRepresentationCount,
	VkPipelineExecutableInternalRepresentationKHR *pInternalRepresentations) {
	(void)device;
	if (pInternalRepresentationCount == NULL ||
		call->device->vk.GetPipelineExecutableInternalRepresentationsKHR == NULL) {
		return VK_ERROR_UNKNOWN;
	}
	uint32_t count = pInternalRepresentations != NULL ? *pInternalRepresentationCount : 0;
	size_t *rooms = neep_vk_call_alloc(call, count, sizeof(*rooms));
	for (uint32_t i = 0; rooms != NULL && i < count; i++) {
		rooms[i] = pInternalRepresentations[i].dataSize;
	}
	VkResult result = call->device->vk.GetPipelineExecutableInternalRepresentationsKHR(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), pExecutableInfo, pInternalRepresentationCount,
		pInternalRepresentations);
	for (uint32_t i = 0; rooms != NULL && i < count; i++) {
		if (pInternalRepresentations[i].pData != NULL &&
			pInternalRepresentations[i].dataSize > rooms[i]) {
			pInternalRepresentations[i].dataSize = rooms[i];
		}
	}
	return neep_vk_device_told(call->device, result);
}
