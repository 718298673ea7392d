/* Capsets, contexts, command streams, 3D resources and UUIDs, checks 113 to 121, against the fake 3D component. */
#include "device/harness.h"
#include "device/threed.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/await.h"

static struct check *open_3d(void) {
	struct check_options options = check_3d_options(0);
	return check_open(&options);
}

static uint32_t num_capsets(struct check *check) {
	struct virtio_gpu_config config;
	assert_int_equal(neep_driver_read_config(check_driver(check), 0, &config, sizeof(config)), 0);
	return config.num_capsets;
}

static uint32_t capset_info(struct check *check, uint32_t index, struct virtio_gpu_resp_capset_info *reply) {
	struct virtio_gpu_get_capset_info cmd = { .hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
		.capset_index = index };
	return check_cmd(check, &cmd, sizeof(cmd), reply, sizeof(*reply));
}

static void check_113_capset_ids_are_distinct_and_below_31_when_every_index_is_asked(void **state) {
	(void)state;
	struct check *check = open_3d();
	struct virtio_gpu_resp_capset_info info;
	uint32_t seen = 0, count = num_capsets(check);
	assert_true(count >= 2);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(capset_info(check, i, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
		assert_in_range(info.capset_id, 1, 30);
		assert_int_equal(seen >> info.capset_id & 1, 0);
		seen |= UINT32_C(1) << info.capset_id;
	}
	assert_int_equal(capset_info(check, count, &info), CHECK_BAD_PARAMETER);
	assert_int_equal(capset_info(check, UINT32_MAX, &info), CHECK_BAD_PARAMETER);
	check_close(check);
}

/* A GET_CAPSET with exactly `room` bytes for the reply. */
static uint32_t get_capset(struct check *check, uint32_t id, uint32_t version, void *reply, size_t room) {
	struct virtio_gpu_get_capset cmd = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET, .capset_id = id, .capset_version = version
	};
	struct check_request request = { .cmd = &cmd, .cmd_len = sizeof(cmd), .room = room };
	check_submit(check, &request);
	check_wait(check, &request);
	memcpy(reply, request.reply, room);
	struct virtio_gpu_ctrl_hdr hdr = { 0 };
	memcpy(&hdr, reply, request.used_len < sizeof(hdr) ? request.used_len : sizeof(hdr));
	assert_int_equal(request.used_len, hdr.type == VIRTIO_GPU_RESP_OK_CAPSET ? room : sizeof(hdr));
	check_release(check, &request);
	return hdr.type;
}

static void check_114_capset_has_its_whole_size_when_any_known_version_is_asked(void **state) {
	uint8_t reply[4096];
	(void)state;
	struct check *check = open_3d();
	for (uint32_t i = 0, count = num_capsets(check); i < count; i++) {
		struct virtio_gpu_resp_capset_info info;
		capset_info(check, i, &info);
		size_t room = sizeof(struct virtio_gpu_ctrl_hdr) + info.capset_max_size;
		assert_true(room < sizeof(reply));
		for (uint32_t version = 0; version <= info.capset_max_version; version++) {
			assert_int_equal(get_capset(check, info.capset_id, version, reply, room),
				VIRTIO_GPU_RESP_OK_CAPSET);
		}
		assert_int_equal(get_capset(check, info.capset_id, info.capset_max_version + 1, reply, room),
			CHECK_BAD_PARAMETER);
		assert_int_equal(
			get_capset(check, info.capset_id, UINT32_MAX, reply, room), CHECK_BAD_PARAMETER);
		assert_int_equal(get_capset(check, info.capset_id, 0, reply, room - 1), CHECK_UNSPEC);
	}
	static const uint32_t unknown[] = { 0, 1, 29, 31, 32, 64, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(unknown); i++) {
		assert_int_equal(get_capset(check, unknown[i], 0, reply, 1024), CHECK_BAD_PARAMETER);
	}
	check_close(check);
}

