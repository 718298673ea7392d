/* The device's table of resources. Pixels, backing and blobs are rutabaga's; here is what the virtio side adds. */
#include "device/device_internal.h"

#include <stdlib.h>

#include "util/pages.h"
#include "util/trace.h"

/* Rutabaga's image in the clothes of the display room. */
struct borrowed_image {
	struct neep_image base;
	struct neep_rutabaga_image *source; // a reference
};

static void borrowed_image_free(struct neep_image *image) {
	struct borrowed_image *borrowed = neep_container_of(image, struct borrowed_image, base);
	neep_rutabaga_image_unref(borrowed->source);
	free(borrowed);
}

static struct neep_image *borrow_image(struct neep_rutabaga_image *owned_source) {
	struct borrowed_image *borrowed = calloc(1, sizeof(*borrowed));
	if (borrowed == NULL) {
		neep_rutabaga_image_unref(owned_source);
		return NULL;
	}
	borrowed->source = owned_source;
	borrowed->base = (struct neep_image){
		.refs = 1,
		.width = owned_source->width,
		.height = owned_source->height,
		.stride = owned_source->stride,
		.format = owned_source->format,
		.pixels = owned_source->pixels,
		.has_own_pages = neep_pages_are_own((size_t)owned_source->stride * owned_source->height),
		.free = borrowed_image_free,
	};
	return &borrowed->base;
}

struct neep_image *resource_image(struct neep_device *device, struct neep_resource *resource) {
	if (resource->image == NULL) {
		struct neep_rutabaga_image *source;
		if (neep_rutabaga_resource_image(device->rutabaga, resource_id(resource), &source) == 0) {
			resource->image = borrow_image(source);
		}
	}
	return resource->image;
}

struct neep_resource *resource_find(struct neep_device *device, uint32_t id) {
	struct neep_idmap_link *link = neep_idmap_find(&device->resources, id);
	return link != NULL ? neep_container_of(link, struct neep_resource, link) : NULL;
}

uint32_t resource_check_new(struct neep_device *device, const struct neep_request *request, uint32_t id) {
	if (id == 0 || resource_find(device, id) != NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
			"the resource id is 0 or in use");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t resource_check_bytes(
	struct neep_device *device, const struct neep_request *request, uint64_t bytes) {
	if (bytes > device->options.quota.resource_bytes) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
			"larger than the quota of one resource");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

struct neep_resource *resource_add(struct neep_device *device, uint32_t id, enum neep_resource_kind kind) {
	/* C wants a size that is a multiple of the alignment. */
	size_t size = (sizeof(struct neep_resource) + NEEP_RESOURCE_ALIGNMENT - 1) &
		      ~(size_t)(NEEP_RESOURCE_ALIGNMENT - 1);
	struct neep_resource *resource = aligned_alloc(NEEP_RESOURCE_ALIGNMENT, size);
	if (resource == NULL) {
		return NULL;
	}
	*resource = (struct neep_resource){ .kind = kind };
	neep_idmap_insert(&device->resources, id, &resource->link);
	NEEP_TRACE2(resource_create, id, (int)kind);
	return resource;
}

static void resource_free(struct neep_device *device, struct neep_resource *resource) {
	NEEP_TRACE1(resource_destroy, resource_id(resource));
	scanout_drop_resource(device, resource);
	/* A sink that still writes it out holds a reference of its own. */
	neep_image_unref(resource->image);
	rutabaga_resource_unref(device->rutabaga, resource_id(resource));
	free(resource);
}

void resource_remove(struct neep_device *device, struct neep_resource *resource) {
	neep_assert(resource->map == NULL);
	neep_idmap_remove(&device->resources, &resource->link);
	resource_free(device, resource);
}

void resource_remove_all(struct neep_device *device) {
	struct neep_idmap_link *link = neep_idmap_take_all(&device->resources);
	while (link != NULL) {
		struct neep_resource *resource = neep_container_of(link, struct neep_resource, link);
		link = link->next;
		resource_free(device, resource);
	}
}

static bool backing_touches(struct neep_device *device, uint32_t id, uintptr_t start, uintptr_t end) {
	const struct iovec *iovecs;
	size_t count;
	if (neep_rutabaga_resource_backing(device->rutabaga, id, &iovecs, &count) < 0) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		uintptr_t base = (uintptr_t)iovecs[i].iov_base;
		if (base < end && base + iovecs[i].iov_len > start) {
			return true;
		}
	}
	return false;
}

/* Rare: memory hot-unplug, or the end of the session. */
void resource_drop_backing_in(struct neep_device *device, const void *host, size_t size) {
	uintptr_t start = (uintptr_t)host;
	neep_idmap_for_each (link, &device->resources) {
		uint32_t id = (uint32_t)link->id;
		if (backing_touches(device, id, start, start + size)) {
			rutabaga_resource_detach_backing(device->rutabaga, id);
		}
	}
}
