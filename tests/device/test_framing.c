/* Checks 13 to 28: from descriptors to commands and back. */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "driver/frontend.h"
#include "support/await.h"
#include "util/macros.h"

#define HDR_SIZE sizeof(struct virtio_gpu_ctrl_hdr)
#define FORMAT   VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

static struct virtio_gpu_resource_create_2d create_2d(uint32_t resource_id) {
	return (struct virtio_gpu_resource_create_2d){
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = resource_id,
		.format = FORMAT,
		.width = 4,
		.height = 4,
	};
}

/* Sends `len` bytes with `room` bytes to answer in. */
static uint32_t send_bytes(struct check *check, const void *bytes, size_t len, size_t room) {
	struct check_request request = { .cmd = bytes, .cmd_len = len, .room = room };
	return check_run(check, &request, NULL, 0);
}

static void check_013_no_command_at_all(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(send_bytes(check, NULL, 0, HDR_SIZE), CHECK_UNSPEC);
	check_close(check);
}

static void check_014_header_of_any_shorter_length(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	/* Would be a valid header were it whole: fenced, too. */
	struct virtio_gpu_ctrl_hdr hdr = {
		.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO, .flags = VIRTIO_GPU_FLAG_FENCE, .fence_id = 9
	};
	for (size_t len = 1; len < HDR_SIZE; len++) {
		assert_int_equal(send_bytes(check, &hdr, len, HDR_SIZE), CHECK_UNSPEC);
	}
	assert_int_equal(send_bytes(check, &hdr, HDR_SIZE - 1, 0), CHECK_NONE);
	check_close(check);
}

static void check_015_body_of_any_shorter_length(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_2d cmd = create_2d(1);
	for (size_t len = HDR_SIZE; len < sizeof(cmd); len++) {
		assert_int_equal(send_bytes(check, &cmd, len, HDR_SIZE), CHECK_BAD_PARAMETER);
	}
	/* None of them has made it. */
	assert_int_equal(check_unref(check, 1), CHECK_BAD_RESOURCE);
	check_close(check);
}

struct body {
	uint32_t type;
	size_t len; // of the fixed part
};

/* The sizes are written out: the table of the device is made of sizeof. */
static const struct body bodies_2d[] = {
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 40 },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, 32 },
	{ VIRTIO_GPU_CMD_SET_SCANOUT, 48 },
	{ VIRTIO_GPU_CMD_RESOURCE_FLUSH, 48 },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 56 },
	{ VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 32 },
	{ VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 32 },
	{ VIRTIO_GPU_CMD_GET_CAPSET_INFO, 32 },
	{ VIRTIO_GPU_CMD_GET_CAPSET, 32 },
	{ VIRTIO_GPU_CMD_GET_EDID, 32 },
	{ VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 32 },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 56 },
	{ VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 96 },
	{ VIRTIO_GPU_CMD_CTX_CREATE, 96 },
	{ VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 32 },
	{ VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 32 },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 72 },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 72 },
	{ VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 72 },
	{ VIRTIO_GPU_CMD_SUBMIT_3D, 32 },
	{ VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, 40 },
	{ VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 32 },
};

static void check_015_body_of_every_command_cut_short(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.has_3d = true;
	options.device.hostmem = UINT64_C(1) << 20;
	struct check *check = check_open(&options);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bodies_2d); i++) {
		uint8_t bytes[128] = { 0 };
		struct virtio_gpu_ctrl_hdr hdr = { .type = bodies_2d[i].type };
		memcpy(bytes, &hdr, sizeof(hdr));
		assert_int_equal(send_bytes(check, bytes, bodies_2d[i].len - 1, 2048), CHECK_BAD_PARAMETER);
	}
	check_close(check);
}

