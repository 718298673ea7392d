#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "gfxstream/gfxstream_internal.h"

/* Whole pages, so that no other memory shares one and Vulkan can import it. */
#define PAGE UINT64_C(4096)

/* Memory that the renderer has made, and that the guest is about to ask for. */
struct neep_gfx_published {
	struct neep_idmap_link link; // neep_gfx_context.published
	int fd;
	uint64_t size;
	uint32_t map_info;
};

static void memory_destroy(struct neep_object *base) {
	free(neep_container_of(base, struct neep_gfx_memory, base));
}

static const struct neep_object_impl memory_impl = {
	.destroy = memory_destroy,
};

struct neep_gfx_memory *neep_gfx_memory_of(const struct neep_resource *resource) {
	if (resource->object == NULL || resource->object->impl != &memory_impl) {
		return NULL;
	}
	return neep_container_of(resource->object, struct neep_gfx_memory, base);
}

/* Fills in *blob with memory, whose fd is consumed. */
static int fill_blob(const struct neep_gfx_context *context, const struct neep_gfx_memory *memory,
	int owned_fd, uint32_t map_info, struct neep_blob *blob) {
	neep_autoclose int fd = owned_fd;
	struct neep_gfx_memory *copy = malloc(sizeof(*copy));
	if (copy == NULL) {
		return -ENOMEM;
	}
	*copy = *memory;
	copy->base.impl = &memory_impl;
	copy->maker = context->serial;
	*blob = (struct neep_blob){
		.owned_fd = neep_steal_fd(&fd),
		.handle_type = RUTABAGA_HANDLE_TYPE_MEM_SHM,
		.map_info = map_info | RUTABAGA_MAP_ACCESS_RW,
		.owned_object = &copy->base,
	};
	return 0;
}

/* Ordinary memory, that those who share it can neither resize nor seal. */
static int make(const struct neep_gfx_context *context, enum neep_gfx_memory_kind kind, uint64_t size,
	struct neep_blob *blob) {
	struct neep_gfx_memory memory = { .kind = kind, .size = (size + PAGE - 1) & ~(PAGE - 1) };
	neep_autoclose int fd = neep_memfd_create("neep-blob", memory.size);
	if (fd < 0) {
		return neep_steal_fd(&fd);
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0) {
		return -errno;
	}
	return fill_blob(context, &memory, neep_steal_fd(&fd), RUTABAGA_MAP_CACHE_CACHED, blob);
}

/* Takes blob_id off the list of announced ones. */
static bool take_announced(struct neep_gfx_context *context, uint64_t blob_id) {
	for (size_t i = 0; i < context->announced_count; i++) {
		if (context->announced[i] == blob_id) {
			context->announced[i] = context->announced[--context->announced_count];
			return true;
		}
	}
	return false;
}

int neep_gfx_announce(struct neep_gfx_context *context, uint64_t blob_id) {
	if (blob_id == 0) {
		return -EINVAL;
	}
	take_announced(context, blob_id);
	if (context->announced_count == NEEP_GFX_ANNOUNCED_MAX) {
		return -ENOMEM;
	}
	context->announced[context->announced_count++] = blob_id;
	return 0;
}

int neep_gfx_publish(struct neep_gfx_context *context, const struct neep_worker_blob *blob, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	if (neep_idmap_find(&context->published, blob->blob_id) != NULL) {
		return -EPROTO;
	}
	if (context->published.count >= NEEP_GFX_PUBLISHED_MAX) {
		return -ENOSPC;
	}
	struct neep_gfx_published *published = malloc(sizeof(*published));
	if (published == NULL) {
		return -ENOMEM;
	}
	*published = (struct neep_gfx_published){
		.fd = neep_steal_fd(&fd),
		.size = blob->size,
		.map_info = blob->map_info,
	};
	neep_idmap_insert(&context->published, blob->blob_id, &published->link);
	return 0;
}

static void published_free(struct neep_gfx_published *published) {
	neep_close_fd(&published->fd);
	free(published);
}

void neep_gfx_drop_published(struct neep_gfx_context *context) {
	struct neep_idmap_link *link = neep_idmap_take_all(&context->published);
	while (link != NULL) {
		struct neep_gfx_published *published =
			neep_container_of(link, struct neep_gfx_published, link);
		link = link->next;
		published_free(published);
	}
}

/* The renderer sent it before it let the guest ask: it lies in the socket at the latest. */
static int take_published(
	struct neep_gfx_context *context, const struct rutabaga_create_blob *create, struct neep_blob *blob) {
	if (context->worker != NULL) {
		neep_worker_drain(context->worker);
	}
	struct neep_idmap_link *link = neep_idmap_find(&context->published, create->blob_id);
	if (link == NULL) {
		return -EINVAL;
	}
	neep_idmap_remove(&context->published, link);
	struct neep_gfx_published *published = neep_container_of(link, struct neep_gfx_published, link);
	struct neep_gfx_memory memory = { .kind = NEEP_GFX_PUBLISHED, .size = published->size };
	int rc = -EINVAL;
	if (create->size <= published->size) {
		rc = fill_blob(context, &memory, neep_steal_fd(&published->fd), published->map_info, blob);
	}
	published_free(published);
	return rc;
}

int neep_gfx_create_blob(
	struct neep_context *base, const struct rutabaga_create_blob *create, struct neep_blob *blob) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	bool is_announced = take_announced(context, create->blob_id);
	if (context->is_lost) {
		return -EIO;
	}
	if (create->blob_mem != RUTABAGA_BLOB_MEM_HOST3D) {
		return -EINVAL;
	}
	if (create->blob_id == 0 || is_announced) {
		return make(context, is_announced ? NEEP_GFX_EXPORTABLE : NEEP_GFX_PLAIN, create->size, blob);
	}
	return take_published(context, create, blob);
}