static void check_114_capset_bytes_are_those_of_the_version(void **state) {
	uint8_t reply[sizeof(struct virtio_gpu_ctrl_hdr) + NEEP_FAKE_CAPSET_SIZE];
	(void)state;
	struct check *check = open_3d();
	for (uint32_t version = 0; version <= NEEP_FAKE_CAPSET_VERSION; version++) {
		get_capset(check, NEEP_FAKE_CAPSET, version, reply, sizeof(reply));
		for (uint32_t i = 0; i < NEEP_FAKE_CAPSET_SIZE; i++) {
			assert_int_equal(
				reply[sizeof(struct virtio_gpu_ctrl_hdr) + i], (uint8_t)(version * 16 + i));
		}
	}
	check_close(check);
}

static void check_115_capset_is_padded_with_zeros_when_the_renderer_gives_less(void **state) {
	uint8_t reply[sizeof(struct virtio_gpu_ctrl_hdr) + NEEP_FAKE_SHORT_CAPSET_SIZE];
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(get_capset(check, NEEP_FAKE_SHORT_CAPSET, 0, reply, sizeof(reply)),
		VIRTIO_GPU_RESP_OK_CAPSET);
	for (uint32_t i = 0; i < NEEP_FAKE_SHORT_CAPSET_SIZE; i++) {
		assert_int_equal(reply[sizeof(struct virtio_gpu_ctrl_hdr) + i],
			i < NEEP_FAKE_SHORT_CAPSET_WRITTEN ? 0x5a : 0);
	}
	check_close(check);
}

static void check_116_capset_info_leaks_nothing_when_there_is_no_fence(void **state) {
	static const uint8_t zeros[20] = { 0 };
	(void)state;
	struct check *check = open_3d();
	struct virtio_gpu_get_capset_info cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
			.fence_id = UINT64_MAX,
			.ctx_id = UINT32_MAX },
	};
	for (cmd.capset_index = 0; cmd.capset_index < 4; cmd.capset_index++) {
		uint8_t reply[40];
		uint32_t resp = check_cmd(check, &cmd, sizeof(cmd), reply, sizeof(reply));
		assert_memory_equal(reply + 4, zeros, 20);
		if (resp == VIRTIO_GPU_RESP_OK_CAPSET_INFO) {
			assert_memory_equal(reply + 36, zeros, 4);
		}
	}
	check_close(check);
}

static uint32_t ctx_create_named(struct check *check, uint32_t ctx_id, uint32_t nlen, uint8_t fill) {
	struct virtio_gpu_ctx_create cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx_id },
		.nlen = nlen,
		.context_init = NEEP_FAKE_CAPSET,
	};
	memset(cmd.debug_name, fill, sizeof(cmd.debug_name));
	return check_send(check, &cmd);
}

static void check_117_context_is_refused_when_its_id_or_capset_is_wrong(void **state) {
	static const uint32_t bad_inits[] = { 1, 5, 29, 31, 63, 255, 0x100 | NEEP_FAKE_CAPSET, 0x80000000,
		UINT32_MAX };
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 0, NEEP_FAKE_CAPSET), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_create(check, UINT32_MAX, NEEP_FAKE_SHORT_CAPSET), CHECK_OK);
	assert_int_equal(check_ctx_create(check, 3, 0), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_inits); i++) {
		assert_int_equal(check_ctx_create(check, 2, bad_inits[i]), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_counts(check).device.contexts, 3);
	check_close(check);
}

