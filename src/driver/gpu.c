#include "driver/gpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sends and checks. `expected` is the OK response. */
static int run(struct neep_driver *driver, struct neep_driver_request *request, uint32_t expected) {
	struct virtio_gpu_ctrl_hdr *reply = request->reply;
	memset(reply, 0, request->reply_len);
	int64_t used = neep_driver_run(driver, request);
	if (used < 0) {
		return (int)used;
	}
	if (used < (int64_t)sizeof(*reply) ||
		(reply->type == expected && used < (int64_t)request->reply_len)) {
		return -EPROTO;
	}
	return (int)reply->type;
}

static int run_nodata(struct neep_driver *driver, const void *cmd, size_t cmd_len, const void *payload,
	size_t payload_len) {
	struct virtio_gpu_ctrl_hdr reply;
	struct neep_driver_request request = {
		.cmd = cmd,
		.cmd_len = cmd_len,
		.payload = payload,
		.payload_len = payload_len,
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	return run(driver, &request, VIRTIO_GPU_RESP_OK_NODATA);
}

#define run_plain(driver, cmd) run_nodata((driver), (cmd), sizeof(*(cmd)), NULL, 0)

int neep_cmd_get_display_info(struct neep_driver *driver, struct virtio_gpu_resp_display_info *info) {
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = info,
		.reply_len = sizeof(*info),
	};
	return run(driver, &request, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

int neep_cmd_get_edid(struct neep_driver *driver, uint32_t scanout_id, struct virtio_gpu_resp_edid *edid) {
	struct virtio_gpu_cmd_get_edid cmd = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID, .scanout = scanout_id };
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = edid,
		.reply_len = sizeof(*edid),
	};
	return run(driver, &request, VIRTIO_GPU_RESP_OK_EDID);
}

int neep_cmd_create_2d(
	struct neep_driver *driver, uint32_t resource_id, uint32_t format, uint32_t width, uint32_t height) {
	struct virtio_gpu_resource_create_2d cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = resource_id,
		.format = format,
		.width = width,
		.height = height,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_unref(struct neep_driver *driver, uint32_t resource_id) {
	struct virtio_gpu_resource_unref cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_attach_entries(struct neep_driver *driver, uint32_t resource_id,
	const struct virtio_gpu_mem_entry *entries, uint32_t count) {
	struct virtio_gpu_resource_attach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = resource_id,
		.nr_entries = count,
	};
	return run_nodata(driver, &cmd, sizeof(cmd), entries, count * sizeof(*entries));
}

/* The entries of a buffer, to be freed; NULL for want of memory. */
static struct virtio_gpu_mem_entry *entries_of(const struct neep_guest_buffer *buffer) {
	struct virtio_gpu_mem_entry *entries = calloc(buffer->piece_count, sizeof(*entries));
	const struct neep_guest_piece *pieces = neep_guest_pieces(buffer);
	for (uint32_t i = 0; entries != NULL && i < buffer->piece_count; i++) {
		entries[i].addr = pieces[i].guest_addr;
		entries[i].length = (uint32_t)pieces[i].len;
	}
	return entries;
}

int neep_cmd_attach_backing(
	struct neep_driver *driver, uint32_t resource_id, const struct neep_guest_buffer *buffer) {
	struct virtio_gpu_mem_entry *entries = entries_of(buffer);
	if (entries == NULL) {
		return -ENOMEM;
	}
	int result = neep_cmd_attach_entries(driver, resource_id, entries, buffer->piece_count);
	free(entries);
	return result;
}

int neep_cmd_detach_backing(struct neep_driver *driver, uint32_t resource_id) {
	struct virtio_gpu_resource_detach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_transfer_to_host_2d(struct neep_driver *driver, uint32_t resource_id,
	const struct virtio_gpu_rect *rect, uint64_t offset) {
	struct virtio_gpu_transfer_to_host_2d cmd = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = *rect,
		.offset = offset,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_set_scanout(struct neep_driver *driver, uint32_t scanout_id, uint32_t resource_id,
	const struct virtio_gpu_rect *rect) {
	struct virtio_gpu_set_scanout cmd = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
		.r = *rect,
		.scanout_id = scanout_id,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_flush(struct neep_driver *driver, uint32_t resource_id, const struct virtio_gpu_rect *rect) {
	struct virtio_gpu_resource_flush cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = *rect,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_assign_uuid(struct neep_driver *driver, uint32_t resource_id, uint8_t uuid[static 16]) {
	struct virtio_gpu_resource_assign_uuid cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
		.resource_id = resource_id,
	};
	struct virtio_gpu_resp_resource_uuid reply;
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	int result = run(driver, &request, VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	memcpy(uuid, reply.uuid, sizeof(reply.uuid));
	return result;
}

int neep_cmd_create_blob(struct neep_driver *driver, const struct neep_cmd_blob *blob) {
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = blob->ctx_id },
		.resource_id = blob->resource_id,
		.blob_mem = blob->blob_mem,
		.blob_flags = blob->blob_flags,
		.nr_entries = blob->backing != NULL ? blob->backing->piece_count : 0,
		.blob_id = blob->blob_id,
		.size = blob->size,
	};
	if (blob->backing == NULL) {
		return run_plain(driver, &cmd);
	}
	struct virtio_gpu_mem_entry *entries = entries_of(blob->backing);
	if (entries == NULL) {
		return -ENOMEM;
	}
	int result = run_nodata(driver, &cmd, sizeof(cmd), entries, cmd.nr_entries * sizeof(*entries));
	free(entries);
	return result;
}

int neep_cmd_set_scanout_blob(struct neep_driver *driver, const struct neep_cmd_scanout_blob *scanout) {
	struct virtio_gpu_set_scanout_blob cmd = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		.r = scanout->rect,
		.scanout_id = scanout->scanout_id,
		.resource_id = scanout->resource_id,
		.width = scanout->width,
		.height = scanout->height,
		.format = scanout->format,
		.strides = { scanout->stride },
		.offsets = { scanout->offset },
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_map_blob(struct neep_driver *driver, uint32_t resource_id, uint64_t offset, uint32_t *map_info) {
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
		.resource_id = resource_id,
		.offset = offset,
	};
	struct virtio_gpu_resp_map_info reply;
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	int result = run(driver, &request, VIRTIO_GPU_RESP_OK_MAP_INFO);
	*map_info = reply.map_info;
	return result;
}

int neep_cmd_unmap_blob(struct neep_driver *driver, uint32_t resource_id) {
	struct virtio_gpu_resource_unmap_blob cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB,
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_get_capset_info(
	struct neep_driver *driver, uint32_t index, struct virtio_gpu_resp_capset_info *info) {
	struct virtio_gpu_get_capset_info cmd = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
		.capset_index = index,
	};
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = info,
		.reply_len = sizeof(*info),
	};
	return run(driver, &request, VIRTIO_GPU_RESP_OK_CAPSET_INFO);
}

int neep_cmd_get_capset(
	struct neep_driver *driver, uint32_t capset_id, uint32_t version, void *data, size_t len) {
	struct virtio_gpu_get_capset cmd = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET,
		.capset_id = capset_id,
		.capset_version = version,
	};
	size_t reply_len = sizeof(struct virtio_gpu_resp_capset) + len;
	struct virtio_gpu_resp_capset *reply = malloc(reply_len);
	if (reply == NULL) {
		return -ENOMEM;
	}
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = reply,
		.reply_len = reply_len,
	};
	int result = run(driver, &request, VIRTIO_GPU_RESP_OK_CAPSET);
	memcpy(data, reply->capset_data, len);
	free(reply);
	return result;
}

