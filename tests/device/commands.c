/* One call per command. */
#include <stdlib.h>
#include <string.h>

#include "device/harness_internal.h"

/* Behind every reply there is room that must stay as it was. */
#define ROOM_BEHIND 40

uint32_t check_cmd(struct check *check, const void *cmd, size_t cmd_len, void *reply, size_t reply_len) {
	size_t least = sizeof(struct virtio_gpu_ctrl_hdr);
	struct check_request request = {
		.cmd = cmd,
		.cmd_len = cmd_len,
		.room = (reply_len > least ? reply_len : least) + ROOM_BEHIND,
	};
	return check_run(check, &request, reply, reply_len);
}

uint32_t check_cmd_payload(
	struct check *check, const void *cmd, size_t cmd_len, const void *payload, size_t payload_len) {
	struct check_request request = {
		.cmd = cmd,
		.cmd_len = cmd_len,
		.payload = payload,
		.payload_len = payload_len,
		.room = sizeof(struct virtio_gpu_ctrl_hdr) + ROOM_BEHIND,
	};
	return check_run(check, &request, NULL, 0);
}

void check_cursor(struct check *check, const struct virtio_gpu_update_cursor *cmd) {
	struct check_request request = {
		.queue = NEEP_DRIVER_CURSORQ,
		.cmd = cmd,
		.cmd_len = sizeof(*cmd),
	};
	check_run(check, &request, NULL, 0);
}

uint32_t check_display_info(struct check *check, struct virtio_gpu_resp_display_info *reply) {
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	return check_cmd(check, &cmd, sizeof(cmd), reply, sizeof(*reply));
}

uint32_t check_get_edid(struct check *check, uint32_t scanout_id, struct virtio_gpu_resp_edid *reply) {
	struct virtio_gpu_cmd_get_edid cmd = {
		.hdr.type = VIRTIO_GPU_CMD_GET_EDID,
		.scanout = scanout_id,
	};
	return check_cmd(check, &cmd, sizeof(cmd), reply, sizeof(*reply));
}

uint32_t check_create_2d(
	struct check *check, uint32_t resource_id, uint32_t format, uint32_t width, uint32_t height) {
	struct virtio_gpu_resource_create_2d cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = resource_id,
		.format = format,
		.width = width,
		.height = height,
	};
	return check_send(check, &cmd);
}

uint32_t check_unref(struct check *check, uint32_t resource_id) {
	struct virtio_gpu_resource_unref cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_attach_entries(struct check *check, uint32_t resource_id, uint32_t nr_entries,
	const struct virtio_gpu_mem_entry *entries, size_t entry_count) {
	struct virtio_gpu_resource_attach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = resource_id,
		.nr_entries = nr_entries,
	};
	return check_cmd_payload(check, &cmd, sizeof(cmd), entries, entry_count * sizeof(*entries));
}

uint32_t check_attach(struct check *check, uint32_t resource_id, const struct neep_guest_buffer *buffer) {
	size_t count;
	struct virtio_gpu_mem_entry *entries = check_entries(buffer, &count);
	uint32_t type = check_attach_entries(check, resource_id, (uint32_t)count, entries, count);
	free(entries);
	return type;
}

uint32_t check_detach(struct check *check, uint32_t resource_id) {
	struct virtio_gpu_resource_detach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

static struct virtio_gpu_rect wire_rect(const struct neep_rect *rect) {
	return (struct virtio_gpu_rect){
		.x = rect->x, .y = rect->y, .width = rect->width, .height = rect->height
	};
}

uint32_t check_transfer(
	struct check *check, uint32_t resource_id, const struct neep_rect *rect, uint64_t offset) {
	struct virtio_gpu_transfer_to_host_2d cmd = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = wire_rect(rect),
		.offset = offset,
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_set_scanout(
	struct check *check, uint32_t scanout_id, uint32_t resource_id, const struct neep_rect *rect) {
	struct virtio_gpu_set_scanout cmd = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
		.r = wire_rect(rect),
		.scanout_id = scanout_id,
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_flush(struct check *check, uint32_t resource_id, const struct neep_rect *rect) {
	struct virtio_gpu_resource_flush cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = wire_rect(rect),
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_create_blob_entries(struct check *check, const struct virtio_gpu_resource_create_blob *cmd,
	const struct virtio_gpu_mem_entry *entries, size_t entry_count) {
	return check_cmd_payload(check, cmd, sizeof(*cmd), entries, entry_count * sizeof(*entries));
}

uint32_t check_create_blob(
	struct check *check, uint32_t resource_id, const struct neep_guest_buffer *buffer, uint64_t size) {
	size_t count;
	struct virtio_gpu_mem_entry *entries = check_entries(buffer, &count);
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.nr_entries = (uint32_t)count,
		.size = size,
	};
	uint32_t type = check_create_blob_entries(check, &cmd, entries, count);
	free(entries);
	return type;
}

uint32_t check_ctx_create(struct check *check, uint32_t ctx_id, uint32_t context_init) {
	static const char name[] = "check";
	struct virtio_gpu_ctx_create cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx_id },
		.nlen = sizeof(name) - 1,
		.context_init = context_init,
	};
	memcpy(cmd.debug_name, name, sizeof(name));
	return check_send(check, &cmd);
}

uint32_t check_submit_stream(struct check *check, uint32_t ctx_id, const struct neep_fake_stream *stream) {
	assert_false(stream->overflow);
	size_t size = neep_fake_stream_size(stream);
	struct virtio_gpu_cmd_submit cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = ctx_id },
		.size = (uint32_t)size,
	};
	return check_cmd_payload(check, &cmd, sizeof(cmd), stream->words, size);
}
