/* Every kind of descriptor that a compute shader can read or write, at once; the results are known. */
#include <string.h>

#include "vk.h"

#include "descriptors_cs.h"

#define COUNT          64 /* threads, texels and words */
#define IMAGES         4
#define DYNAMIC_OFFSET 1024 /* a multiple of every alignment that Vulkan allows */

enum {
	SAMPLER,
	SAMPLED_IMAGE,
	COMBINED,
	STORAGE_IMAGE,
	UNIFORM_TEXELS,
	STORAGE_TEXELS,
	UNIFORM,
	STORAGE,
	DYNAMIC_UNIFORM,
	DYNAMIC_STORAGE,
	BINDINGS,
};

static const VkDescriptorType types[BINDINGS] = {
	[SAMPLER] = VK_DESCRIPTOR_TYPE_SAMPLER,
	[SAMPLED_IMAGE] = VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE,
	[COMBINED] = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
	[STORAGE_IMAGE] = VK_DESCRIPTOR_TYPE_STORAGE_IMAGE,
	[UNIFORM_TEXELS] = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
	[STORAGE_TEXELS] = VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
	[UNIFORM] = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
	[STORAGE] = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
	[DYNAMIC_UNIFORM] = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC,
	[DYNAMIC_STORAGE] = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC,
};

struct objects {
	struct vk_set set;
	VkPipelineLayout layout;
	VkPipeline pipeline;
	VkSampler sampler;
	struct vk_image textures[IMAGES];
	struct vk_image storage_image;
	struct vk_buffer buffers[BINDINGS];
	VkBufferView views[2];
};

static uint32_t texel(uint32_t which, uint32_t i) {
	return (i * 3 + which * 41) & 0xff;
}

static uint32_t word(uint32_t binding, uint32_t i) {
	return i * 7919 + binding * 104729;
}

/* The shader's sum again. */
static uint32_t expected(uint32_t i) {
	uint32_t value = texel(0, i);
	for (uint32_t which = 1; which < IMAGES; which++) {
		value = value * 31 + texel(which, i);
	}
	value = value * 31 + word(UNIFORM_TEXELS, i);
	value = value * 31 + word(UNIFORM, i);
	return value * 31 + word(DYNAMIC_UNIFORM, i);
}

