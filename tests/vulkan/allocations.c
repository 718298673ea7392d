/* A thousand small allocations, each mapped and written by both sides, and one mapping of 256 MiB. */
#include <string.h>

#include "hash.h"

#define SMALL_COUNT 1000
#define SMALL_SIZE  1024
#define LARGE_SIZE  (256u << 20)

/* Fills every buffer on the device with its own number, but for its first word, which the host wrote. */
static void small(const struct vk *vk) {
	struct vk_buffer *buffers = out_alloc(SMALL_COUNT, sizeof(*buffers));
	VkCommandBuffer commands = vk_begin(vk);
	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		vk_buffer_create(vk, &buffers[i], SMALL_SIZE, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
		*(uint32_t *)buffers[i].map = ~i;
		vkCmdFillBuffer(commands, buffers[i].buffer, 4, VK_WHOLE_SIZE, i * 65537);
	}
	vk_barrier(commands);
	vk_end(vk, commands);
	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		const uint32_t *words = buffers[i].map;
		expect(words[0] == ~i && words[1] == i * 65537 && words[SMALL_SIZE / 4 - 1] == i * 65537);
	}
	// Out of order, and every other one again.
	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		vk_buffer_destroy(vk, &buffers[(i * 7) % SMALL_COUNT]);
	}
	for (uint32_t i = 0; i < SMALL_COUNT / 2; i++) {
		vk_buffer_create(vk, &buffers[i], SMALL_SIZE, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	}
	for (uint32_t i = 0; i < SMALL_COUNT / 2; i++) {
		vk_buffer_destroy(vk, &buffers[i]);
	}
	free(buffers);
}

static void large(const struct vk *vk) {
	struct vk_buffer words, copy;
	vk_buffer_create(vk, &words, LARGE_SIZE,
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	const uint32_t part = 1 << 20, place = LARGE_SIZE - part;
	vk_buffer_create(vk, &copy, part, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	memset(words.map, 0x5a, LARGE_SIZE);
	// No device has to let a shader see more than 128 MiB at once.
	struct vk_buffer half = words;
	half.size = LARGE_SIZE / 2;
	struct hash hash;
	hash_create(vk, &hash, &half);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 9, LARGE_SIZE / 8);
	vkCmdCopyBuffer(commands, words.buffer, copy.buffer, 1, &(VkBufferCopy){ place, 0, part });
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(words.map, 9, LARGE_SIZE / 8);
	for (uint32_t i = 0; i < part; i += 4093) {
		expect(((uint8_t *)copy.map)[i] == 0x5a && ((uint8_t *)words.map)[place + i] == 0x5a);
	}
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
	vk_buffer_destroy(vk, &copy);
}

/* Mapped in the middle, unmapped, mapped elsewhere: the bytes stay. */
static void remapping(const struct vk *vk) {
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, 1 << 20, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	uint32_t *words = buffer.map;
	for (uint32_t i = 0; i < buffer.size / 4; i++) {
		words[i] = hash_word(i, 3);
	}
	vkUnmapMemory(vk->device, buffer.memory);
	for (uint32_t i = 0; i < 16; i++) {
		const uint32_t first = i * 4096 + i * 64;
		vk_ok(vkMapMemory(vk->device, buffer.memory, first * 4, 4096, 0, &buffer.map));
		expect(*(uint32_t *)buffer.map == hash_word(first, 3));
		vkUnmapMemory(vk->device, buffer.memory);
	}
	vk_buffer_destroy(vk, &buffer);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	small(&vk);
	large(&vk);
	remapping(&vk);
	vk_close(&vk);
}
