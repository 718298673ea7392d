/* Scanouts: which part of which resource an output shows, and how its pixels get to the sink.
 *
 * Theory of operation
 *
 * A 2D resource has a host image, and the sink shows that very image: SET_SCANOUT passes a reference, RESOURCE_FLUSH a
 * rectangle, and no pixel is copied here. Blobs and 3D resources have no such image: the scanout keeps one of its own
 * (is_copied), of the size of what is shown, which RESOURCE_FLUSH fills from guest memory, from the mapping of a host
 * blob, or by a read-back. The guest may rewrite, detach or free its pages at any time after the reply; what the sink
 * holds is ours.
 * A scanout keeps its resource by a plain pointer, and the resource its scanouts in a mask: unref takes it off first. */
#include "device/device_internal.h"

#include <errno.h>

#include "util/checked.h"
#include "util/iov.h"
#include "util/trace.h"

#define FRAMEBUFFER_SIDE_MAX 16384

static struct neep_rect rect_from_wire(const struct virtio_gpu_rect *r) {
	return (struct neep_rect){ .x = r->x, .y = r->y, .width = r->width, .height = r->height };
}

/* Lets go of the resource and of what was made for showing it; the sink is not told yet. */
static void release(struct neep_scanout *scanout, uint32_t scanout_id) {
	if (scanout->resource != NULL) {
		scanout->resource->scanouts &= ~(UINT32_C(1) << scanout_id);
		scanout->resource = NULL;
	}
	neep_rutabaga_mapping_unref(scanout->mapping);
	scanout->mapping = NULL;
}

void scanout_disable(struct neep_device *device, uint32_t scanout_id) {
	struct neep_scanout *scanout = &device->scanouts[scanout_id];
	release(scanout, scanout_id);
	neep_sink_set_scanout(device->sink, scanout_id, NULL, NULL);
	neep_image_unref(scanout->image);
	scanout->image = NULL;
}

void scanout_drop_resource(struct neep_device *device, struct neep_resource *resource) {
	while (resource->scanouts != 0) {
		scanout_disable(device, (uint32_t)__builtin_ctz(resource->scanouts));
	}
}

/* What a new binding needs; nothing of the old one has changed yet, so a failure leaves it as it was. */
struct binding {
	struct neep_resource *resource;
	struct neep_rect rect;
	struct neep_framebuffer fb;
	struct neep_image *owned_image;
	struct neep_rutabaga_mapping *owned_mapping;
	bool is_copied;
};

static void bind(struct neep_device *device, uint32_t scanout_id, const struct binding *binding) {
	struct neep_scanout *scanout = &device->scanouts[scanout_id];
	struct neep_image *old_image = scanout->image;
	release(scanout, scanout_id);
	scanout->resource = binding->resource;
	scanout->resource->scanouts |= UINT32_C(1) << scanout_id;
	scanout->rect = binding->rect;
	scanout->fb = binding->fb;
	scanout->image = binding->owned_image;
	scanout->mapping = binding->owned_mapping;
	scanout->is_copied = binding->is_copied;
	scanout->needs_all = binding->is_copied;
	struct neep_rect shown = binding->rect;
	if (binding->is_copied) {
		shown.x = 0;
		shown.y = 0;
	}
	neep_sink_set_scanout(device->sink, scanout_id, scanout->image, &shown);
	neep_image_unref(old_image);
	NEEP_TRACE4(scanout_set, scanout_id, resource_id(scanout->resource), shown.width, shown.height);
}

/* Our own image for pixels that have none. A flip between buffers of one size keeps the one there is. */
static struct neep_image *copy_target(
	const struct neep_scanout *scanout, const struct neep_rect *rect, uint32_t format) {
	struct neep_image *image = scanout->image;
	if (image != NULL && scanout->is_copied && image->width == rect->width &&
		image->height == rect->height && image->format == format) {
		return neep_image_ref(image);
	}
	return neep_image_create(rect->width, rect->height, format);
}

static uint32_t bad_rect(struct neep_device *device, const struct neep_request *request) {
	return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
		"the rectangle is empty or leaves the resource");
}

static bool shows_something(const struct neep_rect *rect, uint32_t width, uint32_t height) {
	return !neep_rect_is_empty(rect) && neep_rect_within(rect, width, height);
}

