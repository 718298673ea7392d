#include "wayland/virtgpu_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct memory {
	struct neep_wl_memory base;
	struct neep_wl_virtgpu *gpu; // a reference
	struct neep_wl_mapped mapped;
};

static void memory_destroy(struct neep_wl_memory *base) {
	struct memory *memory = neep_container_of(base, struct memory, base);
	neep_wl_mapped_destroy(memory->gpu, &memory->mapped);
	neep_wl_virtgpu_unref(memory->gpu);
	free(memory);
}

static const struct neep_wl_memory_impl memory_impl = { .destroy = memory_destroy };

const struct neep_wl_bo *neep_wl_memory_bo(const struct neep_wl_memory *memory) {
	return memory->impl != &memory_impl
		       ? NULL
		       : &neep_container_of(memory, const struct memory, base)->mapped.bo;
}

size_t neep_wl_size_class(size_t size, size_t page_size) {
	size_t step = page_size;
	while (size > 8 * step) {
		step *= 2;
	}
	return (size + step - 1) / step * step;
}

/* Asks the host for a template. */
static int query(
	struct neep_wl_allocator *allocator, size_t size, struct neep_wl_channel_template *template) {
	uint8_t command[NEEP_WL_CHANNEL_COMMAND_MAX], answer[NEEP_WL_CHANNEL_ANSWER_SIZE];
	/* A host that refuses writes nothing: the last answer must not be there any more. */
	memset(allocator->ring.data, 0, sizeof(answer));
	struct neep_wl_submit submit = {
		.command = command,
		.len = neep_wl_channel_query(command, (uint32_t)size),
		.ring = NEEP_WL_RING_QUERY,
		.handle = allocator->ring.bo.handle,
	};
	int result = neep_wl_virtgpu_submit(allocator->gpu, &submit);
	if (result == 0) {
		result = neep_wl_virtgpu_wait(allocator->gpu, &allocator->ring.bo);
	}
	if (result < 0) {
		return result;
	}
	memcpy(answer, allocator->ring.data, sizeof(answer));
	result = neep_wl_channel_answer(answer, template);
	/* Hosts round up to their own pages. */
	bool is_whole = template->size % allocator->gpu->page_size == 0;
	return result == 0 && (!is_whole || template->size < size || template->size > NEEP_WL_MEMORY_MAX)
		       ? -EPROTO
		       : result;
}

static const struct neep_wl_channel_template *find_template(
	struct neep_wl_allocator *allocator, size_t size) {
	for (size_t i = 0; i < allocator->template_count; i++) {
		if (allocator->sizes[i] == size) {
			return &allocator->templates[i];
		}
	}
	if (allocator->template_count == NEEP_WL_TEMPLATES_MAX ||
		query(allocator, size, &allocator->templates[allocator->template_count]) < 0) {
		return NULL;
	}
	allocator->sizes[allocator->template_count] = size;
	return &allocator->templates[allocator->template_count++];
}

/* From now on it is the caller's, and counted. */
static struct neep_wl_memory *begin(struct memory *memory, struct neep_wl_virtgpu *gpu) {
	memory->gpu = neep_wl_virtgpu_ref(gpu);
	memory->base = (struct neep_wl_memory){
		.impl = &memory_impl,
		.data = memory->mapped.data,
		.size = memory->mapped.size,
		.refs = 1,
	};
	return &memory->base;
}

struct neep_wl_memory *neep_wl_allocator_import(struct neep_wl_allocator *allocator, int fd) {
	struct memory *memory = calloc(1, sizeof(*memory));
	if (memory == NULL || neep_wl_virtgpu_import_file(allocator->gpu, fd, &memory->mapped.bo) < 0) {
		free(memory);
		return NULL;
	}
	return begin(memory, allocator->gpu);
}

struct neep_wl_memory *neep_wl_allocator_get(struct neep_wl_allocator *allocator, size_t size) {
	if (size == 0 || size > NEEP_WL_MEMORY_MAX) {
		return NULL;
	}
	const struct neep_wl_channel_template *template =
		find_template(allocator, neep_wl_size_class(size, allocator->gpu->page_size));
	struct memory *memory = template == NULL ? NULL : calloc(1, sizeof(*memory));
	if (memory == NULL) {
		return NULL;
	}
	if (neep_wl_mapped_create(
		    allocator->gpu, template->blob_id, (size_t) template->size, &memory->mapped) < 0) {
		free(memory);
		return NULL;
	}
	return begin(memory, allocator->gpu);
}

int neep_wl_allocator_init(struct neep_wl_allocator *allocator, struct neep_wl_virtgpu *gpu) {
	*allocator = (struct neep_wl_allocator){ .gpu = gpu };
	return neep_wl_mapped_create(gpu, 0, gpu->page_size, &allocator->ring);
}

void neep_wl_allocator_finish(struct neep_wl_allocator *allocator) {
	if (allocator->gpu != NULL) {
		neep_wl_mapped_destroy(allocator->gpu, &allocator->ring);
	}
}
