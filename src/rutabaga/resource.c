#include "rutabaga/resource.h"

#include <errno.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>

#include "rutabaga/context.h"
#include "util/checked.h"
#include "util/fd.h"

struct neep_resource *neep_resource_find(struct rutabaga *rutabaga, uint32_t resource_id) {
	struct neep_idmap_link *link = neep_idmap_find(&rutabaga->resources, resource_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_resource, link);
}

int neep_resource_add(struct rutabaga *rutabaga, uint32_t resource_id, struct neep_resource **out) {
	if (resource_id == 0) {
		return -EINVAL;
	}
	if (neep_resource_find(rutabaga, resource_id) != NULL) {
		return -EEXIST;
	}
	if (rutabaga->usage.resources >= rutabaga->limits.resources) {
		return -ENOMEM;
	}
	struct neep_resource *resource = calloc(1, sizeof(*resource));
	if (resource == NULL) {
		return -ENOMEM;
	}
	*resource = (struct neep_resource){ .resource_id = resource_id, .blob_fd = -1 };
	neep_list_init(&resource->attachments);
	neep_idmap_insert(&rutabaga->resources, resource_id, &resource->link);
	rutabaga->usage.resources++;
	*out = resource;
	return 0;
}

/* The memory that a resource is charged for: images and textures here, host blobs there. */
static uint64_t *charge_of(struct rutabaga *rutabaga, const struct neep_resource *resource) {
	return resource->kind == NEEP_RUTABAGA_RESOURCE_BLOB ? &rutabaga->usage.blob_bytes
							     : &rutabaga->usage.image_bytes;
}

/* Whether guest and host see the same bytes, so that there is nothing to copy. */
static bool is_guest_memory(const struct neep_resource *resource) {
	return resource->kind == NEEP_RUTABAGA_RESOURCE_BLOB &&
	       resource->blob.blob_mem == RUTABAGA_BLOB_MEM_GUEST;
}

static void release_backing(struct rutabaga *rutabaga, struct neep_resource *resource) {
	rutabaga->usage.backing_entries -= resource->backing.count;
	neep_backing_finish(&resource->backing);
	resource->has_backing = false;
	/* The descriptor of a guest blob is one of this memory. */
	if (is_guest_memory(resource)) {
		neep_close_fd(&resource->blob_fd);
	}
}

void neep_resource_destroy(struct rutabaga *rutabaga, struct neep_resource *resource) {
	neep_list_for_each_safe (attachment, &resource->attachments, struct neep_attachment, resource_link) {
		neep_attachment_destroy(rutabaga, attachment);
	}
	if (resource->mapping != NULL) {
		neep_mapping_retire(resource->mapping, &rutabaga->morgue);
	}
	release_backing(rutabaga, resource);
	if (resource->object != NULL) {
		resource->object->impl->destroy(resource->object);
	}
	if (resource->kind != NEEP_RUTABAGA_RESOURCE_BLOB ||
		resource->blob.blob_mem != RUTABAGA_BLOB_MEM_GUEST) {
		*charge_of(rutabaga, resource) -= resource->size;
	}
	neep_close_fd(&resource->blob_fd);
	neep_idmap_remove(&rutabaga->resources, &resource->link);
	rutabaga->usage.resources--;
	free(resource);
}

/* What QEMU makes of RESOURCE_CREATE_2D. Guests' own textures do not look like this: no guest driver sets Y_0_TOP. */
static bool is_create_2d(const struct rutabaga_create_3d *create) {
	return create->target == 2 && create->bind == 2 && create->depth == 1 && create->array_size == 1 &&
	       create->last_level == 0 && create->nr_samples == 0 &&
	       create->flags == VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP;
}

static struct neep_component *texture_component(
	const struct rutabaga *rutabaga, const struct rutabaga_create_3d *create) {
	for (size_t i = 0; !is_create_2d(create) && i < rutabaga->component_count; i++) {
		struct neep_component *component = rutabaga->components[i];
		if (component->impl->create_3d != NULL && !component->impl->is_2d) {
			return component;
		}
	}
	return rutabaga->twod;
}

static int make_object(struct rutabaga *rutabaga, struct neep_component *component,
	const struct rutabaga_create_3d *create, struct neep_object **object) {
	int rc = component->impl->create_3d(component, create, object);
	if (rc < 0) {
		return rc;
	}
	/* Fresh pages cost nothing until touched, so the size may as well be known by having them. */
	uint64_t total;
	if (!neep_add(rutabaga->usage.image_bytes, (*object)->size, &total) ||
		total > rutabaga->limits.image_bytes) {
		(*object)->impl->destroy(*object);
		return -ENOMEM;
	}
	rutabaga->usage.image_bytes = total;
	return 0;
}

