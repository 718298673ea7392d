#include <stdlib.h>

#include "vkb.h"

#define COLOUR_FORMAT VK_FORMAT_R8G8B8A8_UNORM
#define DEPTH_FORMAT  VK_FORMAT_D32_SFLOAT

/* ---- target ---- */

static VkAttachmentDescription attachment(VkFormat format, VkImageLayout last) {
	return (VkAttachmentDescription){
		.format = format,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE,
		.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
		.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
		.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
		.finalLayout = last,
	};
}

static void create_pass(struct vkb_scene *scene, bool has_depth) {
	const VkAttachmentDescription attachments[2] = {
		attachment(COLOUR_FORMAT, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL),
		attachment(DEPTH_FORMAT, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL),
	};
	const VkAttachmentReference colour = { 0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL };
	const VkAttachmentReference depth = { 1, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL };
	const VkSubpassDescription subpass = {
		.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
		.colorAttachmentCount = 1,
		.pColorAttachments = &colour,
		.pDepthStencilAttachment = has_depth ? &depth : NULL,
	};
	/* Frames follow each other into one target, and the last one is copied out of it. */
	const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT |
					    VK_PIPELINE_STAGE_EARLY_FRAGMENT_TESTS_BIT |
					    VK_PIPELINE_STAGE_LATE_FRAGMENT_TESTS_BIT;
	const VkAccessFlags writes =
		VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT | VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT;
	const VkAccessFlags reads =
		VK_ACCESS_COLOR_ATTACHMENT_READ_BIT | VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_READ_BIT;
	const VkSubpassDependency dependencies[2] = {
		{ VK_SUBPASS_EXTERNAL, 0, stages, stages, writes, reads | writes, 0 },
		{ 0, VK_SUBPASS_EXTERNAL, stages, VK_PIPELINE_STAGE_TRANSFER_BIT, writes,
			VK_ACCESS_TRANSFER_READ_BIT, 0 },
	};
	VkRenderPassCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.attachmentCount = has_depth ? 2 : 1,
		.pAttachments = attachments,
		.subpassCount = 1,
		.pSubpasses = &subpass,
		.dependencyCount = 2,
		.pDependencies = dependencies,
	};
	vkb_check(vkCreateRenderPass(scene->vkb->device, &info, NULL, &scene->pass), "vkCreateRenderPass");
}

void vkb_setup_target(struct vkb_scene *scene, bool has_depth) {
	vkb_image_create(scene->vkb, COLOUR_FORMAT,
		VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT, &scene->colour);
	if (has_depth) {
		vkb_image_create(
			scene->vkb, DEPTH_FORMAT, VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT, &scene->depth);
	}
	create_pass(scene, has_depth);
	const VkImageView views[2] = { scene->colour.view, scene->depth.view };
	VkFramebufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
		.renderPass = scene->pass,
		.attachmentCount = has_depth ? 2 : 1,
		.pAttachments = views,
		.width = VKB_TARGET_SIZE,
		.height = VKB_TARGET_SIZE,
		.layers = 1,
	};
	vkb_check(vkCreateFramebuffer(scene->vkb->device, &info, NULL, &scene->framebuffer),
		"vkCreateFramebuffer");
}

/* ---- texture ---- */

static uint32_t *make_pixels(void) {
	uint32_t *pixels = malloc(sizeof(*pixels) * VKB_TARGET_SIZE * VKB_TARGET_SIZE);
	if (pixels == NULL) {
		vkb_die("no memory");
	}
	for (uint32_t y = 0; y < VKB_TARGET_SIZE; y++) {
		for (uint32_t x = 0; x < VKB_TARGET_SIZE; x++) {
			pixels[y * VKB_TARGET_SIZE + x] = (x ^ y) | (x & y) << 8 | (x + y) << 16 | 0x90000000;
		}
	}
	return pixels;
}

static void move_texture(const struct vkb_scene *scene, VkCommandBuffer commands, bool is_filled) {
	VkImageMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.srcAccessMask = is_filled ? VK_ACCESS_TRANSFER_WRITE_BIT : 0,
		.dstAccessMask = is_filled ? VK_ACCESS_SHADER_READ_BIT : VK_ACCESS_TRANSFER_WRITE_BIT,
		.oldLayout = is_filled ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL : VK_IMAGE_LAYOUT_UNDEFINED,
		.newLayout = is_filled ? VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL
				       : VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = scene->texture.image,
		.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
	};
	vkCmdPipelineBarrier(commands,
		is_filled ? VK_PIPELINE_STAGE_TRANSFER_BIT : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
		is_filled ? VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT : VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0,
		NULL, 0, NULL, 1, &barrier);
}

