/* An inline uniform block: bytes that lie in the descriptor set itself; written whole, then partly again. */
#include "vk.h"

#include "inline_block_cs.h"

#define WORDS 16

static void write_block(const struct vk *vk, const struct vk_set *set, uint32_t offset, uint32_t words) {
	uint32_t data[WORDS];
	for (uint32_t i = 0; i < words; i++) {
		data[i] = 1000 + offset + i * 17;
	}
	vkUpdateDescriptorSets(vk->device, 1,
		&(VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.pNext =
				&(VkWriteDescriptorSetInlineUniformBlock){
					.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK,
					.dataSize = words * 4,
					.pData = data,
				},
			.dstSet = set->set,
			.dstArrayElement = offset,
			.descriptorCount = words * 4,
			.descriptorType = VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
		},
		0, NULL);
}

static uint32_t expected(uint32_t i) {
	uint32_t word = i >= 8 && i < 12 ? 1000 + 32 + (i - 8) * 17 : 1000 + i * 17;
	return word * 3 + 1;
}

static void run(const struct vk *vk, const struct vk_set *set) {
	VkPipelineLayout layout = vk_pipeline_layout(vk, set, 0);
	VkPipeline pipeline = vk_compute_pipeline(vk, layout, VK_SHADER(inline_block_cs), NULL);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set->set, 0, NULL);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(vk, commands);
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
}

static void offered_or_skip(const struct vk *vk) {
	VkPhysicalDeviceInlineUniformBlockFeatures block = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES,
	};
	vkGetPhysicalDeviceFeatures2(vk->physical,
		&(VkPhysicalDeviceFeatures2){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &block });
	if (!block.inlineUniformBlock) {
		out_skip_all("inlineUniformBlock is not offered");
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	offered_or_skip(&vk);
	VkPhysicalDeviceInlineUniformBlockFeatures block = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES,
		.inlineUniformBlock = VK_TRUE,
	};
	vk_open_device(&vk, &(struct vk_wants){ .features = &block });
	struct vk_buffer result;
	vk_buffer_create(&vk, &result, WORDS * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, WORDS * 4, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	struct vk_set set;
	vk_set_create(&vk, &set, bindings, VK_COUNT(bindings));
	vk_set_buffer(&vk, &set, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, &result);
	write_block(&vk, &set, 0, WORDS);
	write_block(&vk, &set, 32, 4);
	run(&vk, &set);
	for (uint32_t i = 0; i < WORDS; i++) {
		expect(((uint32_t *)result.map)[i] == expected(i));
	}
	out_bytes("result", result.map, result.size);
	vk_set_destroy(&vk, &set);
	vk_buffer_destroy(&vk, &result);
	vk_close(&vk);
}
