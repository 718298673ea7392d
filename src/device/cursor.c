/* The cursor queue, "Device Operation: cursorq". */
#include "device/device_internal.h"

#include <stdlib.h>
#include <string.h>

#include "util/iov.h"

#define CURSOR_BYTES ((size_t)NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE * NEEP_BYTES_PER_PIXEL)

/* The top left 64 x 64 of an image, transparent where it is smaller. */
static void copy_image(uint32_t *out, const struct neep_image *image) {
	memset(out, 0, CURSOR_BYTES);
	uint32_t width = image->width < NEEP_CURSOR_SIZE ? image->width : NEEP_CURSOR_SIZE;
	uint32_t height = image->height < NEEP_CURSOR_SIZE ? image->height : NEEP_CURSOR_SIZE;
	for (uint32_t y = 0; y < height; y++) {
		memcpy(out + (size_t)y * NEEP_CURSOR_SIZE, image->pixels + (size_t)y * image->stride,
			(size_t)width * NEEP_BYTES_PER_PIXEL);
	}
}

/* A blob says nothing of its layout: 64 x 64 tight rows are what drivers put there. */
static bool copy_blob(struct neep_device *device, uint32_t *out, const struct neep_resource *resource) {
	const struct iovec *iovecs;
	size_t count;
	if (resource->size < CURSOR_BYTES || neep_rutabaga_resource_backing(device->rutabaga,
						     resource_id(resource), &iovecs, &count) < 0) {
		return false;
	}
	return neep_iov_read(iovecs, count, 0, out, CURSOR_BYTES) == CURSOR_BYTES;
}

static bool copy_pixels(struct neep_device *device, struct neep_scanout *scanout, uint32_t id) {
	struct neep_resource *resource = resource_find(device, id);
	if (resource == NULL) {
		return false;
	}
	if (scanout->cursor_pixels == NULL) {
		scanout->cursor_pixels = malloc(CURSOR_BYTES);
		if (scanout->cursor_pixels == NULL) {
			return false;
		}
		scanout->cursor.argb = scanout->cursor_pixels;
	}
	if (resource->kind == NEEP_RESOURCE_BLOB) {
		return copy_blob(device, scanout->cursor_pixels, resource);
	}
	const struct neep_image *image = resource_image(device, resource);
	if (image == NULL) {
		return false;
	}
	copy_image(scanout->cursor_pixels, image);
	return true;
}

static uint32_t clamp_hot(uint32_t hot) {
	return hot < NEEP_CURSOR_SIZE ? hot : NEEP_CURSOR_SIZE - 1;
}

/* The image is copied here and now: the guest may unref the resource right after. */
static uint32_t update_image(
	struct neep_device *device, struct neep_request *request, struct neep_scanout *scanout) {
	const struct virtio_gpu_update_cursor *cmd = &request->cmd.cursor;
	if (cmd->resource_id == 0) {
		scanout->cursor.is_visible = false;
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	if (!copy_pixels(device, scanout, cmd->resource_id)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
			"the resource is no cursor image");
	}
	scanout->cursor.is_visible = true;
	scanout->cursor.hot_x = clamp_hot(cmd->hot_x);
	scanout->cursor.hot_y = clamp_hot(cmd->hot_y);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* MOVE_CURSOR moves and nothing else: drivers leave old values in its other fields. */
uint32_t cmd_cursor(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_update_cursor *cmd = &request->cmd.cursor;
	if (cmd->pos.scanout_id >= device->scanout_count) {
		return request_refuse_scanout(device, request);
	}
	struct neep_scanout *scanout = &device->scanouts[cmd->pos.scanout_id];
	bool is_update = cmd->hdr.type == VIRTIO_GPU_CMD_UPDATE_CURSOR;
	if (is_update) {
		uint32_t resp = update_image(device, request, scanout);
		if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
			return resp;
		}
	}
	scanout->cursor.x = (int32_t)cmd->pos.x;
	scanout->cursor.y = (int32_t)cmd->pos.y;
	neep_sink_cursor(device->sink, cmd->pos.scanout_id, &scanout->cursor, is_update);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void cursor_reset(struct neep_device *device) {
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		struct neep_scanout *scanout = &device->scanouts[i];
		if (scanout->cursor.is_visible) {
			scanout->cursor = (struct neep_cursor){ .argb = scanout->cursor_pixels };
			neep_sink_cursor(device->sink, i, &scanout->cursor, true);
		}
	}
}