static void fill_texture(const struct vkb_scene *scene) {
	struct vkb_buffer staging;
	uint32_t *pixels = make_pixels();
	vkb_buffer_create_with(scene->vkb, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, pixels,
		sizeof(*pixels) * VKB_TARGET_SIZE * VKB_TARGET_SIZE, &staging);
	free(pixels);
	VkCommandBuffer commands = vkb_once_begin(scene->vkb);
	move_texture(scene, commands, false);
	VkBufferImageCopy copy = {
		.imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 },
		.imageExtent = { VKB_TARGET_SIZE, VKB_TARGET_SIZE, 1 },
	};
	vkCmdCopyBufferToImage(commands, staging.buffer, scene->texture.image,
		VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
	move_texture(scene, commands, true);
	vkb_once_end(scene->vkb, commands);
	vkb_buffer_destroy(scene->vkb, &staging);
}

void vkb_setup_texture(struct vkb_scene *scene) {
	vkb_image_create(scene->vkb, COLOUR_FORMAT,
		VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT, &scene->texture);
	fill_texture(scene);
	VkSamplerCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
		.magFilter = VK_FILTER_LINEAR,
		.minFilter = VK_FILTER_LINEAR,
	};
	vkb_check(vkCreateSampler(scene->vkb->device, &info, NULL, &scene->sampler), "vkCreateSampler");
}

/* ---- descriptors ---- */

static void allocate_set(struct vkb_scene *scene, VkDescriptorType type) {
	VkDevice device = scene->vkb->device;
	VkDescriptorSetLayoutBinding binding = {
		.descriptorType = type,
		.descriptorCount = 1,
		.stageFlags = VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT |
			      VK_SHADER_STAGE_COMPUTE_BIT,
	};
	VkDescriptorSetLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = 1,
		.pBindings = &binding,
	};
	vkb_check(vkCreateDescriptorSetLayout(device, &layout, NULL, &scene->set_layout),
		"vkCreateDescriptorSetLayout");
	VkDescriptorPoolSize size = { type, 1 };
	VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 1,
		.poolSizeCount = 1,
		.pPoolSizes = &size,
	};
	vkb_check(vkCreateDescriptorPool(device, &pool, NULL, &scene->set_pool), "vkCreateDescriptorPool");
	VkDescriptorSetAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = scene->set_pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &scene->set_layout,
	};
	vkb_check(vkAllocateDescriptorSets(device, &info, &scene->set), "vkAllocateDescriptorSets");
}

void vkb_setup_set(struct vkb_scene *scene, VkDescriptorType type) {
	allocate_set(scene, type);
	const struct vkb_buffer *used =
		type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER ? &scene->uniforms : &scene->values;
	VkDescriptorBufferInfo buffer = { used->buffer, 0, VK_WHOLE_SIZE };
	VkDescriptorImageInfo image = { scene->sampler, scene->texture.view,
		VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL };
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = scene->set,
		.descriptorCount = 1,
		.descriptorType = type,
		.pImageInfo = &image,
		.pBufferInfo = &buffer,
	};
	vkUpdateDescriptorSets(scene->vkb->device, 1, &write, 0, NULL);
}

/* ---- pipelines ---- */

static void create_layout(struct vkb_scene *scene, VkShaderStageFlags stages, uint32_t push_size) {
	VkPushConstantRange range = { stages, 0, push_size };
	VkPipelineLayoutCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = scene->set_layout != VK_NULL_HANDLE,
		.pSetLayouts = &scene->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range,
	};
	vkb_check(vkCreatePipelineLayout(scene->vkb->device, &info, NULL, &scene->layout),
		"vkCreatePipelineLayout");
}

static VkPipelineShaderStageCreateInfo create_stage(
	const struct vkb_scene *scene, VkShaderStageFlagBits stage, struct vkb_shader shader) {
	VkShaderModuleCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = shader.size,
		.pCode = shader.code,
	};
	VkPipelineShaderStageCreateInfo created = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		.stage = stage,
		.pName = "main",
	};
	vkb_check(vkCreateShaderModule(scene->vkb->device, &info, NULL, &created.module),
		"vkCreateShaderModule");
	return created;
}

static const VkVertexInputBindingDescription vertex_binding = { 0, 6 * sizeof(float),
	VK_VERTEX_INPUT_RATE_VERTEX };
