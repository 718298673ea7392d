#include "scenes.h"

struct push {
	float place[2];
	uint32_t colour;
};

static void setup(struct vkb_scene *scene) {
	float palette[16][4];
	for (uint32_t i = 0; i < 16; i++) {
		palette[i][0] = (float)(i & 3) / 3;
		palette[i][1] = (float)(i >> 2) / 3;
		palette[i][2] = (float)(15 - i) / 15;
		palette[i][3] = 1;
	}
	vkb_buffer_create_with(
		scene->vkb, VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT, palette, sizeof(palette), &scene->uniforms);
	vkb_setup_target(scene, false);
	vkb_setup_set(scene, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER);
	const struct vkb_graphics_params params = {
		.vertex = vkb_shader_draws_vert,
		.fragment = vkb_shader_draws_frag,
		.push_size = sizeof(struct push),
	};
	vkb_setup_graphics(scene, &params);
}

static void push_draw(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t n) {
	const struct push push = {
		.place = { (float)(n % 101) / 50.5F - 1, (float)(n / 101 % 103) / 51.5F - 1 },
		.colour = n,
	};
	vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(push), &push);
}

static void record(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	vkb_scene_begin_pass(scene, commands, frame);
	for (uint32_t i = 0; i < scene->work; i++) {
		push_draw(scene, commands, frame + i);
		vkCmdDraw(commands, 3, 1, 0, 0);
	}
	vkCmdEndRenderPass(commands);
}

void vkb_scene_draws_command(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t n) {
	const VkViewport viewport = { 0, 0, VKB_TARGET_SIZE, VKB_TARGET_SIZE, 0, 1 };
	switch (n % 4) {
	case 0:
		vkCmdSetViewport(commands, 0, 1, &viewport);
		break;
	case 1:
		push_draw(scene, commands, n);
		break;
	case 2:
		vkCmdBindDescriptorSets(
			commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->layout, 0, 1, &scene->set, 0, NULL);
		break;
	default:
		vkCmdDraw(commands, 3, 1, 0, 0);
	}
}

const struct vkb_scene_impl vkb_scene_draws = {
	.name = "draws",
	.summary = "draws of one small triangle, push constants before each",
	.setup = setup,
	.record = record,
};