static void check_016_header_in_single_bytes(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info info;
	struct check_request request = {
		.cmd = &hdr, .cmd_len = sizeof(hdr), .cmd_piece = 1, .room = sizeof(info) + 8
	};
	assert_int_equal(check_run(check, &request, &info, sizeof(info)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1280);
	check_close(check);
}

/* 25 descriptors in the ring itself, without INDIRECT. */
static void check_016_header_in_a_direct_chain(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.driver.features &= ~CHECK_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	struct check *check = check_open(&options);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info info;
	for (int i = 0; i < 10; i++) {
		struct check_request request = {
			.cmd = &hdr, .cmd_len = sizeof(hdr), .cmd_piece = 1, .room = sizeof(info)
		};
		assert_int_equal(
			check_run(check, &request, &info, sizeof(info)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	check_close(check);
}

static void check_017_indirect_table_longer_than_the_queue(void **state) {
	(void)state;
	enum { PAGES = 300 };
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 640, 480, 17);
	struct neep_guest_buffer *backing = check_alloc_scattered(check, PAGES * NEEP_GUEST_PAGE_SIZE);
	check_write(backing, 0, picture.bytes, 640 * 480 * 4);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 640, 480), CHECK_OK);
	size_t count;
	struct virtio_gpu_mem_entry *entries = check_entries(backing, &count);
	assert_int_equal(count, PAGES);
	struct virtio_gpu_resource_attach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = 1,
		.nr_entries = PAGES,
	};
	/* A descriptor per entry, two for the command, one for the reply. */
	struct check_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.payload = entries,
		.payload_len = count * sizeof(*entries),
		.cmd_piece = sizeof(*entries),
		.room = HDR_SIZE,
	};
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_OK);
	struct neep_rect all = { .width = 640, .height = 480 };
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	free(entries);
	check_picture_free(&picture);
	check_close(check);
}

static void check_018_command_without_room_is_executed(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_2d cmd = create_2d(18);
	assert_int_equal(send_bytes(check, &cmd, sizeof(cmd), 0), CHECK_NONE);
	assert_int_equal(check_unref(check, 18), CHECK_OK);
	check_close(check);
}

static void check_019_room_one_byte_short(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_2d cmd = create_2d(19);
	assert_int_equal(send_bytes(check, &cmd, sizeof(cmd), HDR_SIZE - 1), CHECK_NONE);
	assert_int_equal(check_unref(check, 19), CHECK_OK);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	assert_int_equal(send_bytes(check, &hdr, sizeof(hdr), HDR_SIZE - 1), CHECK_NONE);
	check_close(check);
}

static void check_020_room_for_the_header_only(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_cmd_get_edid edid = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID };
	assert_int_equal(send_bytes(check, &hdr, sizeof(hdr), HDR_SIZE), CHECK_UNSPEC);
	assert_int_equal(send_bytes(check, &hdr, sizeof(hdr), 407), CHECK_UNSPEC);
	assert_int_equal(send_bytes(check, &edid, sizeof(edid), HDR_SIZE), CHECK_UNSPEC);
	assert_int_equal(send_bytes(check, &edid, sizeof(edid), 1055), CHECK_UNSPEC);
	check_close(check);
}

