/* Push constants (all 128 bytes, in pieces, changed between dispatches) and specialisation of every scalar type. */
#include <stddef.h>

#include "vk.h"

#include "constants_cs.h"

#define WORDS      32
#define GROUP      32
#define DISPATCHES 4

struct special {
	uint32_t group;
	uint32_t factor;
	float scale;
	VkBool32 add;
	int32_t minus;
};

static const VkSpecializationMapEntry entries[] = {
	{ 0, offsetof(struct special, group), 4 },
	{ 1, offsetof(struct special, factor), 4 },
	{ 2, offsetof(struct special, scale), 4 },
	{ 3, offsetof(struct special, add), 4 },
	{ 4, offsetof(struct special, minus), 4 },
};

static uint32_t push_word(uint32_t dispatch, uint32_t i) {
	return i * 257 + dispatch * 65537;
}

static VkPipeline create_pipeline(
	const struct vk *vk, VkPipelineLayout layout, const struct special *special) {
	const VkSpecializationInfo info = { VK_COUNT(entries), entries, sizeof(*special), special };
	return vk_compute_pipeline(vk, layout, VK_SHADER(constants_cs), &info);
}

/* The first word alone, then the rest in two pieces. */
static void push(VkCommandBuffer commands, VkPipelineLayout layout, uint32_t dispatch) {
	uint32_t words[WORDS] = { dispatch * GROUP };
	for (uint32_t i = 1; i < WORDS; i++) {
		words[i] = push_word(dispatch, i - 1);
	}
	vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_ALL, 0, 4, words);
	vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_ALL, 4, 60, words + 1);
	vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_ALL, 64, 64, words + 16);
}

static void check(const uint32_t *result, const struct special *special, uint32_t dispatch) {
	for (uint32_t i = 0; i < GROUP; i++) {
		uint32_t value = push_word(dispatch, i % 31) * special->factor;
		value += (uint32_t)((float)i * special->scale) - (uint32_t)special->minus;
		value += special->add ? 1000000 : 0;
		expect(result[dispatch * GROUP + i] == value);
	}
}

int main(int argc, char **argv) {
	static const struct special specials[] = { { GROUP, 3, 0.5f, VK_TRUE, -7 },
		{ GROUP, 5, 2.25f, VK_FALSE, 9 } };
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct vk_buffer result;
	vk_buffer_create(&vk, &result, DISPATCHES * GROUP * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
		VK_SHADER_STAGE_COMPUTE_BIT, NULL };
	struct vk_set set;
	vk_set_create(&vk, &set, &binding, 1);
	vk_set_buffer(&vk, &set, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, &result);
	VkPipelineLayout layout = vk_pipeline_layout(&vk, &set, WORDS * 4);
	VkPipeline pipelines[] = { create_pipeline(&vk, layout, &specials[0]),
		create_pipeline(&vk, layout, &specials[1]) };
	VkCommandBuffer commands = vk_begin(&vk);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set.set, 0, NULL);
	for (uint32_t i = 0; i < DISPATCHES; i++) {
		vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipelines[i % 2]);
		push(commands, layout, i);
		vkCmdDispatch(commands, 1, 1, 1);
	}
	vk_barrier(commands);
	vk_end(&vk, commands);
	for (uint32_t i = 0; i < DISPATCHES; i++) {
		check(result.map, &specials[i % 2], i);
	}
	out_bytes("result", result.map, result.size);
	vkDestroyPipeline(vk.device, pipelines[0], NULL);
	vkDestroyPipeline(vk.device, pipelines[1], NULL);
	vkDestroyPipelineLayout(vk.device, layout, NULL);
	vk_set_destroy(&vk, &set);
	vk_buffer_destroy(&vk, &result);
	vk_close(&vk);
}