static const VkVertexInputAttributeDescription vertex_attributes[2] = {
	{ 0, 0, VK_FORMAT_R32G32B32_SFLOAT, 0 },
	{ 1, 0, VK_FORMAT_R32G32B32_SFLOAT, 3 * sizeof(float) },
};
static const VkPipelineRasterizationStateCreateInfo rasterization = {
	.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
	.lineWidth = 1,
};
static const VkPipelineMultisampleStateCreateInfo one_sample = {
	.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
	.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT,
};
static const VkRect2D whole_target = { .extent = { VKB_TARGET_SIZE, VKB_TARGET_SIZE } };
static const VkPipelineViewportStateCreateInfo viewport_state = {
	.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
	.viewportCount = 1,
	.scissorCount = 1,
	.pScissors = &whole_target,
};
static const VkDynamicState dynamic_states[] = { VK_DYNAMIC_STATE_VIEWPORT };
static const VkPipelineDynamicStateCreateInfo dynamic_state = {
	.sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
	.dynamicStateCount = 1,
	.pDynamicStates = dynamic_states,
};

/* What depends on the scene. */
struct graphics_states {
	VkPipelineVertexInputStateCreateInfo vertex;
	VkPipelineInputAssemblyStateCreateInfo assembly;
	VkPipelineDepthStencilStateCreateInfo depth;
	VkPipelineColorBlendAttachmentState blend_target;
	VkPipelineColorBlendStateCreateInfo blend;
};

static void fill_states(struct graphics_states *states, const struct vkb_graphics_params *params) {
	*states = (struct graphics_states){
		.vertex = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
			.vertexBindingDescriptionCount = params->has_vertices,
			.pVertexBindingDescriptions = &vertex_binding,
			.vertexAttributeDescriptionCount = params->has_vertices ? 2 : 0,
			.pVertexAttributeDescriptions = vertex_attributes },
		.assembly = { .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
			.topology = params->has_vertices ? VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST
							 : VK_PRIMITIVE_TOPOLOGY_TRIANGLE_STRIP },
		.depth = { .sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
			.depthTestEnable = params->has_depth,
			.depthWriteEnable = params->has_depth,
			.depthCompareOp = VK_COMPARE_OP_LESS },
		.blend_target = { .blendEnable = params->has_blend,
			.srcColorBlendFactor = VK_BLEND_FACTOR_SRC_ALPHA,
			.dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
			.srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
			.colorWriteMask = 0xf },
		.blend = { .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
			.attachmentCount = 1,
			.pAttachments = &states->blend_target },
	};
}

void vkb_setup_graphics(struct vkb_scene *scene, const struct vkb_graphics_params *params) {
	VkDevice device = scene->vkb->device;
	struct graphics_states states;
	fill_states(&states, params);
	create_layout(scene, VK_SHADER_STAGE_VERTEX_BIT, params->push_size);
	const VkPipelineShaderStageCreateInfo stages[2] = {
		create_stage(scene, VK_SHADER_STAGE_VERTEX_BIT, params->vertex),
		create_stage(scene, VK_SHADER_STAGE_FRAGMENT_BIT, params->fragment),
	};
	VkGraphicsPipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &states.vertex,
		.pInputAssemblyState = &states.assembly,
		.pViewportState = &viewport_state,
		.pRasterizationState = &rasterization,
		.pMultisampleState = &one_sample,
		.pDepthStencilState = &states.depth,
		.pColorBlendState = &states.blend,
		.pDynamicState = &dynamic_state,
		.layout = scene->layout,
		.renderPass = scene->pass,
	};
	vkb_check(vkCreateGraphicsPipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &scene->pipeline),
		"vkCreateGraphicsPipelines");
	vkDestroyShaderModule(device, stages[0].module, NULL);
	vkDestroyShaderModule(device, stages[1].module, NULL);
}

void vkb_setup_compute(struct vkb_scene *scene, struct vkb_shader shader, uint32_t push_size) {
	VkDevice device = scene->vkb->device;
	create_layout(scene, VK_SHADER_STAGE_COMPUTE_BIT, push_size);
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = create_stage(scene, VK_SHADER_STAGE_COMPUTE_BIT, shader),
		.layout = scene->layout,
	};
	vkb_check(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &scene->pipeline),
		"vkCreateComputePipelines");
	vkDestroyShaderModule(device, info.stage.module, NULL);
}