static void check_021_more_room_than_reply(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct check_request request = { .cmd = &hdr, .cmd_len = sizeof(hdr), .room = 4096 };
	check_submit(check, &request);
	check_wait(check, &request);
	assert_int_equal(check_reply(check, &request), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(request.used_len, 408);
	for (size_t i = 408; i < request.room; i++) {
		assert_int_equal(request.reply[i], CHECK_SENTINEL);
	}
	check_release(check, &request);
	check_close(check);
}

static void check_022_reply_in_single_bytes(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info whole, scattered;
	assert_int_equal(check_display_info(check, &whole), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	struct check_request request = {
		.cmd = &hdr, .cmd_len = sizeof(hdr), .room = sizeof(whole) + 10, .reply_piece = 1
	};
	assert_int_equal(
		check_run(check, &request, &scattered, sizeof(scattered)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_memory_equal(&whole, &scattered, sizeof(whole));
	check_close(check);
}

static void check_023_types_that_are_no_command(void **state) {
	(void)state;
	static const uint32_t types[] = { 0, 1, 0xff, 0xffffffff, 0x1100, 0x1200, 0x010e, 0x01ff, 0x020a,
		0x02ff, 0x80000100 };
	struct check *check = check_open(NULL);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(types); i++) {
		uint8_t bytes[128] = { 0 };
		memcpy(bytes, &types[i], sizeof(types[i]));
		assert_int_equal(send_bytes(check, bytes, sizeof(bytes), 64), CHECK_UNSPEC);
		assert_int_equal(send_bytes(check, bytes, HDR_SIZE, 64), CHECK_UNSPEC);
	}
	check_close(check);
}

static void check_024_commands_on_the_wrong_queue(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_update_cursor cursor = { .hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR };
	assert_int_equal(check_send(check, &cursor), CHECK_UNSPEC);
	cursor.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR;
	assert_int_equal(check_send(check, &cursor), CHECK_UNSPEC);
	struct virtio_gpu_resource_create_2d cmd = create_2d(24);
	struct check_request request = {
		.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmd, .cmd_len = sizeof(cmd), .room = HDR_SIZE
	};
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_UNSPEC);
	request.room = 0;
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_NONE);
	assert_int_equal(check_unref(check, 24), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_025_unknown_flags(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	/* check_reply() asserts that the reply has neither flags nor anything else of these. */
	struct virtio_gpu_ctrl_hdr hdr = {
		.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
		.flags = 0xfffffffc,
		.fence_id = 5,
		.ctx_id = 6,
		.ring_idx = 7,
		.padding = { 8, 9, 10 },
	};
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(
		check_cmd(check, &hdr, sizeof(hdr), &info, sizeof(info)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	/* RING_IDX was not negotiated: as unknown as the others, and nothing beside FENCE is echoed. */
	hdr.flags = 0xffffffff;
	assert_int_equal(
		check_cmd(check, &hdr, sizeof(hdr), &info, sizeof(info)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	check_close(check);
}

static void check_026_fence_id_without_fence(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO, .fence_id = 77 };
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(
		check_cmd(check, &hdr, sizeof(hdr), &info, sizeof(info)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.hdr.fence_id, 0);
	check_close(check);
}

/* Sends a request whose descriptors are changed by the caller first, and returns the used length. */
static uint32_t send_pieces(
	struct check *check, struct neep_guest_piece *pieces, uint32_t readable, uint32_t writable) {
	struct check_request request = {
		.buffer = { .pieces = pieces, .readable_count = readable, .writable_count = writable },
	};
	struct neep_queue *queue = neep_driver_queue(check_driver(check), NEEP_DRIVER_CONTROLQ);
	assert_int_equal(neep_queue_add(queue, &request.buffer), 0);
	neep_queue_kick(queue);
	await_turning(check_poll(check, &request), check_sleep(check, NEEP_NS_PER_MS));
	return request.used_len;
}

/* Guest memory begins at 0 and has 256 MiB; the addresses are outside it, straddle its end or wrap around. */
static void check_027_descriptors_outside_memory(void **state) {
	(void)state;
	static const uint64_t lost[] = { UINT64_C(256) << 20, (UINT64_C(256) << 20) - 12, UINT64_C(1) << 40,
		UINT64_MAX - 10, UINT64_MAX };
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	check_write(memory, 0, &hdr, sizeof(hdr));
	struct neep_guest_piece command = memory->first, reply = memory->first;
	command.len = sizeof(hdr);
	reply.guest_addr += 1024;
	reply.len = 1024;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(lost); i++) {
		struct neep_guest_piece bad_command[] = { command, reply }, bad_reply[] = { command, reply };
		bad_command[0].guest_addr = lost[i];
		bad_reply[1].guest_addr = lost[i];
		assert_int_equal(send_pieces(check, bad_command, 1, 1), 0);
		assert_int_equal(send_pieces(check, bad_reply, 1, 1), 0);
	}
	check_close(check);
}

static void check_028_offered_features(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	uint64_t offered = neep_frontend_offered_features(neep_driver_frontend(check_driver(check)));
	assert_true(offered & CHECK_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_true(offered & CHECK_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	assert_true(offered & CHECK_BIT(VIRTIO_F_VERSION_1));
	assert_false(offered & CHECK_BIT(VIRTIO_F_IN_ORDER));
	/* Not standard. */
	assert_false(offered & (CHECK_BIT(6) | CHECK_BIT(7)));
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_013_no_command_at_all),
	device_check(check_014_header_of_any_shorter_length),
	device_check(check_015_body_of_any_shorter_length),
	device_check(check_015_body_of_every_command_cut_short),
	device_check(check_016_header_in_single_bytes),
	device_check(check_016_header_in_a_direct_chain),
	device_check(check_017_indirect_table_longer_than_the_queue),
	device_check(check_018_command_without_room_is_executed),
	device_check(check_019_room_one_byte_short),
	device_check(check_020_room_for_the_header_only),
	device_check(check_021_more_room_than_reply),
	device_check(check_022_reply_in_single_bytes),
	device_check(check_023_types_that_are_no_command),
	device_check(check_024_commands_on_the_wrong_queue),
	device_check(check_025_unknown_flags),
	device_check(check_026_fence_id_without_fence),
	device_check(check_027_descriptors_outside_memory),
	device_check(check_028_offered_features),
};

int main(void) {
	return cmocka_run_group_tests_name("device framing", tests, NULL, NULL);
}