static void check_117_context_name_is_not_read_beyond_its_end(void **state) {
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(ctx_create_named(check, 1, 64, 'x'), CHECK_OK);
	assert_int_equal(ctx_create_named(check, 2, 0, 'x'), CHECK_OK);
	assert_int_equal(ctx_create_named(check, 3, 63, 0xff), CHECK_OK);
	assert_int_equal(ctx_create_named(check, 4, 65, 'x'), CHECK_BAD_PARAMETER);
	assert_int_equal(ctx_create_named(check, 4, UINT32_MAX, 'x'), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_117_context_init_means_nothing_when_the_feature_was_not_accepted(void **state) {
	(void)state;
	struct check_options options = check_3d_options(0);
	options.driver.features &= ~CHECK_BIT(VIRTIO_GPU_F_CONTEXT_INIT);
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, 1, UINT32_MAX), CHECK_OK);
	/* Nor do rings: the fence is a global one. */
	struct virtio_gpu_cmd_submit cmd = { .hdr.type = VIRTIO_GPU_CMD_SUBMIT_3D };
	check_fence_set(&cmd.hdr, 1, 255, 8);
	struct check_request request = { .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 24 };
	struct virtio_gpu_ctrl_hdr reply;
	check_submit(check, &request);
	check_wait(check, &request);
	memcpy(&reply, request.reply, sizeof(reply));
	assert_int_equal(reply.type, CHECK_OK);
	assert_int_equal(reply.flags, VIRTIO_GPU_FLAG_FENCE);
	assert_int_equal(reply.ring_idx, 0);
	check_release(check, &request);
	check_close(check);
}

static void check_118_pairs_are_refused_when_an_end_is_unknown(void **state) {
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_destroy(check, 0), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_destroy(check, 1), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 1, 0), CHECK_BAD_RESOURCE);
	assert_int_equal(check_ctx_attach(check, 1, 5), CHECK_BAD_RESOURCE);
	assert_int_equal(check_ctx_detach(check, 1, 5), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_3d(check, 5, 16, 16), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 2, 5), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_detach(check, 2, 5), CHECK_BAD_CONTEXT);
	assert_int_equal(check_ctx_attach(check, 0, 5), CHECK_BAD_CONTEXT);
	assert_int_equal(check_counts(check).fake.attached, 0);
	check_close(check);
}

static void check_118_attachment_counts_once_when_it_is_made_twice(void **state) {
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(check_create_3d(check, 5, 16, 16), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 1, 5), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 1, 5), CHECK_OK);
	assert_int_equal(check_counts(check).fake.attached, 1);
	assert_int_equal(check_ctx_detach(check, 1, 5), CHECK_OK);
	assert_int_equal(check_counts(check).fake.attached, 0);
	assert_int_equal(check_ctx_detach(check, 1, 5), CHECK_OK);
	/* Without DETACH: UNREF first here, CTX_DESTROY first there. */
	assert_int_equal(check_ctx_attach(check, 1, 5), CHECK_OK);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	assert_int_equal(check_counts(check).fake.attached, 0);
	assert_int_equal(check_create_3d(check, 5, 16, 16), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 1, 5), CHECK_OK);
	assert_int_equal(check_ctx_destroy(check, 1), CHECK_OK);
	assert_int_equal(check_counts(check).fake.textures, 1);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	assert_int_equal(check_counts(check).fake.textures, 0);
	check_close(check);
}

static uint32_t submit_of(struct check *check, uint32_t ctx_id, uint32_t size, size_t payload_len) {
	struct virtio_gpu_cmd_submit cmd = { .hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = ctx_id },
		.size = size };
	static const uint32_t nops[16384]; // NOP is 0
	assert_in_range(payload_len, 0, sizeof(nops));
	if (payload_len == 0) {
		return check_send(check, &cmd);
	}
	return check_cmd_payload(check, &cmd, sizeof(cmd), nops, payload_len);
}