int neep_cmd_ctx_create(
	struct neep_driver *driver, uint32_t ctx_id, uint32_t context_init, const char *name) {
	struct virtio_gpu_ctx_create cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx_id },
		.context_init = context_init,
	};
	if (name != NULL) {
		cmd.nlen = (uint32_t)strnlen(name, sizeof(cmd.debug_name));
		memcpy(cmd.debug_name, name, cmd.nlen);
	}
	return run_plain(driver, &cmd);
}

int neep_cmd_ctx_destroy(struct neep_driver *driver, uint32_t ctx_id) {
	struct virtio_gpu_ctx_destroy cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = ctx_id },
	};
	return run_plain(driver, &cmd);
}

static int ctx_resource(struct neep_driver *driver, uint32_t type, uint32_t ctx_id, uint32_t resource_id) {
	struct virtio_gpu_ctx_resource cmd = {
		.hdr = { .type = type, .ctx_id = ctx_id },
		.resource_id = resource_id,
	};
	return run_plain(driver, &cmd);
}

int neep_cmd_ctx_attach_resource(struct neep_driver *driver, uint32_t ctx_id, uint32_t resource_id) {
	return ctx_resource(driver, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx_id, resource_id);
}

int neep_cmd_ctx_detach_resource(struct neep_driver *driver, uint32_t ctx_id, uint32_t resource_id) {
	return ctx_resource(driver, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, ctx_id, resource_id);
}

int neep_cmd_create_3d(struct neep_driver *driver, struct virtio_gpu_resource_create_3d *create) {
	create->hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D;
	return run_plain(driver, create);
}

int neep_cmd_transfer_to_host_3d(struct neep_driver *driver, struct virtio_gpu_transfer_host_3d *transfer) {
	transfer->hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
	return run_plain(driver, transfer);
}

int neep_cmd_transfer_from_host_3d(struct neep_driver *driver, struct virtio_gpu_transfer_host_3d *transfer) {
	transfer->hdr.type = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D;
	return run_plain(driver, transfer);
}

int neep_cmd_submit_3d(struct neep_driver *driver, uint32_t ctx_id, const void *commands, uint32_t size) {
	struct virtio_gpu_cmd_submit cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = ctx_id },
		.size = size,
	};
	return run_nodata(driver, &cmd, sizeof(cmd), commands, size);
}

static int run_cursor(struct neep_driver *driver, const struct virtio_gpu_update_cursor *cmd) {
	struct neep_driver_request request = {
		.queue = NEEP_DRIVER_CURSORQ,
		.cmd = cmd,
		.cmd_len = sizeof(*cmd),
	};
	int64_t used = neep_driver_run(driver, &request);
	return used < 0 ? (int)used : 0;
}

int neep_cmd_update_cursor(struct neep_driver *driver, const struct virtio_gpu_update_cursor *cursor) {
	struct virtio_gpu_update_cursor cmd = *cursor;
	cmd.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR;
	return run_cursor(driver, &cmd);
}

int neep_cmd_move_cursor(struct neep_driver *driver, uint32_t scanout_id, uint32_t x, uint32_t y) {
	struct virtio_gpu_update_cursor cmd = {
		.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR,
		.pos = { .scanout_id = scanout_id, .x = x, .y = y },
	};
	return run_cursor(driver, &cmd);
}
