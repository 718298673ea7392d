#include <stdlib.h>

#include "vulkan/chain.h"
#include "vulkan/context.h"
#include "vulkan/device.h"
#include "vulkan/handlers_sync.h"
#include "vulkan/semaphore.h"
#include "vulkan/wait.h"

static void release_fence(struct neep_vk_object *object) {
	object->device->vk.DestroyFence(
		NEEP_VK_HANDLE(VkDevice, &object->device->base), NEEP_VK_HANDLE(VkFence, object), NULL);
}

VkResult neep_vk_CreateFence(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkFenceCreateInfo *pCreateInfo, uint64_t *pFence) {
	VkFenceCreateInfo info = *pCreateInfo;
	neep_vk_chain_remove(&info, VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO);
	VkFence fence;
	VkResult result = call->device->vk.CreateFence(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), &info, NULL, &fence);
	if (result != VK_SUCCESS) {
		return neep_vk_device_told(call->device, result);
	}
	struct neep_vk_object_params params = {
		.type = NEEP_VK_FENCE,
		.handle = NEEP_VK_RAW(fence),
		.parent = device,
		.release = release_fence,
	};
	return neep_vk_call_add(call, &params, pFence);
}

/* The driver's fences of an array, without NULLs. NULL with the call failed. */
static VkFence *fence_handles(
	struct neep_vk_call *call, uint32_t *count, struct neep_vk_object *const *fences) {
	VkFence *handles = neep_vk_call_alloc(call, *count, sizeof(*handles));
	uint32_t kept = 0;
	for (uint32_t i = 0; handles != NULL && i < *count; i++) {
		if (fences[i] != NULL) {
			handles[kept++] = NEEP_VK_HANDLE(VkFence, fences[i]);
		}
	}
	*count = kept;
	return handles;
}

VkResult neep_vk_ResetFences(struct neep_vk_call *call, struct neep_vk_object *device, uint32_t fenceCount,
	struct neep_vk_object *const *pFences) {
	(void)device;
	VkFence *fences = fence_handles(call, &fenceCount, pFences);
	if (fences == NULL || fenceCount == 0) {
		return VK_SUCCESS;
	}
	pthread_mutex_lock(&call->context->late.fence);
	VkResult result = call->device->vk.ResetFences(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), fenceCount, fences);
	pthread_mutex_unlock(&call->context->late.fence);
	return neep_vk_device_told(call->device, result);
}

VkResult neep_vk_GetFenceStatus(
	struct neep_vk_call *call, struct neep_vk_object *device, struct neep_vk_object *fence) {
	(void)device;
	return neep_vk_device_told(
		call->device, call->device->vk.GetFenceStatus(NEEP_VK_HANDLE(VkDevice, &call->device->base),
				      NEEP_VK_HANDLE(VkFence, fence)));
}

struct fences_waiter {
	struct neep_vk_waiter base;
	const VkFence *fences;
	uint32_t count;
	VkBool32 wait_all;
};

static VkResult wait_fences_slice(struct neep_vk_waiter *base, uint64_t timeout_ns) {
	struct fences_waiter *waiter = neep_container_of(base, struct fences_waiter, base);
	return base->device->vk.WaitForFences(NEEP_VK_HANDLE(VkDevice, &base->device->base), waiter->count,
		waiter->fences, waiter->wait_all, timeout_ns);
}

VkResult neep_vk_WaitForFences(struct neep_vk_call *call, struct neep_vk_object *device, uint32_t fenceCount,
	struct neep_vk_object *const *pFences, VkBool32 waitAll, uint64_t timeout) {
	(void)device;
	struct fences_waiter waiter = {
		.base = { .context = call->context, .device = call->device, .slice = wait_fences_slice },
		.fences = fence_handles(call, &fenceCount, pFences),
		.count = fenceCount,
		.wait_all = waitAll,
	};
	waiter.count = fenceCount;
	if (waiter.fences == NULL || fenceCount == 0) {
		return VK_SUCCESS;
	}
	neep_vk_hold(call);
	neep_vk_call_end_turn(call);
	VkResult result = neep_vk_wait(&waiter.base, timeout);
	neep_vk_let_go(call);
	return result;
}