uint32_t cmd_set_scanout(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_set_scanout *cmd = &request->cmd.set_scanout;
	if (cmd->scanout_id >= device->scanout_count) {
		return request_refuse_scanout(device, request);
	}
	if (cmd->resource_id == 0) {
		scanout_disable(device, cmd->scanout_id);
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	struct binding binding = {
		.resource = resource_find(device, cmd->resource_id),
		.rect = rect_from_wire(&cmd->r),
	};
	if (binding.resource == NULL) {
		return request_refuse_resource(device, request);
	}
	if (binding.resource->kind == NEEP_RESOURCE_BLOB) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"a blob is shown by SET_SCANOUT_BLOB");
	}
	if (!shows_something(&binding.rect, binding.resource->width, binding.resource->height)) {
		return bad_rect(device, request);
	}
	binding.is_copied = binding.resource->kind == NEEP_RESOURCE_3D;
	if (binding.is_copied && !neep_format_is_known(binding.resource->format)) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "the format cannot be shown");
	}
	binding.owned_image = binding.is_copied ? copy_target(&device->scanouts[cmd->scanout_id],
							  &binding.rect, binding.resource->format)
						: neep_image_ref(resource_image(device, binding.resource));
	if (binding.owned_image == NULL) {
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	bind(device, cmd->scanout_id, &binding);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The last byte of the framebuffer must lie in the blob; its last row needs no padding behind it. */
static const char *framebuffer_mistake(const struct neep_framebuffer *fb, uint64_t blob_size) {
	if (!neep_format_is_known(fb->format)) {
		return "unknown format";
	}
	if (fb->width == 0 || fb->width > FRAMEBUFFER_SIDE_MAX || fb->height == 0 ||
		fb->height > FRAMEBUFFER_SIDE_MAX) {
		return "width and height must be 1 to 16384";
	}
	uint64_t row = (uint64_t)fb->width * NEEP_BYTES_PER_PIXEL;
	if (fb->stride < row || fb->stride % NEEP_BYTES_PER_PIXEL != 0 ||
		fb->offset % NEEP_BYTES_PER_PIXEL != 0) {
		return "the stride is shorter than a row, or not made of pixels";
	}
	/* 32 bit times 14 bit, and sums of such, fit. */
	uint64_t end = fb->offset + (uint64_t)fb->stride * (fb->height - 1) + row;
	return end > blob_size ? "the framebuffer leaves the blob" : NULL;
}

/* Host blobs are read through a mapping that the scanout holds on to. */
static int map_host_blob(struct neep_device *device, struct binding *binding) {
	if (binding->resource->blob_mem != VIRTIO_GPU_BLOB_MEM_HOST3D) {
		return 0;
	}
	struct rutabaga_mapping unused;
	int ret = rutabaga_resource_map(device->rutabaga, resource_id(binding->resource), &unused);
	if (ret < 0 && ret != -EBUSY) {
		return ret;
	}
	return neep_rutabaga_resource_mapping(
		device->rutabaga, resource_id(binding->resource), &binding->owned_mapping);
}

static uint32_t bind_blob(struct neep_device *device, struct neep_request *request, uint32_t scanout_id,
	struct binding *binding) {
	const char *mistake = framebuffer_mistake(&binding->fb, binding->resource->size);
	if (mistake != NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, mistake);
	}
	if (!shows_something(&binding->rect, binding->fb.width, binding->fb.height)) {
		return bad_rect(device, request);
	}
	int ret = map_host_blob(device, binding);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the blob cannot be mapped");
	}
	binding->is_copied = true;
	binding->owned_image = copy_target(&device->scanouts[scanout_id], &binding->rect, binding->fb.format);
	if (binding->owned_image == NULL) {
		neep_rutabaga_mapping_unref(binding->owned_mapping);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	bind(device, scanout_id, binding);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_set_scanout_blob(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_set_scanout_blob *cmd = &request->cmd.set_scanout_blob;
	if (cmd->scanout_id >= device->scanout_count) {
		return request_refuse_scanout(device, request);
	}
	if (cmd->resource_id == 0) {
		scanout_disable(device, cmd->scanout_id);
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	struct binding binding = {
		.resource = resource_find(device, cmd->resource_id),
		.rect = rect_from_wire(&cmd->r),
		.fb = {
			.width = cmd->width,
			.height = cmd->height,
			.format = cmd->format,
			/* All eight formats have one plane. */
			.stride = cmd->strides[0],
			.offset = cmd->offsets[0],
		},
	};
	if (binding.resource == NULL) {
		return request_refuse_resource(device, request);
	}
	if (binding.resource->kind != NEEP_RESOURCE_BLOB) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "not a blob");
	}
	return bind_blob(device, request, cmd->scanout_id, &binding);
}

/* Row by row from the blob's bytes; `damage` is in scanout coordinates. A backing that was detached or is too short now
 * leaves the rows as they are: the last frame stays. */