static void check_119_stream_is_refused_when_its_size_is_not_there(void **state) {
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(submit_of(check, 1, 64, 64), CHECK_OK);
	uint64_t rss = check_rss(check);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(submit_of(check, 1, UINT32_MAX, 64), CHECK_BAD_PARAMETER);
		assert_int_equal(submit_of(check, 1, 0x80000000, 64), CHECK_BAD_PARAMETER);
		assert_int_equal(submit_of(check, 1, 65, 64), CHECK_BAD_PARAMETER);
	}
	assert_in_range(check_rss(check), 0, rss + CHECK_RSS_SLACK);
	assert_int_equal(submit_of(check, 1, 0, 0), CHECK_OK);
	assert_int_equal(submit_of(check, 1, 0, 64), CHECK_OK);
	assert_int_equal(submit_of(check, 2, 0, 0), CHECK_BAD_CONTEXT);
	assert_int_equal(submit_of(check, 0, 64, 64), CHECK_BAD_CONTEXT);
	check_close(check);
}

static void check_119_stream_is_refused_when_it_is_over_the_quota(void **state) {
	(void)state;
	struct check_options options = check_3d_options(0);
	options.device.quota.submit_bytes = 4096;
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(submit_of(check, 1, 4096, 4096), CHECK_OK);
	assert_int_equal(submit_of(check, 1, 4100, 4100), CHECK_NO_MEMORY);
	check_close(check);
}

/* What has an image on the host is limited as those of CREATE_2D are. */
static void check_120_image_is_refused_when_it_is_over_the_quota(void **state) {
	(void)state;
	struct check_options options = check_3d_options(0);
	options.device.quota.resource_bytes = 4096;
	struct check *check = check_open(&options);
	assert_int_equal(check_create_image(check, 1, 32, 33), CHECK_NO_MEMORY);
	assert_int_equal(check_counts(check).device.bytes, 0);
	assert_int_equal(check_create_image(check, 1, 32, 32), CHECK_OK);
	assert_int_equal(check_counts(check).device.bytes, 4096);
	check_close(check);
}

static void check_119_context_goes_on_when_a_stream_fails(void **state) {
	static const uint32_t errors[] = { EINVAL, ENOMEM, EIO, ENOENT };
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(errors); i++) {
		assert_true(check_fake_op(check, 1, NEEP_FAKE_OP_FAIL, &errors[i], 1) >= CHECK_UNSPEC);
		assert_int_equal(submit_of(check, 1, 64, 64), CHECK_OK);
	}
	check_close(check);
}

/* A stream in guest memory that another processor of the guest rewrites. */
struct rewriter {
	pthread_t thread;
	atomic_bool stop;
	volatile uint32_t *words;
	size_t count;
};

static void *rewrite(void *data) {
	struct rewriter *rewriter = data;
	for (uint32_t n = 1; !atomic_load(&rewriter->stop); n++) {
		for (size_t i = 0; i < rewriter->count; i++) {
			rewriter->words[i] = n % 2 == 0 ? 0 : n * 2654435761u >> (i % 24);
		}
	}
	return NULL;
}

/* The harness checks that a device leaves readable memory alone, which here is never twice the same: so this goes to the
 * ring by hand. */
static void submit_moving(struct check *check, const struct neep_guest_buffer *memory, size_t stream_len) {
	struct neep_queue *queue = neep_driver_queue(check_driver(check), NEEP_DRIVER_CONTROLQ);
	const struct neep_guest_piece *whole = &memory->first;
	const size_t head = sizeof(struct virtio_gpu_cmd_submit), tail = head + stream_len;
	struct neep_guest_piece pieces[] = {
		{ whole->guest_addr, whole->host, head },
		{ whole->guest_addr + head, (char *)whole->host + head, stream_len },
		{ whole->guest_addr + tail, (char *)whole->host + tail, 24 },
	};
	struct neep_queue_buffer buffer = { .pieces = pieces, .readable_count = 2, .writable_count = 1 };
	assert_int_equal(neep_queue_add(queue, &buffer), 0);
	neep_queue_kick(queue);
	await_turning(neep_queue_get(queue) == &buffer, );
	assert_int_equal(buffer.used_len, 24);
	uint32_t type;
	memcpy(&type, pieces[2].host, sizeof(type));
	assert_true(type == CHECK_OK || type >= CHECK_UNSPEC);
}

