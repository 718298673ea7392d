#include "scene.h"

#include <stddef.h>

#include "color_fs.h"
#include "scene_vs.h"

struct vertex {
	float place[2];
	float color[3];
};

static void fill(struct vertex *vertices) {
	static const float corners[6][2] = { { 0, 0 }, { 0.9f, 0 }, { 0, 0.9f }, { 0, 0.9f }, { 0.9f, 0 },
		{ 0.9f, 0.9f } };
	for (uint32_t i = 0; i < SCENE_VERTICES; i++) {
		uint32_t cell = i / 6, x = cell % SCENE_CELLS, y = cell / SCENE_CELLS;
		const float *corner = corners[i % 6];
		vertices[i] = (struct vertex){
			{ ((float)x + corner[0]) * 2 / SCENE_CELLS - 1,
				((float)y + corner[1]) * 2 / SCENE_CELLS - 1 },
			{ (float)(x + 1) / SCENE_CELLS, (float)(y + 1) / SCENE_CELLS,
				corner[0] * 0.5f + corner[1] * 0.4f },
		};
	}
}

struct vk_pipeline_info scene_pipeline_info(const struct scene *scene, bool depth) {
	static const VkVertexInputAttributeDescription attributes[] = {
		{ 0, 0, VK_FORMAT_R32G32_SFLOAT, offsetof(struct vertex, place) },
		{ 1, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct vertex, color) },
	};
	return (struct vk_pipeline_info){
		.layout = scene->layout,
		.pass = scene->target.pass,
		.vertex = VK_SHADER(scene_vs),
		.fragment = VK_SHADER(color_fs),
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
		.attributes = attributes,
		.attribute_count = VK_COUNT(attributes),
		.stride = sizeof(struct vertex),
		.depth = depth,
	};
}

void scene_create(const struct vk *vk, struct scene *scene, bool depth) {
	vk_target_create(vk, &scene->target,
		&(struct vk_target_info){
			.width = SCENE_SIZE,
			.height = SCENE_SIZE,
			.depth_format = depth ? VK_FORMAT_D16_UNORM : VK_FORMAT_UNDEFINED,
		});
	vk_buffer_create(vk, &scene->vertices, SCENE_VERTICES * sizeof(struct vertex),
		VK_BUFFER_USAGE_VERTEX_BUFFER_BIT);
	fill(scene->vertices.map);
	scene->layout = vk_pipeline_layout(vk, NULL, 16);
	struct vk_pipeline_info info = scene_pipeline_info(scene, depth);
	scene->pipeline = vk_graphics_pipeline(vk, &info);
}

void scene_destroy(const struct vk *vk, struct scene *scene) {
	vkDestroyPipeline(vk->device, scene->pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, scene->layout, NULL);
	vk_buffer_destroy(vk, &scene->vertices);
	vk_target_destroy(vk, &scene->target);
}

void scene_push(const struct scene *scene, VkCommandBuffer commands, const float offset[3], float factor) {
	const float push[] = { offset[0], offset[1], offset[2], factor };
	vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_ALL, 0, sizeof(push), push);
}

void scene_bind(const struct scene *scene, VkCommandBuffer commands) {
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->pipeline);
	vkCmdBindVertexBuffers(commands, 0, 1, &scene->vertices.buffer, &(VkDeviceSize){ 0 });
	vk_set_viewport(commands, SCENE_SIZE, SCENE_SIZE);
	scene_push(scene, commands, (float[]){ 0, 0, 0.5f }, 1);
}

VkCommandBuffer scene_begin(const struct vk *vk, const struct scene *scene) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_target_begin(&scene->target, commands, (float[]){ 0, 0, 0, 1 }, VK_SUBPASS_CONTENTS_INLINE);
	scene_bind(scene, commands);
	return commands;
}

void scene_end(const struct vk *vk, const struct scene *scene, VkCommandBuffer commands, const char *name) {
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
	vk_save_image(vk, vk_target_picture(&scene->target), name);
}
