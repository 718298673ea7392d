/* A descriptor set written by an update template, from an application's own structure with gaps between the entries. */
#include <stddef.h>

#include "vk.h"

#include "template_cs.h"

#define COUNT 64

struct entry {
	uint64_t before;
	VkDescriptorBufferInfo buffer;
	uint32_t after[3];
};

/* What the application keeps; the template says where the descriptors are in it. */
struct descriptors {
	char name[5];
	VkDescriptorBufferInfo result;
	struct entry blocks[4];
	VkDescriptorImageInfo pictures[2];
};

struct objects {
	struct vk_set set;
	struct vk_buffer result;
	struct vk_buffer blocks[4];
	struct vk_image pictures[2];
	VkSampler sampler;
};

static const VkDescriptorSetLayoutBinding bindings[] = {
	{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 1, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 4, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 2, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 2, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
};

static void create(const struct vk *vk, struct objects *objects) {
	vk_set_create(vk, &objects->set, bindings, VK_COUNT(bindings));
	vk_buffer_create(vk, &objects->result, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	for (uint32_t i = 0; i < 4; i++) {
		vk_buffer_create(vk, &objects->blocks[i], COUNT, VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT);
		for (uint32_t k = 0; k < 16; k++) {
			((uint32_t *)objects->blocks[i].map)[k] = i * 1000 + k;
		}
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint8_t pixels[COUNT * 4] = { 0 };
		for (uint32_t k = 0; k < COUNT; k++) {
			pixels[k * 4] = (uint8_t)(k + 100 * i);
		}
		objects->pictures[i] = (struct vk_image){
			.format = VK_FORMAT_R8G8B8A8_UNORM,
			.width = 8,
			.height = 8,
			.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
		};
		vk_image_create(vk, &objects->pictures[i]);
		vk_fill_image(vk, &objects->pictures[i], pixels, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
	}
	vk_ok(vkCreateSampler(vk->device,
		&(VkSamplerCreateInfo){ .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO }, NULL,
		&objects->sampler));
}

static void write_by_template(const struct vk *vk, const struct objects *objects) {
	static const VkDescriptorUpdateTemplateEntry entries[] = {
		{ 0, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, offsetof(struct descriptors, result), 0 },
		{ 1, 0, 4, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, offsetof(struct descriptors, blocks[0].buffer),
			sizeof(struct entry) },
		{ 2, 0, 2, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, offsetof(struct descriptors, pictures),
			sizeof(VkDescriptorImageInfo) },
	};
	struct descriptors data = { .name = "neep", .result = { objects->result.buffer, 0, VK_WHOLE_SIZE } };
	for (uint32_t i = 0; i < 4; i++) {
		data.blocks[i] =
			(struct entry){ ~0ull, { objects->blocks[i].buffer, 0, COUNT }, { 1, 2, 3 } };
	}
	for (uint32_t i = 0; i < 2; i++) {
		data.pictures[i] = (VkDescriptorImageInfo){ objects->sampler, objects->pictures[i].view,
			VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL };
	}
	vk_set_by_template(vk, &objects->set, entries, VK_COUNT(entries), &data);
}

static void run(const struct vk *vk, const struct objects *objects) {
	VkPipelineLayout layout = vk_pipeline_layout(vk, &objects->set, 0);
	VkPipeline pipeline = vk_compute_pipeline(vk, layout, VK_SHADER(template_cs), NULL);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(
		commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &objects->set.set, 0, NULL);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(vk, commands);
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t word = i / 16 * 1000 + i % 4 * 4 + i / 4 % 4;
		expect(((uint32_t *)objects->result.map)[i] == word + i * 65536 + (i + 100) * 16777216);
	}
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
}

static void destroy(const struct vk *vk, struct objects *objects) {
	vk_set_destroy(vk, &objects->set);
	vk_buffer_destroy(vk, &objects->result);
	for (uint32_t i = 0; i < 4; i++) {
		vk_buffer_destroy(vk, &objects->blocks[i]);
	}
	vk_image_destroy(vk, &objects->pictures[0]);
	vk_image_destroy(vk, &objects->pictures[1]);
	vkDestroySampler(vk->device, objects->sampler, NULL);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct objects objects;
	create(&vk, &objects);
	write_by_template(&vk, &objects);
	run(&vk, &objects);
	destroy(&vk, &objects);
	vk_close(&vk);
}
