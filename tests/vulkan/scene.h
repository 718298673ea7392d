#ifndef NEEP_TESTS_VULKAN_SCENE_H
#define NEEP_TESTS_VULKAN_SCENE_H

#include "vk.h"

/*
 * A picture to vary: a target of SCENE_SIZE squared and a pipeline that draws triangles of a vertex buffer. The grid has
 * SCENE_CELLS squared cells with two triangles each: vertices 6n to 6n + 5 are cell n, row by row, each with its own colour.
 */
#define SCENE_SIZE     128
#define SCENE_CELLS    8
#define SCENE_VERTICES (SCENE_CELLS * SCENE_CELLS * 6)

struct scene {
	struct vk_target target;
	struct vk_buffer vertices;
	VkPipelineLayout
		layout; // with 16 bytes of push constants: an offset in x, y, depth, and a factor for colours
	VkPipeline pipeline;
};

/* With a depth buffer where `depth` is true. */
void scene_create(const struct vk *vk, struct scene *scene, bool depth);
void scene_destroy(const struct vk *vk, struct scene *scene);

/* The info that the pipeline of the scene is made with, for variants. */
struct vk_pipeline_info scene_pipeline_info(const struct scene *scene, bool depth);

/* Binds pipeline and vertices and pushes no offset; in primary and secondary command buffers. */
void scene_bind(const struct scene *scene, VkCommandBuffer commands);
void scene_push(const struct scene *scene, VkCommandBuffer commands, const float offset[3], float factor);

/* Begins a command buffer and the pass, with everything bound. */
VkCommandBuffer scene_begin(const struct vk *vk, const struct scene *scene);
/* Ends both, runs them, and writes the picture out. */
void scene_end(const struct vk *vk, const struct scene *scene, VkCommandBuffer commands, const char *name);

#endif
