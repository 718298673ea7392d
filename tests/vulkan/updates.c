/* Command buffers of many megabytes: their contents travel with the commands, in pieces, while others are being executed. */
#include "hash.h"

#define PART   65536u /* what one vkCmdUpdateBuffer may carry */
#define PARTS  128
#define ROUNDS 12

static void record(VkCommandBuffer commands, const struct vk_buffer *buffer, uint32_t round) {
	static uint32_t words[PART / 4];
	for (uint32_t part = 0; part < PARTS; part++) {
		for (uint32_t i = 0; i < PART / 4; i++) {
			words[i] = hash_word(part * (PART / 4) + i, round);
		}
		vkCmdUpdateBuffer(commands, buffer->buffer, (VkDeviceSize)part * PART, PART, words);
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct vk_buffer buffer;
	vk_buffer_create(&vk, &buffer, (VkDeviceSize)PART * PARTS, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		VkCommandBuffer commands = vk_begin(&vk);
		record(commands, &buffer, round);
		vk_barrier(commands);
		vk_end(&vk, commands);
		hash_expect(buffer.map, round, PART / 4 * PARTS);
	}
	vk_buffer_destroy(&vk, &buffer);
	vk_close(&vk);
}
