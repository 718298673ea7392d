/* One typed call per virtio-gpu command: virtio 1.2 and later, "GPU Device", "Device Operation".
 *
 * Each sends the command, waits, and returns the response type (VIRTIO_GPU_RESP_*, positive), or a negative errno: those
 * of neep_driver_call(), and -EPROTO when the device wrote less than a response header or returned OK with less than
 * the response of that command. Safe from any thread, see driver.h. */
#ifndef NEEP_DRIVER_GPU_H
#define NEEP_DRIVER_GPU_H

#include <stdint.h>

#include <linux/virtio_gpu.h>

#include "driver/driver.h"

/* What an output parameter gets when the response is not OK: zeros. */

int neep_cmd_get_display_info(struct neep_driver *driver, struct virtio_gpu_resp_display_info *info);
int neep_cmd_get_edid(struct neep_driver *driver, uint32_t scanout_id, struct virtio_gpu_resp_edid *edid);

int neep_cmd_create_2d(
	struct neep_driver *driver, uint32_t resource_id, uint32_t format, uint32_t width, uint32_t height);
int neep_cmd_unref(struct neep_driver *driver, uint32_t resource_id);

/* Attaches the pieces of `buffer`, in order. */
int neep_cmd_attach_backing(
	struct neep_driver *driver, uint32_t resource_id, const struct neep_guest_buffer *buffer);
/* Attaches any entries. */
int neep_cmd_attach_entries(struct neep_driver *driver, uint32_t resource_id,
	const struct virtio_gpu_mem_entry *entries, uint32_t count);
int neep_cmd_detach_backing(struct neep_driver *driver, uint32_t resource_id);

/* `offset` is bytes into the backing. */
int neep_cmd_transfer_to_host_2d(struct neep_driver *driver, uint32_t resource_id,
	const struct virtio_gpu_rect *rect, uint64_t offset);
int neep_cmd_set_scanout(struct neep_driver *driver, uint32_t scanout_id, uint32_t resource_id,
	const struct virtio_gpu_rect *rect);
int neep_cmd_flush(struct neep_driver *driver, uint32_t resource_id, const struct virtio_gpu_rect *rect);
int neep_cmd_assign_uuid(struct neep_driver *driver, uint32_t resource_id, uint8_t uuid[static 16]);

/* ---- blobs ---- */

struct neep_cmd_blob {
	uint32_t ctx_id;
	uint32_t resource_id;
	uint32_t blob_mem;
	uint32_t blob_flags;
	uint64_t blob_id;
	uint64_t size;                           // bytes
	const struct neep_guest_buffer *backing; // NULL for none
};
int neep_cmd_create_blob(struct neep_driver *driver, const struct neep_cmd_blob *blob);

struct neep_cmd_scanout_blob {
	uint32_t scanout_id;
	uint32_t resource_id;
	struct virtio_gpu_rect rect;
	uint32_t width, height;
	uint32_t format;
	uint32_t stride; // bytes
	uint32_t offset; // bytes
};
int neep_cmd_set_scanout_blob(struct neep_driver *driver, const struct neep_cmd_scanout_blob *scanout);

/* `offset` is bytes into the window; *map_info gets the caching, VIRTIO_GPU_MAP_CACHE_*. */
int neep_cmd_map_blob(struct neep_driver *driver, uint32_t resource_id, uint64_t offset, uint32_t *map_info);
int neep_cmd_unmap_blob(struct neep_driver *driver, uint32_t resource_id);

/* ---- contexts and 3D ---- */

int neep_cmd_get_capset_info(
	struct neep_driver *driver, uint32_t index, struct virtio_gpu_resp_capset_info *info);
/* `data` gets `len` bytes: max_size of the capset's info. */
int neep_cmd_get_capset(
	struct neep_driver *driver, uint32_t capset_id, uint32_t version, void *data, size_t len);

/* `name` may be NULL. */
int neep_cmd_ctx_create(struct neep_driver *driver, uint32_t ctx_id, uint32_t context_init, const char *name);
int neep_cmd_ctx_destroy(struct neep_driver *driver, uint32_t ctx_id);
int neep_cmd_ctx_attach_resource(struct neep_driver *driver, uint32_t ctx_id, uint32_t resource_id);
int neep_cmd_ctx_detach_resource(struct neep_driver *driver, uint32_t ctx_id, uint32_t resource_id);

/* The caller fills everything but the header's type. */
int neep_cmd_create_3d(struct neep_driver *driver, struct virtio_gpu_resource_create_3d *create);
int neep_cmd_transfer_to_host_3d(struct neep_driver *driver, struct virtio_gpu_transfer_host_3d *transfer);
int neep_cmd_transfer_from_host_3d(struct neep_driver *driver, struct virtio_gpu_transfer_host_3d *transfer);

/* Without a fence. For fences and for many submits in flight fill a struct neep_driver_request. */
int neep_cmd_submit_3d(struct neep_driver *driver, uint32_t ctx_id, const void *commands, uint32_t size);

/* ---- cursor queue ---- */

/* The cursor commands have no response: these return 0 or a negative errno. resource_id 0 hides the cursor. */
int neep_cmd_update_cursor(struct neep_driver *driver, const struct virtio_gpu_update_cursor *cursor);
int neep_cmd_move_cursor(struct neep_driver *driver, uint32_t scanout_id, uint32_t x, uint32_t y);

#endif
