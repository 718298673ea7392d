/* vkQueueSubmit2 and what belongs to it: chains of binary and timeline semaphores in one call, barriers and events of the
 * second kind. */
#include "hash.h"

#define COUNT (1u << 16)
#define STEPS 8

struct work {
	struct vk_buffer words;
	struct vk_buffer copy;
	struct hash hash;
};

static void barrier(VkCommandBuffer commands, VkPipelineStageFlags2 before, VkPipelineStageFlags2 after) {
	vkCmdPipelineBarrier2(commands, &(VkDependencyInfo){
						.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
						.memoryBarrierCount = 1,
						.pMemoryBarriers =
							&(VkMemoryBarrier2){
								.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
								.srcStageMask = before,
								.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT,
								.dstStageMask = after,
								.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT |
										 VK_ACCESS_2_MEMORY_WRITE_BIT,
							},
					});
}

/* Fills the words and copies them. */
static VkCommandBuffer record(const struct vk *vk, const struct work *work, uint32_t seed) {
	VkCommandBuffer commands = vk_begin(vk);
	barrier(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT);
	hash_record(&work->hash, commands, seed, COUNT);
	barrier(commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_2_COPY_BIT);
	vkCmdCopyBuffer2(
		commands, &(VkCopyBufferInfo2){
				  .sType = VK_STRUCTURE_TYPE_COPY_BUFFER_INFO_2,
				  .srcBuffer = work->words.buffer,
				  .dstBuffer = work->copy.buffer,
				  .regionCount = 1,
				  .pRegions = &(VkBufferCopy2){ .sType = VK_STRUCTURE_TYPE_BUFFER_COPY_2,
					  .size = COUNT * 4 },
			  });
	barrier(commands, VK_PIPELINE_STAGE_2_COPY_BIT, VK_PIPELINE_STAGE_2_HOST_BIT);
	vk_ok(vkEndCommandBuffer(commands));
	return commands;
}

static VkSemaphoreSubmitInfo point(VkSemaphore semaphore, uint64_t value) {
	return (VkSemaphoreSubmitInfo){
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
		.semaphore = semaphore,
		.value = value,
		.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
	};
}

static void expect_seed(const struct work *work, uint32_t seed) {
	hash_expect(work->words.map, seed, COUNT);
	hash_expect(work->copy.map, seed, COUNT);
}

/* All steps in one call: step i waits for the one before by a point of a timeline, and by a binary semaphore, or the first
 * one for the host. Not both, over which lavapipe of Mesa 25.0 hangs. */
static void chain(const struct vk *vk, const struct work *work, bool waits_for_host) {
	VkSemaphore binaries[STEPS];
	VkSemaphore timeline =
		vk_semaphore_create(vk, &(VkSemaphoreTypeCreateInfo){
						.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
						.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
						.initialValue = waits_for_host ? 3 : 4,
					});
	VkFence fence = vk_fence_create(vk, NULL);
	VkSemaphoreSubmitInfo waits[STEPS][2], signals[STEPS][2];
	VkCommandBufferSubmitInfo commands[STEPS];
	VkSubmitInfo2 submits[STEPS];
	for (uint32_t i = 0; i < STEPS; i++) {
		binaries[i] = vk_semaphore_create(vk, NULL);
		waits[i][0] = point(timeline, 4 + i);
		waits[i][1] = point(i > 0 ? binaries[i - 1] : VK_NULL_HANDLE, 0);
		signals[i][0] = point(timeline, 5 + i);
		signals[i][1] = point(binaries[i], 0);
		commands[i] = (VkCommandBufferSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
			.commandBuffer = record(vk, work, 300 + i),
		};
		submits[i] = (VkSubmitInfo2){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
			.waitSemaphoreInfoCount = i > 0 && !waits_for_host ? 2 : 1,
			.pWaitSemaphoreInfos = waits[i],
			.commandBufferInfoCount = 1,
			.pCommandBufferInfos = &commands[i],
			.signalSemaphoreInfoCount = i + 1 < STEPS && !waits_for_host ? 2 : 1,
			.pSignalSemaphoreInfos = signals[i],
		};
	}
	vk_ok(vkQueueSubmit2(vk->queue, STEPS, submits, fence));
	if (waits_for_host) {
		expect(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, 2000000) == VK_TIMEOUT);
		vk_ok(vkSignalSemaphore(vk->device, &(VkSemaphoreSignalInfo){
							    .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
							    .semaphore = timeline,
							    .value = 4,
						    }));
	}
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vk_ok(vkWaitSemaphores(vk->device,
		&(VkSemaphoreWaitInfo){
			.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
			.semaphoreCount = 1,
			.pSemaphores = &timeline,
			.pValues = &(uint64_t){ 4 + STEPS },
		},
		UINT64_MAX));
	expect_seed(work, 300 + STEPS - 1);
	for (uint32_t i = 0; i < STEPS; i++) {
		vkDestroySemaphore(vk->device, binaries[i], NULL);
		vkFreeCommandBuffers(vk->device, vk->pool, 1, &commands[i].commandBuffer);
	}
	vkDestroySemaphore(vk->device, timeline, NULL);
	vkDestroyFence(vk->device, fence, NULL);
}