static void check_119_device_lives_when_the_guest_rewrites_the_stream_meanwhile(void **state) {
	const size_t stream_len = 256 << 10;
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	struct neep_guest_buffer *memory =
		check_alloc(check, sizeof(struct virtio_gpu_cmd_submit) + stream_len + 24);
	const struct virtio_gpu_cmd_submit cmd = { .hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1 },
		.size = (uint32_t)stream_len };
	check_write(memory, 0, &cmd, sizeof(cmd));
	struct rewriter rewriter = {
		.words = (volatile uint32_t *)((char *)memory->first.host + sizeof(cmd)),
		.count = stream_len / 4,
	};
	assert_int_equal(pthread_create(&rewriter.thread, NULL, rewrite, &rewriter), 0);
	for (size_t i = 0; i < 300; i++) {
		submit_moving(check, memory, stream_len);
	}
	atomic_store(&rewriter.stop, true);
	pthread_join(rewriter.thread, NULL);
	check_close(check);
}

static void check_120_resource_does_not_exist_when_the_renderer_refused_it(void **state) {
	static const uint32_t errors[] = { EINVAL, ENOMEM, EIO };
	(void)state;
	struct check *check = open_3d();
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(errors); i++) {
		const uint32_t operands[] = { NEEP_FAKE_CALL_CREATE_3D, errors[i], 1 };
		assert_int_equal(check_fake_op(check, 1, NEEP_FAKE_OP_REFUSE, operands, 3), CHECK_OK);
		assert_true(check_create_3d(check, 5, 16, 16) >= CHECK_UNSPEC);
		assert_int_equal(check_unref(check, 5), CHECK_BAD_RESOURCE);
	}
	assert_int_equal(check_create_3d(check, 5, 0, 16), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_3d(check, 0, 16, 16), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_3d(check, 5, 16, 16), CHECK_OK);
	assert_int_equal(check_create_3d(check, 5, 16, 16), CHECK_BAD_RESOURCE);
	assert_int_equal(
		check_create_2d(check, 5, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	assert_int_equal(check_counts(check).fake.textures, 0);
	check_close(check);
}

static uint32_t transfer_3d(struct check *check, uint32_t type, uint32_t ctx_id, uint32_t resource_id,
	const struct virtio_gpu_box *box) {
	struct virtio_gpu_transfer_host_3d cmd = {
		.hdr = { .type = type, .ctx_id = ctx_id }, .box = *box, .resource_id = resource_id
	};
	return check_send(check, &cmd);
}

static void check_120_texture_keeps_its_pixels_when_they_go_there_and_back(void **state) {
	const struct virtio_gpu_box box = { .w = 32, .h = 16, .d = 1 };
	const size_t size = 32 * 16 * 4;
	(void)state;
	struct check *check = open_3d();
	uint8_t sent[32 * 16 * 4];
	for (size_t i = 0; i < size; i++) {
		sent[i] = (uint8_t)(i * 7 + i / 256);
	}
	struct neep_guest_buffer *memory = check_alloc(check, size);
	assert_int_equal(check_create_3d(check, 5, 32, 16), CHECK_OK);
	assert_int_equal(
		transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 5, &box), CHECK_BAD_PARAMETER);
	assert_int_equal(check_attach(check, 5, memory), CHECK_OK);
	check_write(memory, 0, sent, size);
	assert_int_equal(transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 5, &box), CHECK_OK);
	memset(memory->first.host, 0, size);
	assert_int_equal(transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 0, 5, &box), CHECK_OK);
	assert_memory_equal(memory->first.host, sent, size);
	assert_int_equal(
		transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 9, 5, &box), CHECK_BAD_CONTEXT);
	assert_int_equal(
		transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 6, &box), CHECK_BAD_RESOURCE);
	const struct virtio_gpu_box outside = { .x = UINT32_MAX, .w = 2, .h = 1, .d = 1 };
	assert_int_equal(
		transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 5, &outside), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_120_output_shows_the_texture_when_a_3d_resource_is_scanned_out(void **state) {
	(void)state;
	struct check *check = open_3d();
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 48, 3);
	struct neep_guest_buffer *memory = check_alloc(check, 64 * 48 * 4);
	const struct virtio_gpu_box box = { .w = 64, .h = 48, .d = 1 };
	const struct neep_rect all = { .width = 64, .height = 48 };
	check_write(memory, 0, picture.bytes, 64 * 48 * 4);
	assert_int_equal(check_create_3d(check, 5, 64, 48), CHECK_OK);
	assert_int_equal(check_attach(check, 5, memory), CHECK_OK);
	assert_int_equal(transfer_3d(check, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 5, &box), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 0, 5, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 5, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	check_shows_nothing(check, 0);
	check_picture_free(&picture);
	check_close(check);
}

