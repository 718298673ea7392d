#include <string.h>

#include "vulkan/chain.h"
#include "vulkan/context.h"
#include "vulkan/decoder.h"
#include "vulkan/device.h"
#include "vulkan/handlers_queue.h"
#include "vulkan/recorder.h"
#include "vulkan/semaphore.h"
#include "vulkan/wait.h"

/* NULL for a timeline semaphore. */
static struct neep_vk_semaphore *find_binary(struct neep_vk_call *call, VkSemaphore handle) {
	struct neep_vk_object *object = neep_vk_call_find(call, NEEP_VK_SEMAPHORE, NEEP_VK_RAW(handle));
	struct neep_vk_semaphore *semaphore = object != NULL ? neep_vk_semaphore_from(object) : NULL;
	return semaphore != NULL && semaphore->is_binary ? semaphore : NULL;
}

static void set_signalled(struct neep_vk_call *call, VkSemaphore handle, bool is_signalled) {
	struct neep_vk_semaphore *semaphore = find_binary(call, handle);
	if (semaphore != NULL) {
		semaphore->is_signalled = is_signalled;
	}
}

static void set_all_signalled(
	struct neep_vk_call *call, uint32_t count, const VkSemaphore *handles, bool is_signalled) {
	for (uint32_t i = 0; i < count; i++) {
		set_signalled(call, handles[i], is_signalled);
	}
}

/* Whether it is one that the guest puts before a submission that waits for imported sync files. */
static bool only_signals(uint32_t count, const VkSubmitInfo *submit, const struct neep_vk_object *fence) {
	return count == 1 && fence == NULL && submit->pNext == NULL && submit->waitSemaphoreCount == 0 &&
	       submit->commandBufferCount == 0;
}

/* Leaves out the semaphores that are signalled already: a semaphore that came back as a sync file has been signalled by us before,
 * and Vulkan forbids to do it twice. False when nothing is left to do. */
static bool leave_out_signalled(struct neep_vk_call *call, VkSubmitInfo *submit) {
	VkSemaphore *kept = neep_vk_call_alloc(call, submit->signalSemaphoreCount, sizeof(*kept));
	uint32_t count = 0;
	for (uint32_t i = 0; kept != NULL && i < submit->signalSemaphoreCount; i++) {
		struct neep_vk_semaphore *semaphore = find_binary(call, submit->pSignalSemaphores[i]);
		if (semaphore == NULL || !semaphore->is_signalled) {
			kept[count++] = submit->pSignalSemaphores[i];
		}
	}
	submit->signalSemaphoreCount = count;
	submit->pSignalSemaphores = kept;
	return count > 0;
}

/* Drivers read a value for each semaphore, however many the guest has sent. */
static void pad_values(
	struct neep_vk_call *call, uint32_t semaphores, uint32_t *count, const uint64_t **values) {
	if (*count >= semaphores && *values != NULL) {
		return;
	}
	uint64_t *padded = neep_vk_call_alloc(call, semaphores, sizeof(*padded));
	if (padded == NULL) {
		return;
	}
	if (*values != NULL) {
		memcpy(padded, *values, *count * sizeof(*padded));
	}
	*count = semaphores;
	*values = padded;
}

