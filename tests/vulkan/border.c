/* Samplers with the fixed border colours and with colours of one's own. */
#include <string.h>

#include "vk.h"

#include "border_cs.h"

#define SAMPLERS 4

static const VkClearColorValue own = { { 0.25f, 0.5f, 0.75f, 1 } };

static const float expected[SAMPLERS][4] = {
	{ 0, 0, 0, 0 },
	{ 0, 0, 0, 1 },
	{ 1, 1, 1, 1 },
	{ 0.25f, 0.5f, 0.75f, 1 },
};

static VkSampler create_sampler(const struct vk *vk, VkBorderColor color) {
	const VkSamplerCustomBorderColorCreateInfoEXT custom = {
		.sType = VK_STRUCTURE_TYPE_SAMPLER_CUSTOM_BORDER_COLOR_CREATE_INFO_EXT,
		.customBorderColor = own,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
	};
	VkSampler sampler;
	vk_ok(vkCreateSampler(vk->device,
		&(VkSamplerCreateInfo){
			.sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
			.pNext = color == VK_BORDER_COLOR_FLOAT_CUSTOM_EXT ? &custom : NULL,
			.addressModeU = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_BORDER,
			.addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_BORDER,
			.addressModeW = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_BORDER,
			.borderColor = color,
		},
		NULL, &sampler));
	return sampler;
}

static void open_device(struct vk *vk) {
	static const char *const extension = "VK_EXT_custom_border_color";
	vk_open_instance(vk);
	if (!vk_has_extension(vk, extension)) {
		out_skip_all("VK_EXT_custom_border_color is not offered");
	}
	VkPhysicalDeviceCustomBorderColorFeaturesEXT custom = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_CUSTOM_BORDER_COLOR_FEATURES_EXT,
		.customBorderColors = VK_TRUE,
	};
	vk_open_device(vk,
		&(struct vk_wants){ .features = &custom, .extensions = &extension, .extension_count = 1 });
}

static void write_images(const struct vk *vk, const struct vk_set *set, const struct vk_image *image,
	const VkSampler *samplers) {
	VkDescriptorImageInfo infos[SAMPLERS];
	for (uint32_t i = 0; i < SAMPLERS; i++) {
		infos[i] = (VkDescriptorImageInfo){
			.sampler = samplers[i],
			.imageView = image->view,
			.imageLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
		};
	}
	vkUpdateDescriptorSets(vk->device, 1,
		&(VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set->set,
			.descriptorCount = SAMPLERS,
			.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
			.pImageInfo = infos,
		},
		0, NULL);
}

static void run(const struct vk *vk, const struct vk_set *set) {
	VkPipelineLayout layout = vk_pipeline_layout(vk, set, 0);
	VkPipeline pipeline = vk_compute_pipeline(vk, layout, VK_SHADER(border_cs), NULL);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set->set, 0, NULL);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(vk, commands);
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
}

int main(int argc, char **argv) {
	static const VkBorderColor colors[SAMPLERS] = { VK_BORDER_COLOR_FLOAT_TRANSPARENT_BLACK,
		VK_BORDER_COLOR_FLOAT_OPAQUE_BLACK, VK_BORDER_COLOR_FLOAT_OPAQUE_WHITE,
		VK_BORDER_COLOR_FLOAT_CUSTOM_EXT };
	out_begin(argc, argv);
	struct vk vk;
	open_device(&vk);
	struct vk_image image = {
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.width = 1,
		.height = 1,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
	};
	vk_image_create(&vk, &image);
	vk_fill_image(&vk, &image, (uint8_t[]){ 9, 9, 9, 9 }, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
	struct vk_buffer result;
	vk_buffer_create(&vk, &result, sizeof(expected), VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	VkSampler samplers[SAMPLERS];
	for (uint32_t i = 0; i < SAMPLERS; i++) {
		samplers[i] = create_sampler(&vk, colors[i]);
	}
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, SAMPLERS, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	struct vk_set set;
	vk_set_create(&vk, &set, bindings, VK_COUNT(bindings));
	write_images(&vk, &set, &image, samplers);
	vk_set_buffer(&vk, &set, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, &result);
	run(&vk, &set);
	out_bytes("result", result.map, result.size);
	expect(memcmp(result.map, expected, sizeof(expected)) == 0);
	for (uint32_t i = 0; i < SAMPLERS; i++) {
		vkDestroySampler(vk.device, samplers[i], NULL);
	}
	vk_set_destroy(&vk, &set);
	vk_buffer_destroy(&vk, &result);
	vk_image_destroy(&vk, &image);
	vk_close(&vk);
}
