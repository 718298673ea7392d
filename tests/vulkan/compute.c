/* A compute shader fills 64 MiB: read back through a mapping, and copied there from memory of the device. */
#include "hash.h"

#define SIZE  (64u << 20)
#define COUNT (SIZE / 4)

static void in_mapped_memory(const struct vk *vk) {
	struct vk_buffer words;
	vk_buffer_create(vk, &words, SIZE, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 1, COUNT);
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(words.map, 1, COUNT);
	out_bytes("mapped", words.map, SIZE);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
}

static void through_a_copy(const struct vk *vk) {
	struct vk_buffer words, back;
	vk_buffer_create_local(
		vk, &words, SIZE, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	vk_buffer_create(vk, &back, SIZE, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 2, COUNT);
	vk_barrier(commands);
	vkCmdCopyBuffer(commands, words.buffer, back.buffer, 1, &(VkBufferCopy){ .size = SIZE });
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(back.map, 2, COUNT);
	out_bytes("copied", back.map, SIZE);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &back);
	vk_buffer_destroy(vk, &words);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	in_mapped_memory(&vk);
	through_a_copy(&vk);
	vk_close(&vk);
}
