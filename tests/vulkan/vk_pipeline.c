#include "vk.h"

VkShaderModule vk_shader_module(const struct vk *vk, struct vk_shader shader) {
	VkShaderModule module;
	vk_ok(vkCreateShaderModule(vk->device,
		&(VkShaderModuleCreateInfo){
			.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
			.codeSize = shader.size,
			.pCode = shader.words,
		},
		NULL, &module));
	return module;
}

#define MAX_BINDINGS 16

static void create_pool(const struct vk *vk, struct vk_set *set, const VkDescriptorSetLayoutBinding *bindings,
	uint32_t count) {
	VkDescriptorPoolSize sizes[MAX_BINDINGS];
	uint32_t inline_blocks = 0;
	expect(count <= MAX_BINDINGS);
	for (uint32_t i = 0; i < count; i++) {
		sizes[i] = (VkDescriptorPoolSize){ bindings[i].descriptorType, bindings[i].descriptorCount };
		inline_blocks += bindings[i].descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
	}
	vk_ok(vkCreateDescriptorPool(vk->device,
		&(VkDescriptorPoolCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
			.pNext = inline_blocks == 0 ? NULL
						    : &(VkDescriptorPoolInlineUniformBlockCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO,
			.maxInlineUniformBlockBindings = inline_blocks,
		},
			.maxSets = 1,
			.poolSizeCount = count,
			.pPoolSizes = sizes,
		},
		NULL, &set->pool));
}

void vk_set_create(const struct vk *vk, struct vk_set *set, const VkDescriptorSetLayoutBinding *bindings,
	uint32_t count) {
	vk_ok(vkCreateDescriptorSetLayout(vk->device,
		&(VkDescriptorSetLayoutCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
			.bindingCount = count,
			.pBindings = bindings,
		},
		NULL, &set->layout));
	create_pool(vk, set, bindings, count);
	vk_ok(vkAllocateDescriptorSets(vk->device,
		&(VkDescriptorSetAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
			.descriptorPool = set->pool,
			.descriptorSetCount = 1,
			.pSetLayouts = &set->layout,
		},
		&set->set));
}

void vk_set_destroy(const struct vk *vk, struct vk_set *set) {
	vkDestroyDescriptorPool(vk->device, set->pool, NULL);
	vkDestroyDescriptorSetLayout(vk->device, set->layout, NULL);
}

void vk_set_buffer(const struct vk *vk, const struct vk_set *set, uint32_t binding, VkDescriptorType type,
	const struct vk_buffer *buffer) {
	vkUpdateDescriptorSets(vk->device, 1,
		&(VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set->set,
			.dstBinding = binding,
			.descriptorCount = 1,
			.descriptorType = type,
			.pBufferInfo = &(VkDescriptorBufferInfo){ buffer->buffer, 0, buffer->size },
		},
		0, NULL);
}

void vk_set_image(const struct vk *vk, const struct vk_set *set, uint32_t binding, VkDescriptorType type,
	const VkDescriptorImageInfo *info) {
	vkUpdateDescriptorSets(vk->device, 1,
		&(VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set->set,
			.dstBinding = binding,
			.descriptorCount = 1,
			.descriptorType = type,
			.pImageInfo = info,
		},
		0, NULL);
}

void vk_set_by_template(const struct vk *vk, const struct vk_set *set,
	const VkDescriptorUpdateTemplateEntry *entries, uint32_t count, const void *data) {
	VkDescriptorUpdateTemplate template;
	vk_ok(vkCreateDescriptorUpdateTemplate(vk->device,
		&(VkDescriptorUpdateTemplateCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO,
			.descriptorUpdateEntryCount = count,
			.pDescriptorUpdateEntries = entries,
			.templateType = VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_DESCRIPTOR_SET,
			.descriptorSetLayout = set->layout,
		},
		NULL, &template));
	vkUpdateDescriptorSetWithTemplate(vk->device, set->set, template, data);
	vkDestroyDescriptorUpdateTemplate(vk->device, template, NULL);
}

VkPipelineLayout vk_pipeline_layout(const struct vk *vk, const struct vk_set *set, uint32_t push_size) {
	VkPipelineLayout layout;
	vk_ok(vkCreatePipelineLayout(vk->device,
		&(VkPipelineLayoutCreateInfo){
			.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
			.setLayoutCount = set != NULL,
			.pSetLayouts = set != NULL ? &set->layout : NULL,
			.pushConstantRangeCount = push_size != 0,
			.pPushConstantRanges = &(VkPushConstantRange){ VK_SHADER_STAGE_ALL, 0, push_size },
		},
		NULL, &layout));
	return layout;
}

