/* Null descriptors of each kind, written directly and by a template, and null vertex buffers: they read as zero, and what is
 * stored to them is gone. */
#include <stddef.h>
#include <string.h>

#include "vk.h"

#include "color_fs.h"
#include "null_cs.h"
#include "null_vs.h"

#define COUNT    64u
#define SIZE     32u
#define VERTICES 1024u

static const VkDescriptorSetLayoutBinding bindings[] = {
	{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 2, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 3, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 4, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 5, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 6, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
};

/* As an application keeps them for a template; the binding is the index. */
struct descriptors {
	uint32_t before;
	VkDescriptorBufferInfo buffers[3];
	VkDescriptorImageInfo images[2];
	VkBufferView views[2];
};

/* In memory that nobody may write to, as constants of a program are, and not the first of its chain. */
static const VkPhysicalDeviceRobustness2FeaturesEXT wanted = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
	.nullDescriptor = VK_TRUE,
};
static const VkPhysicalDeviceFeatures2 features = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
	.pNext = (void *)&wanted,
};

static void open_device(struct vk *vk) {
	static const char *const names[] = { VK_EXT_ROBUSTNESS_2_EXTENSION_NAME };
	vk_open_instance(vk);
	if (!vk_has_extension(vk, names[0])) {
		out_skip_all("no VK_EXT_robustness2");
	}
	VkPhysicalDeviceRobustness2FeaturesEXT has = { .sType = wanted.sType };
	vkGetPhysicalDeviceFeatures2(
		vk->physical, &(VkPhysicalDeviceFeatures2){ .sType = features.sType, .pNext = &has });
	if (!has.nullDescriptor) {
		out_skip_all("no nullDescriptor");
	}
	VkPhysicalDeviceRobustness2PropertiesEXT aligned = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_PROPERTIES_EXT,
	};
	vkGetPhysicalDeviceProperties2(
		vk->physical, &(VkPhysicalDeviceProperties2){
				      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
				      .pNext = &aligned,
			      });
	expect(aligned.robustStorageBufferAccessSizeAlignment > 0);
	expect(aligned.robustUniformBufferAccessSizeAlignment > 0);
	vk_open_device(vk, &(struct vk_wants){ &features, names, VK_COUNT(names) });
}

static void write_directly(
	const struct vk *vk, const struct vk_set *set, const struct descriptors *descriptors) {
	VkWriteDescriptorSet writes[VK_COUNT(bindings)];
	for (uint32_t i = 0; i < VK_COUNT(bindings); i++) {
		writes[i] = (VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set->set,
			.dstBinding = i,
			.descriptorCount = 1,
			.descriptorType = bindings[i].descriptorType,
			.pBufferInfo = i < 3 ? &descriptors->buffers[i] : NULL,
			.pImageInfo = i == 3 || i == 4 ? &descriptors->images[i - 3] : NULL,
			.pTexelBufferView = i > 4 ? &descriptors->views[i - 5] : NULL,
		};
	}
	vkUpdateDescriptorSets(vk->device, VK_COUNT(writes), writes, 0, NULL);
}

static void write_by_template(
	const struct vk *vk, const struct vk_set *set, const struct descriptors *descriptors) {
	VkDescriptorUpdateTemplateEntry entries[VK_COUNT(bindings)];
	for (uint32_t i = 0; i < VK_COUNT(bindings); i++) {
		entries[i] = (VkDescriptorUpdateTemplateEntry){ i, 0, 1, bindings[i].descriptorType, 0, 0 };
		entries[i].offset = i < 3   ? offsetof(struct descriptors, buffers[i])
				    : i < 5 ? offsetof(struct descriptors, images[i - 3])
					    : offsetof(struct descriptors, views[i - 5]);
	}
	vk_set_by_template(vk, set, entries, VK_COUNT(entries), descriptors);
}

typedef void (*write_set)(
	const struct vk *vk, const struct vk_set *set, const struct descriptors *descriptors);

static void compute(const struct vk *vk, const char *name, write_set write) {
	struct vk_set set;
	struct vk_buffer result;
	VkSampler sampler;
	vk_set_create(vk, &set, bindings, VK_COUNT(bindings));
	vk_buffer_create(vk, &result, (VkDeviceSize)COUNT * 32, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	memset(result.map, 0xee, result.size);
	vk_ok(vkCreateSampler(vk->device,
		&(VkSamplerCreateInfo){ .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO }, NULL, &sampler));
	struct descriptors descriptors = { 0 };
	for (uint32_t i = 0; i < VK_COUNT(descriptors.buffers); i++) {
		descriptors.buffers[i].range = VK_WHOLE_SIZE;
	}
	descriptors.buffers[0].buffer = result.buffer;
	descriptors.images[0].sampler = sampler;
	write(vk, &set, &descriptors);
	VkPipelineLayout layout = vk_pipeline_layout(vk, &set, 0);
	VkPipeline pipeline = vk_compute_pipeline(vk, layout, VK_SHADER(null_cs), NULL);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set.set, 0, NULL);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(vk, commands);
	for (uint32_t i = 0; i < COUNT * 8; i++) {
		expect(((const uint32_t *)result.map)[i] == 0);
	}
	out_bytes(name, result.map, result.size);
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
	vkDestroySampler(vk->device, sampler, NULL);
	vk_buffer_destroy(vk, &result);
	vk_set_destroy(vk, &set);
}

/* Far more vertices than any buffer in place of the null one would have. */
static void draw(const struct vk *vk, const char *name, bool is_second) {
	static const VkBuffer none[2];
	static const VkDeviceSize zero[2];
	struct vk_target target;
	vk_target_create(vk, &target, &(struct vk_target_info){ .width = SIZE, .height = SIZE });
	VkPipelineLayout layout = vk_pipeline_layout(vk, NULL, 0);
	VkPipeline pipeline = vk_graphics_pipeline(vk,
		&(struct vk_pipeline_info){
			.layout = layout,
			.pass = target.pass,
			.vertex = VK_SHADER(null_vs),
			.fragment = VK_SHADER(color_fs),
			.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
			.attributes =
				&(VkVertexInputAttributeDescription){ .format = VK_FORMAT_R32G32B32_SFLOAT },
			.attribute_count = 1,
			.stride = 256,
		});
	VkCommandBuffer commands = vk_begin(vk);
	vk_target_begin(&target, commands, (float[]){ 1, 1, 1, 1 }, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	if (is_second) {
		vkCmdBindVertexBuffers2(commands, 0, 2, none, zero, zero, NULL);
	} else {
		vkCmdBindVertexBuffers(commands, 0, 2, none, zero);
	}
	vkCmdDraw(commands, 3, 1, VERTICES * 3, 0);
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
	uint8_t *pixels = vk_read_image(vk, vk_target_picture(&target));
	out_picture(name, pixels, SIZE, SIZE);
	for (uint32_t i = 0; i < SIZE * SIZE; i++) {
		expect(pixels[i * 4] == 51 && pixels[i * 4 + 1] == 102 && pixels[i * 4 + 2] == 153);
	}
	free(pixels);
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
	vk_target_destroy(vk, &target);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	open_device(&vk);
	compute(&vk, "direct", write_directly);
	compute(&vk, "template", write_by_template);
	draw(&vk, "vertices", false);
	draw(&vk, "vertices2", true);
	vk_close(&vk);
}