/* The second half of a submission waits for an event that the first one sets, and that the host sees. */
static void event(const struct vk *vk, const struct work *work) {
	VkEvent set;
	vk_ok(vkCreateEvent(vk->device, &(VkEventCreateInfo){ .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO },
		NULL, &set));
	const VkDependencyInfo dependency = {
		.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
		.memoryBarrierCount = 1,
		.pMemoryBarriers =
			&(VkMemoryBarrier2){
				.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
				.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
				.srcAccessMask = VK_ACCESS_2_SHADER_WRITE_BIT,
				.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
				.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT,
			},
	};
	VkCommandBuffer first = vk_begin(vk);
	hash_record(&work->hash, first, 41, COUNT);
	vkCmdSetEvent2(first, set, &dependency);
	vk_ok(vkEndCommandBuffer(first));
	VkCommandBuffer second = vk_begin(vk);
	vkCmdWaitEvents2(second, 1, &set, &dependency);
	vk_ok(vkEndCommandBuffer(second));
	VkCommandBuffer third = record(vk, work, 42);
	const VkCommandBufferSubmitInfo commands[] = {
		{ .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, .commandBuffer = first },
		{ .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, .commandBuffer = second },
		{ .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, .commandBuffer = third },
	};
	vk_ok(vkQueueSubmit2(vk->queue, 1,
		&(VkSubmitInfo2){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
			.commandBufferInfoCount = VK_COUNT(commands),
			.pCommandBufferInfos = commands,
		},
		VK_NULL_HANDLE));
	vk_ok(vkQueueWaitIdle(vk->queue));
	expect(vkGetEventStatus(vk->device, set) == VK_EVENT_SET);
	expect_seed(work, 42);
	vkFreeCommandBuffers(vk->device, vk->pool, 3, (VkCommandBuffer[]){ first, second, third });
	vkDestroyEvent(vk->device, set, NULL);
}

/* Nothing to do is fine, and a fence alone signals when all before is done. */
static void nothing(const struct vk *vk) {
	VkFence fence = vk_fence_create(vk, NULL);
	vk_ok(vkQueueSubmit2(vk->queue, 0, NULL, VK_NULL_HANDLE));
	vk_ok(vkQueueSubmit2(
		vk->queue, 1, &(VkSubmitInfo2){ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2 }, fence));
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vkDestroyFence(vk->device, fence, NULL);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	VkPhysicalDeviceVulkan12Features timeline = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	VkPhysicalDeviceVulkan13Features second = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
		.pNext = &timeline,
		.synchronization2 = VK_TRUE,
	};
	vk_open(&vk, &(struct vk_wants){ .features = &second });
	struct work work;
	vk_buffer_create(&vk, &work.words, COUNT * 4,
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	vk_buffer_create(&vk, &work.copy, COUNT * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	hash_create(&vk, &work.hash, &work.words);
	chain(&vk, &work, true);
	chain(&vk, &work, false);
	event(&vk, &work);
	nothing(&vk);
	out_bytes("copy", work.copy.map, COUNT * 4);
	hash_destroy(&vk, &work.hash);
	vk_buffer_destroy(&vk, &work.copy);
	vk_buffer_destroy(&vk, &work.words);
	vk_close(&vk);
}