VkPipeline vk_compute_pipeline(const struct vk *vk, VkPipelineLayout layout, struct vk_shader shader,
	const VkSpecializationInfo *special) {
	VkShaderModule module = vk_shader_module(vk, shader);
	VkPipeline pipeline;
	vk_ok(vkCreateComputePipelines(vk->device, VK_NULL_HANDLE, 1,
		&(VkComputePipelineCreateInfo){
			.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
			.stage = {
				.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
				.stage = VK_SHADER_STAGE_COMPUTE_BIT,
				.module = module,
				.pName = "main",
				.pSpecializationInfo = special,
			},
			.layout = layout,
		},
		NULL, &pipeline));
	vkDestroyShaderModule(vk->device, module, NULL);
	return pipeline;
}

static VkPipelineShaderStageCreateInfo stage(
	VkShaderStageFlagBits which, VkShaderModule module, const VkSpecializationInfo *special) {
	return (VkPipelineShaderStageCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		.stage = which,
		.module = module,
		.pName = "main",
		.pSpecializationInfo = special,
	};
}

static VkPipelineColorBlendAttachmentState blending(bool blend) {
	return (VkPipelineColorBlendAttachmentState){
		.blendEnable = blend,
		.srcColorBlendFactor = VK_BLEND_FACTOR_ONE,
		.dstColorBlendFactor = VK_BLEND_FACTOR_ONE,
		.srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
		.dstAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
		.colorWriteMask = 0xf,
	};
}

/* Everything but the stages and the vertex input, which need memory of the caller. */
static void create_graphics(const struct vk *vk, const struct vk_pipeline_info *info,
	VkGraphicsPipelineCreateInfo *create, VkPipeline *pipeline) {
	const VkDynamicState dynamic[] = { VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR };
	const VkPipelineColorBlendAttachmentState blend = blending(info->blend);
	create->pInputAssemblyState = &(VkPipelineInputAssemblyStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = info->topology,
	};
	create->pViewportState = &(VkPipelineViewportStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
		.viewportCount = 1,
		.scissorCount = 1,
	};
	create->pRasterizationState = &(VkPipelineRasterizationStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
		.cullMode = info->cull,
		.lineWidth = 1,
	};
	create->pMultisampleState = &(VkPipelineMultisampleStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = info->samples != 0 ? info->samples : VK_SAMPLE_COUNT_1_BIT,
	};
	create->pDepthStencilState = &(VkPipelineDepthStencilStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
		.depthTestEnable = info->depth,
		.depthWriteEnable = info->depth,
		.depthCompareOp = VK_COMPARE_OP_LESS,
	};
	create->pColorBlendState = &(VkPipelineColorBlendStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.attachmentCount = 1,
		.pAttachments = &blend,
	};
	create->pDynamicState = &(VkPipelineDynamicStateCreateInfo){
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
		.dynamicStateCount = VK_COUNT(dynamic),
		.pDynamicStates = dynamic,
	};
	vk_ok(vkCreateGraphicsPipelines(vk->device, info->cache, 1, create, NULL, pipeline));
}

VkPipeline vk_graphics_pipeline(const struct vk *vk, const struct vk_pipeline_info *info) {
	VkShaderModule vertex = vk_shader_module(vk, info->vertex),
		       fragment = vk_shader_module(vk, info->fragment);
	const VkPipelineShaderStageCreateInfo stages[] = {
		stage(VK_SHADER_STAGE_VERTEX_BIT, vertex, NULL),
		stage(VK_SHADER_STAGE_FRAGMENT_BIT, fragment, info->special),
	};
	const VkVertexInputBindingDescription binding = { 0, info->stride, VK_VERTEX_INPUT_RATE_VERTEX };
	const VkPipelineVertexInputStateCreateInfo input = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
		.vertexBindingDescriptionCount = info->stride != 0,
		.pVertexBindingDescriptions = &binding,
		.vertexAttributeDescriptionCount = info->attribute_count,
		.pVertexAttributeDescriptions = info->attributes,
	};
	VkGraphicsPipelineCreateInfo create = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.pNext = info->next,
		.stageCount = VK_COUNT(stages),
		.pStages = stages,
		.pVertexInputState = &input,
		.layout = info->layout,
		.renderPass = info->pass,
		.subpass = info->subpass,
	};
	VkPipeline pipeline;
	create_graphics(vk, info, &create, &pipeline);
	vkDestroyShaderModule(vk->device, vertex, NULL);
	vkDestroyShaderModule(vk->device, fragment, NULL);
	return pipeline;
}
