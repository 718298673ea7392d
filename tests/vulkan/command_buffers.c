/* Ten thousand command buffers: recorded, submitted in batches, again, reset, and freed with their pool. */
#include "hash.h"

#define COUNT 10000
#define BATCH 500

static void submit_all(const struct vk *vk, const VkCommandBuffer *commands) {
	VkFence fence = vk_fence_create(vk, NULL);
	for (uint32_t i = 0; i < COUNT; i += BATCH) {
		vk_ok(vkQueueSubmit(vk->queue, 1,
			&(VkSubmitInfo){
				.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
				.commandBufferCount = BATCH,
				.pCommandBuffers = commands + i,
			},
			i + BATCH < COUNT ? VK_NULL_HANDLE : fence));
	}
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vkDestroyFence(vk->device, fence, NULL);
}

static void record(VkCommandBuffer commands, VkBuffer buffer, uint32_t place, uint32_t factor) {
	vk_begin_commands(commands, 0);
	vkCmdUpdateBuffer(commands, buffer, place * 4, 4, &(uint32_t){ place * factor + 1 });
	vk_barrier(commands);
	vk_ok(vkEndCommandBuffer(commands));
}

static void expect_words(const struct vk_buffer *buffer, uint32_t factor) {
	for (uint32_t i = 0; i < COUNT; i++) {
		expect(((uint32_t *)buffer->map)[i] == i * factor + 1);
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct vk_buffer buffer;
	vk_buffer_create(&vk, &buffer, COUNT * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer *commands = out_alloc(COUNT, sizeof(*commands));
	vk_ok(vkAllocateCommandBuffers(vk.device,
		&(VkCommandBufferAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
			.commandPool = vk.pool,
			.commandBufferCount = COUNT,
		},
		commands));
	for (uint32_t i = 0; i < COUNT; i++) {
		record(commands[i], buffer.buffer, i, 3);
	}
	submit_all(&vk, commands);
	expect_words(&buffer, 3);
	for (uint32_t i = 0; i < COUNT; i++) {
		((uint32_t *)buffer.map)[i] = 0;
	}
	submit_all(&vk, commands);
	expect_words(&buffer, 3);
	vk_ok(vkResetCommandPool(vk.device, vk.pool, 0));
	for (uint32_t i = 0; i < COUNT; i++) {
		record(commands[i], buffer.buffer, i, 5);
	}
	submit_all(&vk, commands);
	expect_words(&buffer, 5);
	out_bytes("words", buffer.map, buffer.size);
	vkFreeCommandBuffers(vk.device, vk.pool, COUNT / 2, commands);
	free(commands);
	vk_buffer_destroy(&vk, &buffer);
	vk_close(&vk);
}
