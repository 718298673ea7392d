/*
 * A lit, turning mesh with a depth test and four samples a pixel. MESH [FOLDER [SIZE FRAMES]]: SIZE pixels high and 5/4 as
 * wide, FRAMES frames of a turn.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "shape.h"
#include "vk.h"

#include "mesh_fs.h"
#include "mesh_vs.h"

struct push {
	float camera[16]; // by columns
	float eye[4];
	float turn[4];
};

struct mesh {
	struct vk_target target;
	struct vk_buffer vertices;
	struct vk_buffer indices;
	uint32_t index_count;
	VkPipelineLayout layout;
	VkPipeline pipeline;
};

/* A camera at `eye` that looks level along -z, with a lens that holds y = `middle` in the middle. */
static void camera(float matrix[16], const float eye[3], float aspect, float middle) {
	const float zoom = 3.35f, near = 1, far = 30;
	memset(matrix, 0, 16 * sizeof(*matrix));
	float tilt = atan2f(eye[1] - middle, eye[2]), c = cosf(tilt), s = sinf(tilt);
	// Turned about x by the tilt, then projected: Vulkan's y points down, its depth goes from 0 to 1.
	const float depth = far / (near - far), offset = near * far / (near - far);
	matrix[0] = zoom / aspect;
	matrix[5] = -zoom * c;
	matrix[9] = zoom * s;
	matrix[6] = depth * s;
	matrix[10] = depth * c;
	matrix[7] = -s;
	matrix[11] = -c;
	float down = -(c * eye[1] - s * eye[2]), back = -(s * eye[1] + c * eye[2]);
	matrix[13] = -zoom * down;
	matrix[14] = depth * back + offset;
	matrix[15] = -back;
}

static void upload(const struct vk *vk, struct mesh *mesh) {
	struct shape shape;
	shape_create(&shape);
	mesh->index_count = shape.index_count;
	vk_buffer_create(vk, &mesh->vertices, shape.vertex_count * sizeof(*shape.vertices),
		VK_BUFFER_USAGE_VERTEX_BUFFER_BIT);
	memcpy(mesh->vertices.map, shape.vertices, mesh->vertices.size);
	vk_buffer_create(vk, &mesh->indices, shape.index_count * sizeof(*shape.indices),
		VK_BUFFER_USAGE_INDEX_BUFFER_BIT);
	memcpy(mesh->indices.map, shape.indices, mesh->indices.size);
	shape_destroy(&shape);
}

static void create(const struct vk *vk, struct mesh *mesh, uint32_t size) {
	static const VkVertexInputAttributeDescription attributes[] = {
		{ 0, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct shape_vertex, position) },
		{ 1, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct shape_vertex, normal) },
		{ 2, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct shape_vertex, color) },
	};
	vk_target_create(vk, &mesh->target,
		&(struct vk_target_info){
			.width = size * 5 / 4,
			.height = size,
			.depth_format = VK_FORMAT_D32_SFLOAT,
			.samples = VK_SAMPLE_COUNT_4_BIT,
		});
	upload(vk, mesh);
	mesh->layout = vk_pipeline_layout(vk, NULL, sizeof(struct push));
	mesh->pipeline = vk_graphics_pipeline(vk, &(struct vk_pipeline_info){
							  .layout = mesh->layout,
							  .pass = mesh->target.pass,
							  .vertex = VK_SHADER(mesh_vs),
							  .fragment = VK_SHADER(mesh_fs),
							  .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
							  .attributes = attributes,
							  .attribute_count = VK_COUNT(attributes),
							  .stride = sizeof(struct shape_vertex),
							  .samples = VK_SAMPLE_COUNT_4_BIT,
							  .depth = true,
						  });
}

static void draw(const struct vk *vk, const struct mesh *mesh, float angle) {
	struct push push = { .eye = { 0, 1.75f, 9.2f }, .turn = { cosf(angle), sinf(angle) } };
	camera(push.camera, push.eye, 1.25f, 0.50f);
	VkCommandBuffer commands = vk_begin(vk);
	vk_target_begin(
		&mesh->target, commands, (float[]){ 0.80f, 0.83f, 0.87f, 1 }, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, mesh->pipeline);
	vkCmdPushConstants(commands, mesh->layout, VK_SHADER_STAGE_ALL, 0, sizeof(push), &push);
	vkCmdBindVertexBuffers(commands, 0, 1, &mesh->vertices.buffer, &(VkDeviceSize){ 0 });
	vkCmdBindIndexBuffer(commands, mesh->indices.buffer, 0, VK_INDEX_TYPE_UINT32);
	vkCmdDrawIndexed(commands, mesh->index_count, 1, 0, 0, 0);
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
}

static void destroy(const struct vk *vk, struct mesh *mesh) {
	vkDestroyPipeline(vk->device, mesh->pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, mesh->layout, NULL);
	vk_buffer_destroy(vk, &mesh->indices);
	vk_buffer_destroy(vk, &mesh->vertices);
	vk_target_destroy(vk, &mesh->target);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	uint32_t size = argc > 3 ? (uint32_t)atoi(argv[2]) : 256,
		 frames = argc > 3 ? (uint32_t)atoi(argv[3]) : 3;
	struct vk vk;
	vk_open(&vk, NULL);
	struct mesh mesh;
	create(&vk, &mesh, size);
	for (uint32_t i = 0; i < frames; i++) {
		draw(&vk, &mesh, (float)i * 2 * (float)M_PI / (float)frames);
		char name[32];
		snprintf(name, sizeof(name), "mesh-%u", i);
		vk_save_image(&vk, vk_target_picture(&mesh.target), name);
	}
	destroy(&vk, &mesh);
	vk_close(&vk);
}
