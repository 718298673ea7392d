/* A device made and destroyed 200 times, with work on it each time; some with an instance of their own, some two at once. */
#include "hash.h"

#define ROUNDS 200
#define COUNT  4096

static void work(const struct vk *vk, uint32_t seed) {
	struct vk_buffer words;
	vk_buffer_create(vk, &words, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, seed, COUNT);
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(words.map, seed, COUNT);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (i % 20 == 10) {
			struct vk own;
			vk_open(&own, NULL);
			vk_open_device(&vk, NULL);
			work(&own, i + ROUNDS);
			work(&vk, i);
			vk_close(&own);
		} else {
			vk_open_device(&vk, NULL);
			work(&vk, i);
		}
		vk_close_device(&vk);
	}
	vkDestroyInstance(vk.instance, NULL);
}