int neep_resource_create_3d(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct rutabaga_create_3d *create) {
	struct neep_resource *resource;
	int rc = neep_resource_add(rutabaga, resource_id, &resource);
	if (rc < 0) {
		return rc;
	}
	struct neep_component *component = texture_component(rutabaga, create);
	rc = make_object(rutabaga, component, create, &resource->object);
	if (rc < 0) {
		resource->object = NULL;
		neep_resource_destroy(rutabaga, resource);
		return rc;
	}
	resource->kind = component->impl->is_2d ? NEEP_RUTABAGA_RESOURCE_2D : NEEP_RUTABAGA_RESOURCE_3D;
	resource->size = resource->object->size;
	resource->width = create->width;
	resource->height = create->height;
	resource->format = create->format;
	return 0;
}

int neep_resource_set_backing(
	struct rutabaga *rutabaga, struct neep_resource *resource, const struct rutabaga_iovecs *iovecs) {
	uint64_t left = 0;
	if (rutabaga->limits.total_entries > rutabaga->usage.backing_entries) {
		left = rutabaga->limits.total_entries - rutabaga->usage.backing_entries;
	}
	size_t max =
		left < rutabaga->limits.backing_entries ? (size_t)left : rutabaga->limits.backing_entries;
	int rc = neep_backing_init(&resource->backing, iovecs->iovecs, iovecs->num_iovecs, max);
	if (rc < 0) {
		return rc;
	}
	rutabaga->usage.backing_entries += resource->backing.count;
	resource->has_backing = true;
	return 0;
}

int neep_resource_attach_backing(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct rutabaga_iovecs *iovecs) {
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	if (resource == NULL) {
		return -ENOENT;
	}
	if (resource->has_backing) {
		return -EBUSY;
	}
	if (iovecs->iovecs == NULL || iovecs->num_iovecs == 0) {
		return -EINVAL;
	}
	return neep_resource_set_backing(rutabaga, resource, iovecs);
}

int neep_resource_detach_backing(struct rutabaga *rutabaga, uint32_t resource_id) {
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	if (resource == NULL) {
		return -ENOENT;
	}
	if (!resource->has_backing) {
		return resource->kind == NEEP_RUTABAGA_RESOURCE_BLOB ? 0 : -EINVAL;
	}
	release_backing(rutabaga, resource);
	return 0;
}

int neep_resource_unref(struct rutabaga *rutabaga, uint32_t resource_id) {
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	if (resource == NULL) {
		return -ENOENT;
	}
	neep_resource_destroy(rutabaga, resource);
	return 0;
}

/* Finds the ends of a transfer. transfer->memory is NULL when the resource has no backing. */
static int transfer_init(struct rutabaga *rutabaga, const struct neep_transfer_request *request,
	struct neep_resource **resource, struct neep_transfer *transfer) {
	*resource = neep_resource_find(rutabaga, request->resource_id);
	if (*resource == NULL) {
		return -ENOENT;
	}
	*transfer = (struct neep_transfer){ .box = *request->box };
	if ((*resource)->has_backing) {
		transfer->memory = &(*resource)->backing;
	}
	if (request->ctx_id == 0) {
		return 0;
	}
	struct neep_context_slot *slot = neep_context_find(rutabaga, request->ctx_id);
	if (slot == NULL) {
		return -ESRCH;
	}
	transfer->context = slot->context;
	return 0;
}

int neep_resource_transfer_write(struct rutabaga *rutabaga, const struct neep_transfer_request *request) {
	struct neep_resource *resource;
	struct neep_transfer transfer;
	int rc = transfer_init(rutabaga, request, &resource, &transfer);
	if (rc < 0 || is_guest_memory(resource)) {
		return rc;
	}
	if (resource->object == NULL || resource->object->impl->transfer_write == NULL) {
		return -ENOTSUP;
	}
	if (transfer.memory == NULL) {
		return -EINVAL;
	}
	return resource->object->impl->transfer_write(resource->object, &transfer);
}

int neep_resource_transfer_read(struct rutabaga *rutabaga, const struct neep_transfer_request *request) {
	struct neep_resource *resource;
	struct neep_transfer transfer;
	int rc = transfer_init(rutabaga, request, &resource, &transfer);
	if (rc < 0) {
		return rc;
	}
	struct neep_backing_buffer buffer;
	if (request->iovec != NULL) {
		neep_backing_buffer_init(&buffer, request->iovec);
		transfer.memory = &buffer.backing;
	} else if (is_guest_memory(resource)) {
		return 0;
	}
	if (resource->object == NULL || resource->object->impl->transfer_read == NULL) {
		return -ENOTSUP;
	}
	if (transfer.memory == NULL) {
		return -EINVAL;
	}
	return resource->object->impl->transfer_read(resource->object, &transfer);
}
