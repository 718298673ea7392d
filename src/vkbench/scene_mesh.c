#include <math.h>

#include "scenes.h"

/* A torus. */
#define AROUND      16
#define ACROSS      6
#define INDEX_COUNT (AROUND * ACROSS * 6)
#define TURN        6.28318531F

struct vertex {
	float position[3];
	float normal[3];
};

struct push {
	float angle;
	float count;
};

static struct vertex torus_vertex(uint32_t i, uint32_t j) {
	float u = TURN * (float)i / AROUND;
	float v = TURN * (float)j / ACROSS;
	const float normal[3] = { cosf(u) * cosf(v), sinf(u) * cosf(v), sinf(v) };
	return (struct vertex){
		.position = { 0.7F * cosf(u) + 0.3F * normal[0], 0.7F * sinf(u) + 0.3F * normal[1],
			0.3F * normal[2] },
		.normal = { normal[0], normal[1], normal[2] },
	};
}

static void fill_torus(struct vertex *vertices, uint16_t *indices) {
	for (uint32_t i = 0; i < AROUND; i++) {
		for (uint32_t j = 0; j < ACROSS; j++) {
			uint16_t here = (uint16_t)(i * ACROSS + j);
			uint16_t up = (uint16_t)(i * ACROSS + (j + 1) % ACROSS);
			uint16_t right = (uint16_t)((i + 1) % AROUND * ACROSS + j);
			uint16_t both = (uint16_t)((i + 1) % AROUND * ACROSS + (j + 1) % ACROSS);
			const uint16_t corners[6] = { here, right, up, up, right, both };
			vertices[here] = torus_vertex(i, j);
			for (uint32_t k = 0; k < 6; k++) {
				*indices++ = corners[k];
			}
		}
	}
}

static void setup(struct vkb_scene *scene) {
	struct vertex vertices[AROUND * ACROSS];
	uint16_t indices[INDEX_COUNT];
	fill_torus(vertices, indices);
	vkb_buffer_create_with(
		scene->vkb, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT, vertices, sizeof(vertices), &scene->vertices);
	vkb_buffer_create_with(
		scene->vkb, VK_BUFFER_USAGE_INDEX_BUFFER_BIT, indices, sizeof(indices), &scene->indices);
	vkb_setup_target(scene, true);
	const struct vkb_graphics_params params = {
		.vertex = vkb_shader_mesh_vert,
		.fragment = vkb_shader_mesh_frag,
		.push_size = sizeof(struct push),
		.has_vertices = true,
		.has_depth = true,
	};
	vkb_setup_graphics(scene, &params);
}

static void record(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	const struct push push = { 0.02F * (float)(frame % 1024), (float)scene->work };
	const VkDeviceSize offset = 0;
	vkb_scene_begin_pass(scene, commands, frame);
	vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(push), &push);
	vkCmdBindVertexBuffers(commands, 0, 1, &scene->vertices.buffer, &offset);
	vkCmdBindIndexBuffer(commands, scene->indices.buffer, 0, VK_INDEX_TYPE_UINT16);
	vkCmdDrawIndexed(commands, INDEX_COUNT, scene->work, 0, 0, 0);
	vkCmdEndRenderPass(commands);
}

const struct vkb_scene_impl vkb_scene_mesh = {
	.name = "mesh",
	.summary = "copies of a lit, depth-tested mesh of 192 triangles",
	.setup = setup,
	.record = record,
};
