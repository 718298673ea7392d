/* Checks 76 to 85: the cursor queue, seen from the far end of the display socket. */
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "util/clock.h"
#include "util/macros.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
#define SIDE   64u
#define BYTES  (SIDE * SIDE * 4)
#define CURSOR 1u // the resource

static const struct neep_rect all = { .width = SIDE, .height = SIDE };

static struct virtio_gpu_update_cursor command(uint32_t type, uint32_t resource_id, int32_t x, int32_t y) {
	return (struct virtio_gpu_update_cursor){
		.hdr.type = type,
		.pos = { .x = (uint32_t)x, .y = (uint32_t)y },
		.resource_id = resource_id,
	};
}

static void update(struct check *check, uint32_t resource_id, int32_t x, int32_t y) {
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, resource_id, x, y);
	check_cursor(check, &cmd);
}

static void move(struct check *check, uint32_t resource_id, int32_t x, int32_t y) {
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_MOVE_CURSOR, resource_id, x, y);
	check_cursor(check, &cmd);
}

static struct neep_display_peer_cursor seen(struct check *check) {
	struct neep_display_peer_cursor cursor;
	check_settle_display(check);
	neep_display_peer_get_cursor(check_display(check), &cursor);
	return cursor;
}

static struct check *open_qemu(void) {
	struct check_options options = check_options();
	options.display = "qemu";
	return check_open(&options);
}

/* A cursor is what the guest wrote, alpha and all. */
static void assert_image(const struct neep_display_peer_cursor *cursor, const struct check_picture *picture) {
	assert_true(cursor->is_visible);
	assert_memory_equal(cursor->argb, picture->bytes, BYTES);
}

static struct check *open_with_cursor(struct check_picture *picture) {
	struct check *check = open_qemu();
	*picture = check_picture(FORMAT, SIDE, SIDE, 76);
	check_image(check, CURSOR, picture);
	update(check, CURSOR, 100, 50);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, picture);
	return check;
}

static void close_cursor(struct check *check, struct check_picture *picture) {
	assert_int_equal(neep_display_peer_stats(check_display(check)).errors, 0);
	check_picture_free(picture);
	check_close(check);
}

static void check_076_update(void **state) {
	(void)state;
	struct check *check = open_qemu();
	struct check_picture picture = check_picture(FORMAT, SIDE, SIDE, 76);
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 100, 50);
	cmd.hot_x = 5;
	cmd.hot_y = 6;
	check_image(check, CURSOR, &picture);
	check_cursor(check, &cmd);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(cursor.scanout_id, 0);
	assert_int_equal(cursor.x, 100);
	assert_int_equal(cursor.y, 50);
	assert_int_equal(cursor.hot_x, 5);
	assert_int_equal(cursor.hot_y, 6);
	close_cursor(check, &picture);
}

/* Drivers that ask for an answer get one. */
static void check_076_update_with_room(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 1, 2);
	cmd.hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	cmd.hdr.fence_id = 76;
	struct check_request request = {
		.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 64
	};
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_OK);
	cmd.resource_id = 99;
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_BAD_RESOURCE);
	cmd.pos.scanout_id = 16;
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_BAD_SCANOUT);
	request.cmd_len = sizeof(cmd) - 1;
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_BAD_PARAMETER);
	close_cursor(check, &picture);
}

static void check_077_negative_position(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	move(check, CURSOR, -10, -63);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_int_equal((int32_t)cursor.x, -10);
	assert_int_equal((int32_t)cursor.y, -63);
	move(check, CURSOR, INT32_MIN, INT32_MAX);
	cursor = seen(check);
	assert_image(&cursor, &picture);
	close_cursor(check, &picture);
}