/* `head` is of a submission with that many semaphores. */
static void pad_timeline_values(
	struct neep_vk_call *call, const void *head, uint32_t waits, uint32_t signals) {
	VkTimelineSemaphoreSubmitInfo *info =
		neep_vk_chain_find(head, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
	if (info != NULL) {
		pad_values(call, waits, &info->waitSemaphoreValueCount, &info->pWaitSemaphoreValues);
		pad_values(call, signals, &info->signalSemaphoreValueCount, &info->pSignalSemaphoreValues);
	}
}

static void prepare(struct neep_vk_call *call, const VkSubmitInfo *submit) {
	for (uint32_t i = 0; i < submit->commandBufferCount; i++) {
		neep_vk_recordings_settle(call, submit->pCommandBuffers[i]);
	}
	pad_timeline_values(call, submit, submit->waitSemaphoreCount, submit->signalSemaphoreCount);
	set_all_signalled(call, submit->waitSemaphoreCount, submit->pWaitSemaphores, false);
	set_all_signalled(call, submit->signalSemaphoreCount, submit->pSignalSemaphores, true);
}

void neep_vk_QueueSubmitAsyncGOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t submitCount, const VkSubmitInfo *pSubmits, struct neep_vk_object *fence) {
	VkSubmitInfo left;
	if (neep_vk_recorder_submits(call)) {
		return;
	}
	if (only_signals(submitCount, pSubmits, fence)) {
		left = pSubmits[0];
		if (!leave_out_signalled(call, &left)) {
			return;
		}
		pSubmits = &left;
	}
	for (uint32_t i = 0; i < submitCount; i++) {
		prepare(call, &pSubmits[i]);
	}
	if (call->is_failed || atomic_load(&call->device->is_lost)) {
		return;
	}
	VkResult result = call->device->vk.QueueSubmit(
		NEEP_VK_HANDLE(VkQueue, queue), submitCount, pSubmits, NEEP_VK_HANDLE(VkFence, fence));
	if (result < 0) {
		neep_vk_device_lose(call->device, call->command, result);
	}
}

static void prepare2(struct neep_vk_call *call, const VkSubmitInfo2 *submit) {
	for (uint32_t i = 0; i < submit->commandBufferInfoCount; i++) {
		neep_vk_recordings_settle(call, submit->pCommandBufferInfos[i].commandBuffer);
	}
	for (uint32_t i = 0; i < submit->waitSemaphoreInfoCount; i++) {
		set_signalled(call, submit->pWaitSemaphoreInfos[i].semaphore, false);
	}
	for (uint32_t i = 0; i < submit->signalSemaphoreInfoCount; i++) {
		set_signalled(call, submit->pSignalSemaphoreInfos[i].semaphore, true);
	}
}

void neep_vk_QueueSubmitAsync2GOOGLE(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t submitCount, const VkSubmitInfo2 *pSubmits, struct neep_vk_object *fence) {
	if (neep_vk_recorder_submits(call)) {
		return;
	}
	for (uint32_t i = 0; i < submitCount; i++) {
		prepare2(call, &pSubmits[i]);
	}
	if (atomic_load(&call->device->is_lost)) {
		return;
	}
	PFN_vkQueueSubmit2 submit = call->device->vk.QueueSubmit2;
	VkResult result = submit == NULL ? VK_ERROR_EXTENSION_NOT_PRESENT
					 : submit(NEEP_VK_HANDLE(VkQueue, queue), submitCount, pSubmits,
						   NEEP_VK_HANDLE(VkFence, fence));
	if (result < 0) {
		neep_vk_device_lose(call->device, call->command, result);
	}
}

VkResult neep_vk_QueueBindSparse(struct neep_vk_call *call, struct neep_vk_object *queue,
	uint32_t bindInfoCount, const VkBindSparseInfo *pBindInfo, struct neep_vk_object *fence) {
	if (atomic_load(&call->device->is_lost)) {
		return VK_ERROR_DEVICE_LOST;
	}
	for (uint32_t i = 0; i < bindInfoCount; i++) {
		const VkBindSparseInfo *info = &pBindInfo[i];
		pad_timeline_values(call, info, info->waitSemaphoreCount, info->signalSemaphoreCount);
		set_all_signalled(call, info->waitSemaphoreCount, info->pWaitSemaphores, false);
		set_all_signalled(call, info->signalSemaphoreCount, info->pSignalSemaphores, true);
	}
	if (call->is_failed) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	return neep_vk_device_told(
		call->device, call->device->vk.QueueBindSparse(NEEP_VK_HANDLE(VkQueue, queue), bindInfoCount,
				      pBindInfo, NEEP_VK_HANDLE(VkFence, fence)));
}

VkResult neep_vk_QueueWaitIdle(struct neep_vk_call *call, struct neep_vk_object *queue) {
	return neep_vk_wait_queues(call, &queue, 1);
}
