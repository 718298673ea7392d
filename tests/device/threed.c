#include "device/threed.h"

#include <string.h>

#include "driver/frontend.h"
#include "util/clock.h"

#define ROOM 1200

struct check_options check_3d_options(uint64_t hostmem) {
	struct check_options options = check_options();
	options.has_3d = true;
	options.device.hostmem = hostmem;
	return options;
}

void check_reset(struct check *check) {
	struct neep_driver *driver = check_driver(check);
	struct neep_frontend *frontend = neep_driver_frontend(driver);
	struct check_request none = { .is_done = false };
	uint32_t base;
	for (uint32_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		assert_int_equal(neep_frontend_enable_queue(frontend, i, false), 0);
		assert_int_equal(neep_frontend_stop_queue(frontend, i, &base), 0);
	}
	/* What the device returned until now is taken as usual. */
	check_poll(check, &none);
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_reset(neep_driver_queue(driver, (enum neep_driver_queue)i));
	}
	assert_int_equal(neep_driver_reset(driver), 0);
}

void check_restart(struct check *check) {
	struct neep_error error = { .code = 0 };
	check_reset(check);
	if (neep_driver_start(check_driver(check), &error) < 0) {
		fail_msg("the driver does not start again: %s", error.text);
	}
}

uint32_t check_ctx_destroy(struct check *check, uint32_t ctx_id) {
	struct virtio_gpu_ctx_destroy cmd = { .hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY,
						      .ctx_id = ctx_id } };
	return check_send(check, &cmd);
}

static uint32_t pair(struct check *check, uint32_t type, uint32_t ctx_id, uint32_t resource_id) {
	struct virtio_gpu_ctx_resource cmd = {
		.hdr = { .type = type, .ctx_id = ctx_id },
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_ctx_attach(struct check *check, uint32_t ctx_id, uint32_t resource_id) {
	return pair(check, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx_id, resource_id);
}

uint32_t check_ctx_detach(struct check *check, uint32_t ctx_id, uint32_t resource_id) {
	return pair(check, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, ctx_id, resource_id);
}

static uint32_t create_3d(
	struct check *check, uint32_t resource_id, uint32_t width, uint32_t height, uint32_t flags) {
	struct virtio_gpu_resource_create_3d cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D },
		.resource_id = resource_id,
		.target = 2,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.bind = 1 << 1,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
		.flags = flags,
	};
	return check_send(check, &cmd);
}

uint32_t check_create_3d(struct check *check, uint32_t resource_id, uint32_t width, uint32_t height) {
	return create_3d(check, resource_id, width, height, 0);
}

uint32_t check_create_image(struct check *check, uint32_t resource_id, uint32_t width, uint32_t height) {
	return create_3d(check, resource_id, width, height, VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP);
}

uint32_t check_map(struct check *check, uint32_t resource_id, uint64_t offset) {
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB },
		.resource_id = resource_id,
		.offset = offset,
	};
	struct virtio_gpu_resp_map_info reply = { .map_info = 0 };
	uint32_t resp = check_cmd(check, &cmd, sizeof(cmd), &reply, sizeof(reply));
	if (resp == VIRTIO_GPU_RESP_OK_MAP_INFO) {
		assert_in_range(reply.map_info, 1, 3);
		return CHECK_OK;
	}
	return resp;
}

uint32_t check_unmap(struct check *check, uint32_t resource_id) {
	struct virtio_gpu_resource_unmap_blob cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB },
		.resource_id = resource_id,
	};
	return check_send(check, &cmd);
}

uint32_t check_fake_op(struct check *check, uint32_t ctx_id, enum neep_fake_op op, const uint32_t *operands,
	size_t operand_count) {
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_op(&stream, op, operands, operand_count);
	return check_submit_stream(check, ctx_id, &stream);
}

static uint32_t memory_op(
	struct check *check, uint32_t ctx_id, enum neep_fake_op op, const uint32_t operands[static 3]) {
	const uint32_t words[] = { operands[0], operands[1], 0, operands[2] };
	return check_fake_op(check, ctx_id, op, words, NEEP_ARRAY_LEN(words));
}

