#include "vulkan/wait.h"

#include "util/clock.h"
#include "util/log.h"
#include "vulkan/context.h"
#include "vulkan/decoder.h"
#include "vulkan/vulkan.h"

/* How late the end of a context may be noticed. */
#define SLICE_NS (100 * NEEP_NS_PER_MS)

VkResult neep_vk_device_told(struct neep_vk_device *device, VkResult result) {
	if (result == VK_ERROR_DEVICE_LOST) {
		atomic_store(&device->is_lost, true);
	}
	return result >= 0 && atomic_load(&device->is_lost) ? VK_ERROR_DEVICE_LOST : result;
}

void neep_vk_device_lose(struct neep_vk_device *device, const char *command, VkResult result) {
	if (!atomic_exchange(&device->is_lost, true)) {
		neep_log("vulkan", NEEP_LOG_WARN, "%s failed with VkResult %d: the device counts as lost",
			command, result);
	}
}

void neep_vk_hold(struct neep_vk_call *call) {
	for (struct neep_vk_found *f = neep_vk_decoder_of(call)->found; f != NULL; f = f->next) {
		neep_vk_object_ref(f->object);
	}
}

void neep_vk_let_go(struct neep_vk_call *call) {
	for (struct neep_vk_found *f = neep_vk_decoder_of(call)->found; f != NULL; f = f->next) {
		neep_vk_object_unref(f->object);
	}
}

/* What is left of the timeout; no more than a slice. */
static uint64_t next_slice(int64_t start, uint64_t timeout_ns) {
	uint64_t passed = (uint64_t)(neep_clock_ns() - start);
	uint64_t left = passed < timeout_ns ? timeout_ns - passed : 0;
	return left < SLICE_NS ? left : SLICE_NS;
}

VkResult neep_vk_wait(struct neep_vk_waiter *waiter, uint64_t timeout_ns) {
	int64_t start = neep_clock_ns();
	uint64_t slice;
	VkResult result;
	do {
		if (atomic_load(&waiter->context->is_ending) || atomic_load(&waiter->device->is_lost)) {
			return VK_ERROR_DEVICE_LOST;
		}
		slice = next_slice(start, timeout_ns);
		result = waiter->slice(waiter, slice);
	} while (result == VK_TIMEOUT && slice == SLICE_NS);
	return neep_vk_device_told(waiter->device, result);
}

/* Makes a fence that is signalled when the queue has done all it was given. */
static VkResult mark_queue(struct neep_vk_object *queue, VkFence *fence) {
	static const VkFenceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	struct neep_vk_device *device = queue->device;
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &device->base);
	VkResult result = device->vk.CreateFence(handle, &info, NULL, fence);
	if (result != VK_SUCCESS) {
		return result;
	}
	result = device->vk.QueueSubmit(NEEP_VK_HANDLE(VkQueue, queue), 0, NULL, *fence);
	if (result != VK_SUCCESS) {
		device->vk.DestroyFence(handle, *fence, NULL);
	}
	return result;
}

struct queue_waiter {
	struct neep_vk_waiter base;
	VkFence *fences;
	uint32_t count;
};

static VkResult wait_queues_slice(struct neep_vk_waiter *base, uint64_t timeout_ns) {
	struct queue_waiter *waiter = neep_container_of(base, struct queue_waiter, base);
	return base->device->vk.WaitForFences(NEEP_VK_HANDLE(VkDevice, &base->device->base), waiter->count,
		waiter->fences, VK_TRUE, timeout_ns);
}

/* A fence that is not signalled may still be used: it stays until the device goes. */
static void destroy_fences(struct queue_waiter *waiter) {
	struct neep_vk_device *device = waiter->base.device;
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &device->base);
	for (uint32_t i = 0; i < waiter->count; i++) {
		if (device->vk.GetFenceStatus(handle, waiter->fences[i]) != VK_NOT_READY) {
			device->vk.DestroyFence(handle, waiter->fences[i], NULL);
		}
	}
}

VkResult neep_vk_wait_queues(
	struct neep_vk_call *call, struct neep_vk_object *const *queues, uint32_t count) {
	struct queue_waiter waiter = {
		.base = { .context = call->context, .device = call->device, .slice = wait_queues_slice },
		.fences = neep_vk_call_alloc(call, count, sizeof(VkFence)),
	};
	if (waiter.fences == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	VkResult result = neep_vk_device_told(call->device, VK_SUCCESS);
	while (result == VK_SUCCESS && waiter.count < count) {
		result = neep_vk_device_told(
			call->device, mark_queue(queues[waiter.count], &waiter.fences[waiter.count]));
		waiter.count += result == VK_SUCCESS;
	}
	neep_vk_hold(call);
	neep_vk_call_end_turn(call);
	if (result == VK_SUCCESS && count > 0) {
		result = neep_vk_wait(&waiter.base, UINT64_MAX);
	}
	destroy_fences(&waiter);
	neep_vk_let_go(call);
	return result;
}

bool neep_vk_drain_queue(struct neep_vk_object *queue, int64_t deadline) {
	struct neep_vk_device *device = queue->device;
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &device->base);
	VkFence fence;
	if (atomic_load(&device->is_lost) || mark_queue(queue, &fence) != VK_SUCCESS) {
		return true;
	}
	int64_t left = deadline - neep_clock_ns();
	VkResult result = device->vk.WaitForFences(handle, 1, &fence, VK_TRUE, left > 0 ? (uint64_t)left : 0);
	if (result == VK_TIMEOUT) {
		return false;
	}
	device->vk.DestroyFence(handle, fence, NULL);
	return true;
}

struct fence_waiter {
	struct neep_vk_waiter base;
	VkFence fence;
};

static VkResult wait_fence_slice(struct neep_vk_waiter *base, uint64_t timeout_ns) {
	struct fence_waiter *waiter = neep_container_of(base, struct fence_waiter, base);
	return base->device->vk.WaitForFences(
		NEEP_VK_HANDLE(VkDevice, &base->device->base), 1, &waiter->fence, VK_TRUE, timeout_ns);
}

void neep_vk_wait_fence(struct neep_vk_context *context, uint64_t device_id, uint64_t fence_id) {
	struct neep_vk_object *fence = neep_vk_object_get(context->table, fence_id, NEEP_VK_FENCE);
	if (fence == NULL) {
		return;
	}
	if (fence->device->base.id == device_id) {
		struct fence_waiter waiter = {
			.base = { .context = context, .device = fence->device, .slice = wait_fence_slice },
			.fence = NEEP_VK_HANDLE(VkFence, fence),
		};
		neep_vk_wait(&waiter.base, UINT64_MAX);
	}
	neep_vk_object_unref(fence);
}