/* In a screenshot the cursor is drawn where it is, cut off at the edges, wherever that is. */
static void check_077_positions_in_a_screenshot(void **state) {
	(void)state;
	static const int32_t places[] = { -10, 0, 20, 90, -64, -65, 1000, INT32_MIN, INT32_MAX };
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 100, 100, 77);
	struct neep_rect whole = { .width = 100, .height = 100 };
	struct neep_guest_buffer *cursor = check_alloc(check, BYTES);
	/* Opaque white. */
	memset(cursor->first.host, 0xff, BYTES);
	check_image(check, 2, &picture);
	assert_int_equal(check_set_scanout(check, 0, 2, &whole), CHECK_OK);
	assert_int_equal(check_flush(check, 2, &whole), CHECK_OK);
	assert_int_equal(check_create_2d(check, CURSOR, FORMAT, SIDE, SIDE), CHECK_OK);
	assert_int_equal(check_attach(check, CURSOR, cursor), CHECK_OK);
	assert_int_equal(check_transfer(check, CURSOR, &all, 0), CHECK_OK);
	update(check, CURSOR, 0, 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(places); i++) {
		uint32_t width, height;
		int64_t at = places[i];
		move(check, 0, places[i], places[i]);
		uint32_t *pixels = check_screenshot(check, 0, true, &width, &height);
		assert_int_equal(width, 100);
		for (int64_t p = 0; p < 100 * 100; p++) {
			int64_t x = p % 100, y = p / 100;
			bool is_under = x >= at && x < at + SIDE && y >= at && y < at + SIDE;
			uint32_t expected = is_under ? 0xffffff : picture.xrgb[p];
			assert_int_equal(pixels[p] & 0xffffff, expected);
		}
		free(pixels);
	}
	check_picture_free(&picture);
	check_close(check);
}

static void check_078_move_with_another_resource(void **state) {
	(void)state;
	static const uint32_t resources[] = { 0, 99, 0xffffffff };
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(resources); i++) {
		move(check, resources[i], (int32_t)i, 7);
		struct neep_display_peer_cursor cursor = seen(check);
		assert_image(&cursor, &picture);
		assert_int_equal(cursor.x, i);
		assert_int_equal(cursor.y, 7);
	}
	close_cursor(check, &picture);
}

static void check_078_move_before_any_update(void **state) {
	(void)state;
	struct check *check = open_qemu();
	move(check, 0, 3, 4);
	move(check, CURSOR, 3, 4);
	assert_false(seen(check).is_visible);
	check_close(check);
}

static void check_079_hide_and_show(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	for (int i = 0; i < 2; i++) {
		update(check, 0, 1, 1);
		assert_false(seen(check).is_visible);
		/* A move does not bring it back. */
		move(check, CURSOR, 2, 2);
		assert_false(seen(check).is_visible);
		update(check, CURSOR, 3, 3);
		struct neep_display_peer_cursor cursor = seen(check);
		assert_image(&cursor, &picture);
	}
	close_cursor(check, &picture);
}

/* The top left corner of a larger image; a smaller one has nothing beside it. */
static void assert_odd_size(struct check *check, uint32_t width, uint32_t height) {
	static uint32_t expected[SIDE * SIDE];
	struct check_picture picture = check_picture(FORMAT, width, height, width);
	struct neep_guest_buffer *backing = check_image(check, 80, &picture);
	memset(expected, 0, sizeof(expected));
	for (uint32_t y = 0; y < SIDE && y < height; y++) {
		memcpy(expected + y * SIDE, picture.bytes + (size_t)y * width * 4,
			(width < SIDE ? width : SIDE) * (size_t)4);
	}
	update(check, 80, 0, 0);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_true(cursor.is_visible);
	assert_memory_equal(cursor.argb, expected, BYTES);
	assert_int_equal(check_unref(check, 80), CHECK_OK);
	check_free(check, backing);
	check_picture_free(&picture);
}

static void check_080_odd_images(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	assert_odd_size(check, 63, 64);
	assert_odd_size(check, 16, 16);
	assert_odd_size(check, 1, 200);
	assert_odd_size(check, 1024, 1024);
	close_cursor(check, &picture);
}

