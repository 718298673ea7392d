/* Binary and timeline semaphores: chains of submissions, waits of the host, and a submission that waits for the host. */
#include "hash.h"

#define COUNT (1u << 16)
#define STEPS 16

struct work {
	struct vk_buffer words;
	struct hash hash;
};

static VkSemaphore create_timeline(const struct vk *vk, uint64_t value) {
	return vk_semaphore_create(vk, &(VkSemaphoreTypeCreateInfo){
					       .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
					       .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
					       .initialValue = value,
				       });
}

static uint64_t value_of(const struct vk *vk, VkSemaphore timeline) {
	uint64_t value;
	vk_ok(vkGetSemaphoreCounterValue(vk->device, timeline, &value));
	return value;
}

static VkResult wait_for(const struct vk *vk, VkSemaphore timeline, uint64_t value, uint64_t timeout) {
	return vkWaitSemaphores(vk->device,
		&(VkSemaphoreWaitInfo){
			.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
			.semaphoreCount = 1,
			.pSemaphores = &timeline,
			.pValues = &value,
		},
		timeout);
}

static VkCommandBuffer record(const struct vk *vk, const struct work *work, uint32_t seed) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_barrier(commands);
	hash_record(&work->hash, commands, seed, COUNT);
	vk_barrier(commands);
	vk_ok(vkEndCommandBuffer(commands));
	return commands;
}

/* Each step waits for the one before by a binary semaphore; the last one's result stays. */
static void binary_chain(const struct vk *vk, const struct work *work) {
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	VkSemaphore semaphores[STEPS];
	VkCommandBuffer commands[STEPS];
	VkFence fence = vk_fence_create(vk, NULL);
	for (uint32_t i = 0; i < STEPS; i++) {
		semaphores[i] = vk_semaphore_create(vk, NULL);
		commands[i] = record(vk, work, 100 + i);
		vk_ok(vkQueueSubmit(vk->queue, 1,
			&(VkSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
				.waitSemaphoreCount = i != 0,
				.pWaitSemaphores = i != 0 ? &semaphores[i - 1] : NULL,
				.pWaitDstStageMask = &stage,
				.commandBufferCount = 1,
				.pCommandBuffers = &commands[i],
				.signalSemaphoreCount = i + 1 < STEPS,
				.pSignalSemaphores = &semaphores[i],
			},
			i + 1 < STEPS ? VK_NULL_HANDLE : fence));
	}
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	hash_expect(work->words.map, 100 + STEPS - 1, COUNT);
	vk_ok(vkQueueWaitIdle(vk->queue));
	vkFreeCommandBuffers(vk->device, vk->pool, STEPS, commands);
	for (uint32_t i = 0; i < STEPS; i++) {
		vkDestroySemaphore(vk->device, semaphores[i], NULL);
	}
	vkDestroyFence(vk->device, fence, NULL);
}

static void submit_timeline(
	const struct vk *vk, VkCommandBuffer commands, VkSemaphore timeline, uint64_t wait, uint64_t signal) {
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	vk_ok(vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext =
				&(VkTimelineSemaphoreSubmitInfo){
					.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
					.waitSemaphoreValueCount = 1,
					.pWaitSemaphoreValues = &wait,
					.signalSemaphoreValueCount = 1,
					.pSignalSemaphoreValues = &signal,
				},
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &timeline,
			.pWaitDstStageMask = &stage,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands,
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &timeline,
		},
		VK_NULL_HANDLE));
}

/* The first submission waits for a value that only the host signals, later. */
static void timeline_chain(const struct vk *vk, const struct work *work) {
	VkSemaphore timeline = create_timeline(vk, 7);
	expect(value_of(vk, timeline) == 7);
	VkCommandBuffer commands[STEPS];
	for (uint32_t i = 0; i < STEPS; i++) {
		commands[i] = record(vk, work, 200 + i);
		submit_timeline(vk, commands[i], timeline, 10 + i, 11 + i);
	}
	expect(wait_for(vk, timeline, 11, 2000000) == VK_TIMEOUT);
	expect(value_of(vk, timeline) == 7);
	vk_ok(vkSignalSemaphore(vk->device, &(VkSemaphoreSignalInfo){
						    .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
						    .semaphore = timeline,
						    .value = 10,
					    }));
	vk_ok(wait_for(vk, timeline, 10 + STEPS, UINT64_MAX));
	expect(value_of(vk, timeline) == 10 + STEPS);
	hash_expect(work->words.map, 200 + STEPS - 1, COUNT);
	vk_ok(vkQueueWaitIdle(vk->queue));
	vkFreeCommandBuffers(vk->device, vk->pool, STEPS, commands);
	vkDestroySemaphore(vk->device, timeline, NULL);
}

/* A wait for any of two ends when one is there. */
static void wait_for_any(const struct vk *vk) {
	VkSemaphore timelines[] = { create_timeline(vk, 0), create_timeline(vk, 5) };
	const uint64_t values[] = { 1, 5 };
	VkSemaphoreWaitInfo wait = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.flags = VK_SEMAPHORE_WAIT_ANY_BIT,
		.semaphoreCount = 2,
		.pSemaphores = timelines,
		.pValues = values,
	};
	vk_ok(vkWaitSemaphores(vk->device, &wait, UINT64_MAX));
	wait.flags = 0;
	expect(vkWaitSemaphores(vk->device, &wait, 0) == VK_TIMEOUT);
	vkDestroySemaphore(vk->device, timelines[0], NULL);
	vkDestroySemaphore(vk->device, timelines[1], NULL);
}

static void fences(const struct vk *vk) {
	VkFence list[3];
	for (uint32_t i = 0; i < 3; i++) {
		list[i] = vk_fence_create(vk, NULL);
		expect(vkGetFenceStatus(vk->device, list[i]) == VK_NOT_READY);
	}
	vk_ok(vkQueueSubmit(vk->queue, 0, NULL, list[1]));
	vk_ok(vkWaitForFences(vk->device, 3, list, VK_FALSE, UINT64_MAX));
	expect(vkWaitForFences(vk->device, 3, list, VK_TRUE, 1000000) == VK_TIMEOUT);
	vk_ok(vkGetFenceStatus(vk->device, list[1]));
	vk_ok(vkResetFences(vk->device, 1, &list[1]));
	expect(vkGetFenceStatus(vk->device, list[1]) == VK_NOT_READY);
	for (uint32_t i = 0; i < 3; i++) {
		vkDestroyFence(vk->device, list[i], NULL);
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	vk_open(&vk, &(struct vk_wants){ .features = &timeline });
	struct work work;
	vk_buffer_create(&vk, &work.words, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	hash_create(&vk, &work.hash, &work.words);
	binary_chain(&vk, &work);
	timeline_chain(&vk, &work);
	wait_for_any(&vk);
	fences(&vk);
	hash_destroy(&vk, &work.hash);
	vk_buffer_destroy(&vk, &work.words);
	vk_close(&vk);
}
