/* Events: set and reset by the device and by the host, and waited for between two commands. */
#include "hash.h"

static VkEvent create_event(const struct vk *vk) {
	VkEvent event;
	vk_ok(vkCreateEvent(vk->device, &(VkEventCreateInfo){ .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO },
		NULL, &event));
	return event;
}

static void by_the_host(const struct vk *vk) {
	VkEvent event = create_event(vk);
	expect(vkGetEventStatus(vk->device, event) == VK_EVENT_RESET);
	vk_ok(vkSetEvent(vk->device, event));
	expect(vkGetEventStatus(vk->device, event) == VK_EVENT_SET);
	vk_ok(vkResetEvent(vk->device, event));
	expect(vkGetEventStatus(vk->device, event) == VK_EVENT_RESET);
	vkDestroyEvent(vk->device, event, NULL);
}

static void by_the_device(const struct vk *vk) {
	VkEvent event = create_event(vk);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdSetEvent(commands, event, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	vk_end(vk, commands);
	expect(vkGetEventStatus(vk->device, event) == VK_EVENT_SET);
	commands = vk_begin(vk);
	vkCmdResetEvent(commands, event, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	vk_end(vk, commands);
	expect(vkGetEventStatus(vk->device, event) == VK_EVENT_RESET);
	vkDestroyEvent(vk->device, event, NULL);
}

static void between_commands(const struct vk *vk) {
	const uint32_t count = 1 << 16;
	struct vk_buffer words, copy;
	vk_buffer_create(
		vk, &words, count * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	vk_buffer_create(vk, &copy, count * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkEvent event = create_event(vk);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 5, count);
	vkCmdSetEvent(commands, event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
	vkCmdWaitEvents(commands, 1, &event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
		VK_PIPELINE_STAGE_TRANSFER_BIT, 1,
		&(VkMemoryBarrier){
			.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
			.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
			.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT,
		},
		0, NULL, 0, NULL);
	vkCmdCopyBuffer(commands, words.buffer, copy.buffer, 1, &(VkBufferCopy){ .size = count * 4 });
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(copy.map, 5, count);
	vkDestroyEvent(vk->device, event, NULL);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
	vk_buffer_destroy(vk, &copy);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	by_the_host(&vk);
	by_the_device(&vk);
	between_commands(&vk);
	vk_close(&vk);
}
