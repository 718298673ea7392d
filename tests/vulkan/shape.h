#ifndef NEEP_TESTS_VULKAN_SHAPE_H
#define NEEP_TESTS_VULKAN_SHAPE_H

#include <stdint.h>

struct shape_vertex {
	float position[3];
	float normal[3];
	float color[3];
};

/* Triangles of a rutabaga with its leaves, on the ground, about 4 units high; y points up. */
struct shape {
	struct shape_vertex *vertices;
	uint32_t vertex_count;
	uint32_t *indices;
	uint32_t index_count;
};

void shape_create(struct shape *shape);
void shape_destroy(struct shape *shape);

#endif
