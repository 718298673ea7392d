#ifndef NEEP_TESTS_VULKAN_HASH_H
#define NEEP_TESTS_VULKAN_HASH_H

#include "vk.h"

/* Work whose result is known: the shader hash_cs fills a buffer with a hash of each word's place. */
struct hash {
	struct vk_set set;
	VkPipelineLayout layout;
	VkPipeline pipeline;
};

/* The work writes `words`, a storage buffer. */
void hash_create(const struct vk *vk, struct hash *hash, const struct vk_buffer *words);
void hash_destroy(const struct vk *vk, struct hash *hash);

/* Records the work. */
void hash_record(const struct hash *hash, VkCommandBuffer commands, uint32_t seed, uint32_t count);

/* What word `place` holds afterwards. */
uint32_t hash_word(uint32_t place, uint32_t seed);

/* Ends the program unless all words are right. */
void hash_expect(const void *words, uint32_t seed, uint32_t count);

#endif