uint32_t check_poke(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint32_t offset, uint32_t value) {
	return memory_op(check, ctx_id, NEEP_FAKE_OP_POKE, (uint32_t[]){ resource_id, offset, value });
}

uint32_t check_peek(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint32_t offset, uint32_t value) {
	return memory_op(check, ctx_id, NEEP_FAKE_OP_CHECK, (uint32_t[]){ resource_id, offset, value });
}

uint32_t check_create_host_blob(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size) {
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = ctx_id },
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = blob_id,
		.size = size,
	};
	return check_send(check, &cmd);
}

void check_host_blob(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint64_t size, uint8_t fill) {
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(&stream, resource_id, size, 1, fill);
	assert_int_equal(check_submit_stream(check, ctx_id, &stream), CHECK_OK);
	assert_int_equal(check_create_host_blob(check, ctx_id, resource_id, resource_id, size), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, ctx_id, resource_id), CHECK_OK);
}

static uint32_t fake_ring(int ring) {
	return ring == CHECK_GLOBAL      ? NEEP_FAKE_GLOBAL
	       : ring == CHECK_ALL_RINGS ? NEEP_FAKE_ALL_RINGS
					 : (uint32_t)ring;
}

void check_hold(struct check *check, uint32_t by, uint32_t ctx_id, int ring, bool on) {
	const uint32_t operands[] = { ctx_id, fake_ring(ring), on };
	assert_int_equal(
		check_fake_op(check, by, NEEP_FAKE_OP_HOLD, operands, NEEP_ARRAY_LEN(operands)), CHECK_OK);
}

void check_complete(struct check *check, uint32_t by, uint32_t ctx_id, int ring, uint32_t count) {
	const uint32_t operands[] = { ctx_id, fake_ring(ring), count };
	assert_int_equal(check_fake_op(check, by, NEEP_FAKE_OP_COMPLETE, operands, NEEP_ARRAY_LEN(operands)),
		CHECK_OK);
}

void check_fence_set(struct virtio_gpu_ctrl_hdr *hdr, uint32_t ctx_id, int ring, uint64_t fence_id) {
	hdr->flags = VIRTIO_GPU_FLAG_FENCE | (ring == CHECK_GLOBAL ? 0 : VIRTIO_GPU_FLAG_INFO_RING_IDX);
	hdr->fence_id = fence_id;
	hdr->ctx_id = ctx_id;
	hdr->ring_idx = (uint8_t)(ring == CHECK_GLOBAL ? 0 : ring);
}

void check_fenced_send(struct check *check, struct check_fenced *fenced, const void *cmd, size_t cmd_len) {
	assert_in_range(cmd_len, 0, sizeof(fenced->cmd));
	memcpy(fenced->cmd, cmd, cmd_len);
	fenced->request = (struct check_request){ .cmd = fenced->cmd, .cmd_len = cmd_len, .room = ROOM };
	check_submit(check, &fenced->request);
}

void check_fenced_stream(
	struct check *check, struct check_fenced *fenced, uint32_t ctx_id, int ring, uint64_t fence_id) {
	struct virtio_gpu_cmd_submit cmd = { .hdr.type = VIRTIO_GPU_CMD_SUBMIT_3D };
	check_fence_set(&cmd.hdr, ctx_id, ring, fence_id);
	check_fenced_send(check, fenced, &cmd, sizeof(cmd));
}

void check_fenced_waits(struct check *check, struct check_fenced *fenced) {
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	check_sleep(check, 2 * NEEP_NS_PER_MS);
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_false(check_poll(check, &fenced->request));
}

uint32_t check_fenced_finish(struct check *check, struct check_fenced *fenced) {
	struct virtio_gpu_ctrl_hdr sent, got;
	check_wait(check, &fenced->request);
	uint32_t resp = check_reply(check, &fenced->request);
	memcpy(&sent, fenced->cmd, sizeof(sent));
	memcpy(&got, fenced->request.reply, sizeof(got));
	assert_int_equal(got.flags, sent.flags);
	assert_int_equal(got.fence_id, sent.fence_id);
	assert_int_equal(got.ctx_id, sent.ctx_id);
	if ((sent.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) != 0) {
		assert_int_equal(got.ring_idx, sent.ring_idx);
	}
	check_release(check, &fenced->request);
	return resp;
}