static uint32_t assign_uuid(struct check *check, uint32_t resource_id, uint8_t uuid[static 16]) {
	struct virtio_gpu_resource_assign_uuid cmd = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
		.resource_id = resource_id };
	struct virtio_gpu_resp_resource_uuid reply = { .uuid = { 0 } };
	uint32_t resp = check_cmd(check, &cmd, sizeof(cmd), &reply, sizeof(reply));
	memcpy(uuid, reply.uuid, 16);
	return resp;
}

static void check_121_uuid_is_the_resources_own_for_its_life(void **state) {
	uint8_t first[16], again[16], other[16], next[16];
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(assign_uuid(check, 1, first), CHECK_BAD_RESOURCE);
	assert_int_equal(assign_uuid(check, 0, first), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_2d(check, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
	assert_int_equal(check_create_2d(check, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
	assert_int_equal(assign_uuid(check, 1, first), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_int_equal(assign_uuid(check, 1, again), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_int_equal(assign_uuid(check, 2, other), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_memory_equal(first, again, 16);
	assert_memory_not_equal(first, other, 16);
	assert_int_equal(check_unref(check, 1), CHECK_OK);
	assert_int_equal(assign_uuid(check, 1, next), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_2d(check, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
	assert_int_equal(assign_uuid(check, 1, next), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_memory_not_equal(first, next, 16);
	assert_int_equal(next[6] >> 4, 4);
	assert_int_equal(next[8] >> 6, 2);
	check_close(check);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(check_113_capset_ids_are_distinct_and_below_31_when_every_index_is_asked),
		device_check(check_114_capset_has_its_whole_size_when_any_known_version_is_asked),
		device_check(check_114_capset_bytes_are_those_of_the_version),
		device_check(check_115_capset_is_padded_with_zeros_when_the_renderer_gives_less),
		device_check(check_116_capset_info_leaks_nothing_when_there_is_no_fence),
		device_check(check_117_context_is_refused_when_its_id_or_capset_is_wrong),
		device_check(check_117_context_name_is_not_read_beyond_its_end),
		device_check(check_117_context_init_means_nothing_when_the_feature_was_not_accepted),
		device_check(check_118_pairs_are_refused_when_an_end_is_unknown),
		device_check(check_118_attachment_counts_once_when_it_is_made_twice),
		device_check(check_119_stream_is_refused_when_its_size_is_not_there),
		device_check(check_119_stream_is_refused_when_it_is_over_the_quota),
		device_check(check_120_image_is_refused_when_it_is_over_the_quota),
		device_check(check_119_context_goes_on_when_a_stream_fails),
		device_check(check_119_device_lives_when_the_guest_rewrites_the_stream_meanwhile),
		device_check(check_120_resource_does_not_exist_when_the_renderer_refused_it),
		device_check(check_120_texture_keeps_its_pixels_when_they_go_there_and_back),
		device_check(check_120_output_shows_the_texture_when_a_3d_resource_is_scanned_out),
		device_check(check_121_uuid_is_the_resources_own_for_its_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
