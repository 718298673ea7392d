#include "hash.h"

#include "hash_cs.h"

void hash_create(const struct vk *vk, struct hash *hash, const struct vk_buffer *words) {
	const VkDescriptorSetLayoutBinding binding = {
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.descriptorCount = 1,
		.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
	};
	vk_set_create(vk, &hash->set, &binding, 1);
	vk_set_buffer(vk, &hash->set, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, words);
	hash->layout = vk_pipeline_layout(vk, &hash->set, 8);
	hash->pipeline = vk_compute_pipeline(vk, hash->layout, VK_SHADER(hash_cs), NULL);
}

void hash_destroy(const struct vk *vk, struct hash *hash) {
	vkDestroyPipeline(vk->device, hash->pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, hash->layout, NULL);
	vk_set_destroy(vk, &hash->set);
}

void hash_record(const struct hash *hash, VkCommandBuffer commands, uint32_t seed, uint32_t count) {
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, hash->pipeline);
	vkCmdBindDescriptorSets(
		commands, VK_PIPELINE_BIND_POINT_COMPUTE, hash->layout, 0, 1, &hash->set.set, 0, NULL);
	vkCmdPushConstants(commands, hash->layout, VK_SHADER_STAGE_ALL, 0, 8, (uint32_t[]){ seed, count });
	vkCmdDispatch(commands, count / 256 < 4096 ? count / 256 + 1 : 4096, 1, 1);
}

uint32_t hash_word(uint32_t place, uint32_t seed) {
	uint32_t x = place + seed;
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ (x >> 16);
}

void hash_expect(const void *words, uint32_t seed, uint32_t count) {
	const uint32_t *word = words;
	for (uint32_t i = 0; i < count; i++) {
		if (word[i] != hash_word(i, seed)) {
			out_fail(__FILE__, __LINE__, "word %u of %u is %08x, not %08x", i, count, word[i],
				hash_word(i, seed));
		}
	}
}