static void check_080_images_that_are_not(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	/* Unknown: the old one stays. */
	update(check, 99, 9, 9);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	/* Never transferred, with no backing; and much too large. */
	assert_int_equal(check_create_2d(check, 2, FORMAT, SIDE, SIDE), CHECK_OK);
	update(check, 2, 0, 0);
	assert_int_equal(check_create_2d(check, 3, FORMAT, 4096, 4096), CHECK_OK);
	update(check, 3, 0, 0);
	cursor = seen(check);
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		assert_int_equal(cursor.argb[i], 0);
	}
	close_cursor(check, &picture);
}

/* Blobs: of tight rows; one that is too small for them is none. */
static void check_080_blobs(void **state) {
	(void)state;
	struct check_picture picture, other = check_picture(FORMAT, SIDE, SIDE, 80);
	struct check *check = open_with_cursor(&picture);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, BYTES);
	check_write(memory, 0, other.bytes, BYTES);
	assert_int_equal(check_create_blob(check, 2, memory, BYTES - 4), CHECK_OK);
	update(check, 2, 0, 0);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(check_create_blob(check, 3, memory, BYTES), CHECK_OK);
	update(check, 3, 0, 0);
	cursor = seen(check);
	assert_image(&cursor, &other);
	/* Without its memory it is none either. */
	assert_int_equal(check_detach(check, 3), CHECK_OK);
	update(check, 3, 0, 0);
	cursor = seen(check);
	assert_image(&cursor, &other);
	check_picture_free(&other);
	close_cursor(check, &picture);
}

/* Behind the display socket it is the front-end that counts its outputs. */
static void check_081_scanouts_that_are_not(void **state) {
	(void)state;
	static const uint32_t ids[] = { 16, 17, 99, 0x80000000, 0xffffffff };
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	struct neep_display_peer_stats before = neep_display_peer_stats(check_display(check));
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 1, 1);
		cmd.pos.scanout_id = ids[i];
		check_cursor(check, &cmd);
		cmd.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR;
		check_cursor(check, &cmd);
	}
	check_settle_display(check);
	struct neep_display_peer_stats after = neep_display_peer_stats(check_display(check));
	assert_int_equal(after.cursor_updates, before.cursor_updates);
	assert_int_equal(after.cursor_moves, before.cursor_moves);
	close_cursor(check, &picture);
}

static void check_081_scanouts_beyond_max_outputs(void **state) {
	(void)state;
	static const uint32_t ids[] = { 2, 15, 16, 99, 0xffffffff };
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, CURSOR, FORMAT, SIDE, SIDE), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 1, 1);
		struct check_request request = {
			.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 24
		};
		cmd.pos.scanout_id = ids[i];
		assert_int_equal(check_run(check, &request, NULL, 0), CHECK_BAD_SCANOUT);
		check_cursor(check, &cmd);
	}
	check_close(check);
}

static void check_081_the_other_scanout(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 8, 9);
	cmd.pos.scanout_id = 1;
	check_cursor(check, &cmd);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(cursor.scanout_id, 1);
	close_cursor(check, &picture);
}

static void check_082_unref_of_the_cursor(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	assert_int_equal(check_unref(check, CURSOR), CHECK_OK);
	move(check, CURSOR, 11, 12);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(cursor.x, 11);
	update(check, CURSOR, 1, 1);
	update(check, 0, 1, 1);
	assert_false(seen(check).is_visible);
	close_cursor(check, &picture);
}

static void check_083_many_moves(void **state) {
	(void)state;
	enum { MOVES = 10000, AT_ONCE = 50 };
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	static struct check_request requests[AT_ONCE];
	static struct virtio_gpu_update_cursor cmds[AT_ONCE];
	for (int32_t done = 0; done < MOVES; done += AT_ONCE) {
		for (int32_t i = 0; i < AT_ONCE; i++) {
			cmds[i] = command(VIRTIO_GPU_CMD_MOVE_CURSOR, CURSOR, done + i, 1);
			requests[i] = (struct check_request){
				.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmds[i], .cmd_len = sizeof(cmds[i])
			};
		}
		/* More than the ring holds: this waits for the device. */
		check_submit_many(check, requests, AT_ONCE);
		for (int32_t i = 0; i < AT_ONCE; i++) {
			check_wait(check, &requests[i]);
			assert_int_equal(requests[i].used_len, 0);
			check_release(check, &requests[i]);
		}
	}
	assert_int_equal(seen(check).x, MOVES - 1);
	close_cursor(check, &picture);
}