static void copy_from_blob(
	struct neep_device *device, const struct neep_scanout *scanout, const struct neep_rect *damage) {
	const struct iovec *iovecs;
	size_t count;
	struct iovec mapped;
	if (scanout->mapping != NULL) {
		mapped = (struct iovec){ .iov_base = scanout->mapping->ptr,
			.iov_len = scanout->mapping->size };
		iovecs = &mapped;
		count = 1;
	} else if (neep_rutabaga_resource_backing(
			   device->rutabaga, resource_id(scanout->resource), &iovecs, &count) < 0) {
		return;
	}
	const struct neep_framebuffer *fb = &scanout->fb;
	const struct neep_image *image = scanout->image;
	struct neep_iov_cursor cursor;
	neep_iov_cursor_init(&cursor, iovecs, count);
	uint64_t start = fb->offset + (uint64_t)(scanout->rect.y + damage->y) * fb->stride +
			 (uint64_t)(scanout->rect.x + damage->x) * NEEP_BYTES_PER_PIXEL;
	size_t row = (size_t)damage->width * NEEP_BYTES_PER_PIXEL;
	uint8_t *out =
		image->pixels + (size_t)damage->y * image->stride + (size_t)damage->x * NEEP_BYTES_PER_PIXEL;
	for (uint32_t y = 0; y < damage->height; y++) {
		neep_iov_cursor_read_at(&cursor, (size_t)(start + (uint64_t)y * fb->stride), out, row);
		out += image->stride;
	}
}

static void copy_from_3d(
	struct neep_device *device, const struct neep_scanout *scanout, const struct neep_rect *damage) {
	const struct neep_image *image = scanout->image;
	size_t start = (size_t)damage->y * image->stride + (size_t)damage->x * NEEP_BYTES_PER_PIXEL;
	struct rutabaga_transfer transfer = {
		.x = scanout->rect.x + damage->x,
		.y = scanout->rect.y + damage->y,
		.w = damage->width,
		.h = damage->height,
		.d = 1,
		.stride = image->stride,
	};
	struct iovec out = {
		.iov_base = image->pixels + start,
		.iov_len = (size_t)image->stride * image->height - start,
	};
	rutabaga_resource_transfer_read(device->rutabaga, 0, resource_id(scanout->resource), &transfer, &out);
}

static void flush_scanout(struct neep_device *device, uint32_t scanout_id, const struct neep_rect *flushed) {
	struct neep_scanout *scanout = &device->scanouts[scanout_id];
	struct neep_rect damage = neep_rect_intersect(flushed, &scanout->rect);
	if (neep_rect_is_empty(&damage)) {
		return;
	}
	damage.x -= scanout->rect.x;
	damage.y -= scanout->rect.y;
	if (scanout->needs_all) {
		damage = (struct neep_rect){ .width = scanout->rect.width, .height = scanout->rect.height };
		scanout->needs_all = false;
	}
	device->turn_bytes += (uint64_t)damage.width * damage.height * NEEP_BYTES_PER_PIXEL;
	if (scanout->is_copied) {
		neep_sink_settle(device->sink, scanout->image);
		if (scanout->resource->kind == NEEP_RESOURCE_BLOB) {
			copy_from_blob(device, scanout, &damage);
		} else {
			copy_from_3d(device, scanout, &damage);
		}
	}
	neep_sink_damage(device->sink, scanout_id, &damage);
	NEEP_TRACE3(scanout_flush, scanout_id, damage.width, damage.height);
}

/* A blob has no size in pixels but through the framebuffers that show it: the rectangle must fit each of them. */
static bool flush_fits(
	struct neep_device *device, const struct neep_resource *resource, const struct neep_rect *rect) {
	if (resource->kind != NEEP_RESOURCE_BLOB) {
		return neep_rect_within(rect, resource->width, resource->height);
	}
	for (uint32_t mask = resource->scanouts; mask != 0; mask &= mask - 1) {
		const struct neep_framebuffer *fb = &device->scanouts[__builtin_ctz(mask)].fb;
		if (!neep_rect_within(rect, fb->width, fb->height)) {
			return false;
		}
	}
	return true;
}

/* A guest that draws faster than the display reads is paced by its flushes. One with a fence is answered at once: the
 * fences behind it on its timeline must not wait for a display. */
static bool must_hold(const struct neep_device *device, const struct neep_request *request) {
	return !request->is_fenced && neep_sink_is_behind(device->sink);
}

uint32_t cmd_flush(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_flush *cmd = &request->cmd.flush;
	struct neep_resource *resource = resource_find(device, cmd->resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	struct neep_rect rect = rect_from_wire(&cmd->r);
	if (!flush_fits(device, resource, &rect)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"the rectangle leaves the resource");
	}
	for (uint32_t mask = resource->scanouts; mask != 0; mask &= mask - 1) {
		flush_scanout(device, (uint32_t)__builtin_ctz(mask), &rect);
	}
	if (resource->scanouts != 0 && must_hold(device, request)) {
		neep_list_append(&device->held_flushes, &request->link);
		return RESP_LATER;
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void flush_release(struct neep_device *device) {
	while (!neep_list_is_empty(&device->held_flushes)) {
		struct neep_request *first =
			neep_container_of(device->held_flushes.next, struct neep_request, link);
		neep_list_remove(&first->link);
		request_finish(device, first, VIRTIO_GPU_RESP_OK_NODATA);
	}
}