static void create_images(const struct vk *vk, struct objects *objects) {
	for (uint32_t which = 0; which < IMAGES; which++) {
		uint8_t pixels[COUNT * 4] = { 0 };
		for (uint32_t i = 0; i < COUNT; i++) {
			pixels[i * 4] = (uint8_t)texel(which, i);
		}
		objects->textures[which] = (struct vk_image){
			.format = VK_FORMAT_R8G8B8A8_UNORM,
			.width = 8,
			.height = 8,
			.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
		};
		vk_image_create(vk, &objects->textures[which]);
		vk_fill_image(
			vk, &objects->textures[which], pixels, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
	}
	objects->storage_image = (struct vk_image){
		.format = VK_FORMAT_R32_UINT,
		.width = 8,
		.height = 8,
		.usage = VK_IMAGE_USAGE_STORAGE_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
	};
	vk_image_create(vk, &objects->storage_image);
	vk_ok(vkCreateSampler(vk->device,
		&(VkSamplerCreateInfo){ .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO }, NULL,
		&objects->sampler));
}

static void create_buffers(const struct vk *vk, struct objects *objects) {
	static const VkBufferUsageFlags usage[BINDINGS] = {
		[UNIFORM_TEXELS] = VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
		[STORAGE_TEXELS] = VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT,
		[UNIFORM] = VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT,
		[STORAGE] = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
		[DYNAMIC_UNIFORM] = VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT,
		[DYNAMIC_STORAGE] = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
	};
	for (uint32_t binding = UNIFORM_TEXELS; binding < BINDINGS; binding++) {
		struct vk_buffer *buffer = &objects->buffers[binding];
		vk_buffer_create(vk, buffer, DYNAMIC_OFFSET + COUNT * 4, usage[binding]);
		memset(buffer->map, 0, buffer->size);
		uint32_t *words = buffer->map;
		words += binding == DYNAMIC_UNIFORM ? DYNAMIC_OFFSET / 4 : 0;
		for (uint32_t i = 0; i < COUNT; i++) {
			words[i] = word(binding, i);
		}
	}
	for (uint32_t i = 0; i < 2; i++) {
		vk_ok(vkCreateBufferView(vk->device,
			&(VkBufferViewCreateInfo){
				.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
				.buffer = objects->buffers[UNIFORM_TEXELS + i].buffer,
				.format = VK_FORMAT_R32_UINT,
				.range = COUNT * 4,
			},
			NULL, &objects->views[i]));
	}
}

/* All writes in one call, with arrays of each kind. */
static void write_set(const struct vk *vk, struct objects *objects) {
	VkDescriptorImageInfo images[] = {
		{ .sampler = objects->sampler },
		{ VK_NULL_HANDLE, objects->textures[0].view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL },
		{ objects->sampler, objects->textures[1].view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL },
		{ objects->sampler, objects->textures[2].view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL },
		{ objects->sampler, objects->textures[3].view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL },
		{ VK_NULL_HANDLE, objects->storage_image.view, VK_IMAGE_LAYOUT_GENERAL },
	};
	const uint32_t first_image[] = { 0, 1, 2, 5 };
	VkDescriptorBufferInfo buffers[BINDINGS];
	VkWriteDescriptorSet writes[BINDINGS];
	for (uint32_t binding = 0; binding < BINDINGS; binding++) {
		buffers[binding] = (VkDescriptorBufferInfo){ objects->buffers[binding].buffer, 0, COUNT * 4 };
		writes[binding] = (VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = objects->set.set,
			.dstBinding = binding,
			.descriptorCount = binding == COMBINED ? 3 : 1,
			.descriptorType = types[binding],
			.pImageInfo = binding <= STORAGE_IMAGE ? &images[first_image[binding]] : NULL,
			.pBufferInfo = binding >= UNIFORM ? &buffers[binding] : NULL,
		};
	}
	writes[UNIFORM_TEXELS].pTexelBufferView = &objects->views[0];
	writes[STORAGE_TEXELS].pTexelBufferView = &objects->views[1];
	vkUpdateDescriptorSets(vk->device, BINDINGS, writes, 0, NULL);
}

static void create(const struct vk *vk, struct objects *objects) {
	*objects = (struct objects){ 0 };
	create_images(vk, objects);
	create_buffers(vk, objects);
	VkDescriptorSetLayoutBinding bindings[BINDINGS];
	for (uint32_t binding = 0; binding < BINDINGS; binding++) {
		bindings[binding] = (VkDescriptorSetLayoutBinding){
			.binding = binding,
			.descriptorType = types[binding],
			.descriptorCount = binding == COMBINED ? 3 : 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
		};
	}
	vk_set_create(vk, &objects->set, bindings, BINDINGS);
	write_set(vk, objects);
	objects->layout = vk_pipeline_layout(vk, &objects->set, 0);
	objects->pipeline = vk_compute_pipeline(vk, objects->layout, VK_SHADER(descriptors_cs), NULL);
}

static void destroy(const struct vk *vk, struct objects *objects) {
	vkDestroyPipeline(vk->device, objects->pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, objects->layout, NULL);
	vk_set_destroy(vk, &objects->set);
	vkDestroyBufferView(vk->device, objects->views[0], NULL);
	vkDestroyBufferView(vk->device, objects->views[1], NULL);
	for (uint32_t binding = UNIFORM_TEXELS; binding < BINDINGS; binding++) {
		vk_buffer_destroy(vk, &objects->buffers[binding]);
	}
	vk_image_destroy(vk, &objects->storage_image);
	for (uint32_t which = 0; which < IMAGES; which++) {
		vk_image_destroy(vk, &objects->textures[which]);
	}
	vkDestroySampler(vk->device, objects->sampler, NULL);
}

static void run(const struct vk *vk, const struct objects *objects) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(
		commands, &objects->storage_image, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_GENERAL);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, objects->pipeline);
	const uint32_t offsets[] = { DYNAMIC_OFFSET, DYNAMIC_OFFSET };
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, objects->layout, 0, 1,
		&objects->set.set, 2, offsets);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_image_barrier(commands, &objects->storage_image, VK_IMAGE_LAYOUT_GENERAL,
		VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
	vk_barrier(commands);
	vk_end(vk, commands);
}

static void check(const struct vk *vk, const struct objects *objects) {
	uint8_t *image = vk_read_image(vk, &objects->storage_image);
	const uint32_t *pixels = (const uint32_t *)image, *texels = objects->buffers[STORAGE_TEXELS].map;
	const uint32_t *storage = objects->buffers[STORAGE].map,
		       *dynamic = objects->buffers[DYNAMIC_STORAGE].map;
	for (uint32_t i = 0; i < COUNT; i++) {
		expect(storage[i] == expected(i));
		expect(dynamic[DYNAMIC_OFFSET / 4 + i] == (expected(i) ^ 1));
		expect(pixels[i] == (expected(i) ^ 2));
		expect(texels[i] == (expected(i) ^ 3));
	}
	out_bytes("storage", storage, COUNT * 4);
	free(image);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct objects objects;
	create(&vk, &objects);
	run(&vk, &objects);
	check(&vk, &objects);
	destroy(&vk, &objects);
	vk_close(&vk);
}