/* The display hangs: moves come back all the same. */
static void check_083_moves_while_the_display_hangs(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	neep_display_peer_pause(check_display(check), true);
	uint64_t rss = check_rss(check);
	for (int32_t i = 0; i < 5000; i++) {
		if (i % 100 == 0) {
			update(check, CURSOR, i, 2);
		}
		move(check, CURSOR, i, 2);
	}
	/* It does not keep 16 KiB for each image that nobody has seen. */
	assert_true(check_rss(check) < rss + CHECK_RSS_SLACK);
	neep_display_peer_pause(check_display(check), false);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(cursor.x, 4999);
	close_cursor(check, &picture);
}

static void check_084_fenced_transfer_then_update(void **state) {
	(void)state;
	enum { ROUNDS = 10000 };
	struct check_picture picture;
	struct check *check = open_qemu();
	picture = check_picture(FORMAT, SIDE, SIDE, 84);
	struct neep_guest_buffer *backing = check_image(check, CURSOR, &picture);
	struct virtio_gpu_transfer_to_host_2d transfer = {
		.hdr = { .type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, .flags = VIRTIO_GPU_FLAG_FENCE },
		.r = { .width = SIDE, .height = SIDE },
		.resource_id = CURSOR,
	};
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t *pixels = backing->first.host;
		pixels[0] = i;
		pixels[SIDE * SIDE - 1] = ~i;
		transfer.hdr.fence_id = i + 1;
		assert_int_equal(check_send(check, &transfer), CHECK_OK);
		update(check, CURSOR, 0, 0);
		/* The display is far slower than the guest: look at some. */
		if (i % 50 == 0 || i == ROUNDS - 1) {
			struct neep_display_peer_cursor cursor = seen(check);
			assert_int_equal(cursor.argb[0], i);
			assert_int_equal(cursor.argb[SIDE * SIDE - 1], ~i);
		}
	}
	close_cursor(check, &picture);
}

static void check_085_hot_spot_outside(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_with_cursor(&picture);
	struct virtio_gpu_update_cursor cmd = command(VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR, 1, 1);
	cmd.hot_x = 1000;
	cmd.hot_y = 0xffffffff;
	check_cursor(check, &cmd);
	struct neep_display_peer_cursor cursor = seen(check);
	assert_image(&cursor, &picture);
	assert_int_equal(cursor.hot_x, SIDE - 1);
	assert_int_equal(cursor.hot_y, SIDE - 1);
	close_cursor(check, &picture);
}

static const struct CMUnitTest tests[] = {
	device_check(check_076_update),
	device_check(check_076_update_with_room),
	device_check(check_077_negative_position),
	device_check(check_077_positions_in_a_screenshot),
	device_check(check_078_move_with_another_resource),
	device_check(check_078_move_before_any_update),
	device_check(check_079_hide_and_show),
	device_check(check_080_odd_images),
	device_check(check_080_images_that_are_not),
	device_check(check_080_blobs),
	device_check(check_081_scanouts_that_are_not),
	device_check(check_081_scanouts_beyond_max_outputs),
	device_check(check_081_the_other_scanout),
	device_check(check_082_unref_of_the_cursor),
	device_check(check_083_many_moves),
	device_check(check_083_moves_while_the_display_hangs),
	device_check(check_084_fenced_transfer_then_update),
	device_check(check_085_hot_spot_outside),
};

int main(void) {
	return cmocka_run_group_tests_name("device cursor", tests, NULL, NULL);
}
