/* Clear, textured quads, and compute. */
#include "scenes.h"

#define COMPUTE_VALUES 16384
#define COMPUTE_LOCAL  64

/* ---- clear ---- */

static void clear_setup(struct vkb_scene *scene) {
	vkb_setup_target(scene, false);
}

static void clear_record(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	for (uint32_t i = 0; i < scene->work; i++) {
		vkb_scene_begin_pass(scene, commands, frame + i);
		vkCmdEndRenderPass(commands);
	}
}

const struct vkb_scene_impl vkb_scene_clear = {
	.name = "clear",
	.summary = "render passes that only clear 256x256 pixels",
	.setup = clear_setup,
	.record = clear_record,
};

/* ---- textured ---- */

struct textured_push {
	float angle;
	float count;
};

static void textured_setup(struct vkb_scene *scene) {
	vkb_setup_target(scene, false);
	vkb_setup_texture(scene);
	vkb_setup_set(scene, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER);
	const struct vkb_graphics_params params = {
		.vertex = vkb_shader_textured_vert,
		.fragment = vkb_shader_textured_frag,
		.push_size = sizeof(struct textured_push),
		.has_blend = true,
	};
	vkb_setup_graphics(scene, &params);
}

static void textured_record(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	const struct textured_push push = { (float)(frame % 256), (float)scene->work };
	vkb_scene_begin_pass(scene, commands, frame);
	vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(push), &push);
	vkCmdDraw(commands, 4, scene->work, 0, 0);
	vkCmdEndRenderPass(commands);
}

const struct vkb_scene_impl vkb_scene_textured = {
	.name = "textured",
	.summary = "filtered, blended quads of 64x64 pixels",
	.setup = textured_setup,
	.record = textured_record,
};

/* ---- compute ---- */

struct compute_push {
	uint32_t seed;
	uint32_t rounds;
};

static void compute_setup(struct vkb_scene *scene) {
	const struct vkb_buffer_params values = {
		.size = COMPUTE_VALUES * sizeof(uint32_t),
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
	};
	vkb_buffer_create(scene->vkb, &values, &scene->values);
	vkb_setup_set(scene, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
	vkb_setup_compute(scene, vkb_shader_compute_comp, sizeof(struct compute_push));
}

static void compute_record(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	const struct compute_push push = { frame, scene->work };
	const VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
	};
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
		VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, scene->pipeline);
	vkCmdBindDescriptorSets(
		commands, VK_PIPELINE_BIND_POINT_COMPUTE, scene->layout, 0, 1, &scene->set, 0, NULL);
	vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	vkCmdDispatch(commands, COMPUTE_VALUES / COMPUTE_LOCAL, 1, 1);
}

const struct vkb_scene_impl vkb_scene_compute = {
	.name = "compute",
	.summary = "rounds of an integer hash over 16384 values",
	.setup = compute_setup,
	.record = compute_record,
};