static void release_semaphore(struct neep_vk_object *object) {
	object->device->vk.DestroySemaphore(
		NEEP_VK_HANDLE(VkDevice, &object->device->base), NEEP_VK_HANDLE(VkSemaphore, object), NULL);
}

static int32_t add_semaphore(
	struct neep_vk_call *call, const struct neep_vk_object_params *params, bool is_binary, uint64_t *id) {
	struct neep_vk_semaphore *semaphore = calloc(1, sizeof(*semaphore));
	if (semaphore == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	semaphore->is_binary = is_binary;
	if (neep_vk_object_add(neep_vk_call_table(call), &semaphore->base, params) < 0) {
		free(semaphore);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*id = semaphore->base.id;
	return VK_SUCCESS;
}

static bool asks_for_binary(const VkSemaphoreCreateInfo *info) {
	const VkSemaphoreTypeCreateInfo *type =
		neep_vk_chain_find(info, VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
	return type == NULL || type->semaphoreType == VK_SEMAPHORE_TYPE_BINARY;
}

VkResult neep_vk_CreateSemaphore(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreCreateInfo *pCreateInfo, uint64_t *pSemaphore) {
	VkSemaphoreCreateInfo info = *pCreateInfo;
	neep_vk_chain_remove(&info, VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO);
	VkDevice handle = NEEP_VK_HANDLE(VkDevice, &call->device->base);
	VkSemaphore semaphore;
	VkResult result = call->device->vk.CreateSemaphore(handle, &info, NULL, &semaphore);
	if (result != VK_SUCCESS) {
		return neep_vk_device_told(call->device, result);
	}
	struct neep_vk_object_params params = {
		.type = NEEP_VK_SEMAPHORE,
		.handle = NEEP_VK_RAW(semaphore),
		.parent = device,
		.release = release_semaphore,
	};
	result = add_semaphore(call, &params, asks_for_binary(&info), pSemaphore);
	if (result != VK_SUCCESS) {
		call->device->vk.DestroySemaphore(handle, semaphore, NULL);
	}
	return result;
}

struct semaphores_waiter {
	struct neep_vk_waiter base;
	const VkSemaphoreWaitInfo *info;
};

static VkResult wait_semaphores_slice(struct neep_vk_waiter *base, uint64_t timeout_ns) {
	struct semaphores_waiter *waiter = neep_container_of(base, struct semaphores_waiter, base);
	return base->device->vk.WaitSemaphores(
		NEEP_VK_HANDLE(VkDevice, &base->device->base), waiter->info, timeout_ns);
}

VkResult neep_vk_WaitSemaphores(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreWaitInfo *pWaitInfo, uint64_t timeout) {
	(void)device;
	struct semaphores_waiter waiter = {
		.base = { .context = call->context, .device = call->device, .slice = wait_semaphores_slice },
		.info = pWaitInfo,
	};
	if (call->device->vk.WaitSemaphores == NULL) {
		return VK_ERROR_EXTENSION_NOT_PRESENT;
	}
	neep_vk_hold(call);
	neep_vk_call_end_turn(call);
	VkResult result = neep_vk_wait(&waiter.base, timeout);
	neep_vk_let_go(call);
	return result;
}

VkResult neep_vk_GetSemaphoreCounterValue(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *semaphore, uint64_t *pValue) {
	(void)device;
	if (call->device->vk.GetSemaphoreCounterValue == NULL ||
		neep_vk_semaphore_from(semaphore)->is_binary) {
		return VK_ERROR_UNKNOWN;
	}
	return neep_vk_device_told(call->device,
		call->device->vk.GetSemaphoreCounterValue(NEEP_VK_HANDLE(VkDevice, &call->device->base),
			NEEP_VK_HANDLE(VkSemaphore, semaphore), pValue));
}

VkResult neep_vk_ImportSemaphoreFdKHR(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkImportSemaphoreFdInfoKHR *pImportSemaphoreFdInfo) {
	(void)call;
	(void)device;
	(void)pImportSemaphoreFdInfo;
	return VK_ERROR_INVALID_EXTERNAL_HANDLE;
}

VkResult neep_vk_GetSemaphoreFdKHR(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkSemaphoreGetFdInfoKHR *pGetFdInfo, int *pFd) {
	(void)call;
	(void)device;
	(void)pGetFdInfo;
	*pFd = -1;
	return VK_ERROR_TOO_MANY_OBJECTS;
}
