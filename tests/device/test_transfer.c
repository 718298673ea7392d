/* Checks 56 to 66: pixels from the guest to the image, and from there to the display. */
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "util/macros.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define WIDTH  32u
#define HEIGHT 24u
#define BYTES  (WIDTH * HEIGHT * 4)

static const struct neep_rect all = { .width = WIDTH, .height = HEIGHT };

/* Resource 1 on output 0. */
static void show(struct check *check) {
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
}

/* A picture in resource 1, and another one in its backing. */
struct two_pictures {
	struct check *check;
	struct neep_guest_buffer *backing;
	struct check_picture before; // in the image
	struct check_picture after;  // in the backing
};

static struct two_pictures open_two_pictures(void) {
	struct two_pictures two = {
		.check = check_open(NULL),
		.before = check_picture(FORMAT, WIDTH, HEIGHT, 1),
		.after = check_picture(FORMAT, WIDTH, HEIGHT, 2),
	};
	two.backing = check_image(two.check, 1, &two.before);
	check_write(two.backing, 0, two.after.bytes, BYTES);
	return two;
}

static void close_two_pictures(struct two_pictures *two) {
	check_picture_free(&two->before);
	check_picture_free(&two->after);
	check_close(two->check);
}

static void assert_before(struct two_pictures *two) {
	show(two->check);
	check_shows(two->check, 0, &two->before, NULL);
}

static void run_056_formats(const char *display) {
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	struct check_options options = check_options();
	options.display = display;
	struct check *check = check_open(&options);
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		struct check_picture picture = check_picture(formats[i], 75, 43, i);
		struct neep_rect whole = { .width = 75, .height = 43 };
		check_image(check, i + 1, &picture);
		assert_int_equal(check_set_scanout(check, 0, i + 1, &whole), CHECK_OK);
		assert_int_equal(check_flush(check, i + 1, &whole), CHECK_OK);
		check_shows(check, 0, &picture, NULL);
		check_picture_free(&picture);
	}
	check_close(check);
}

static void check_056_formats_in_a_screenshot(void **state) {
	(void)state;
	run_056_formats("headless");
}

static void check_056_formats_on_the_display_socket(void **state) {
	(void)state;
	run_056_formats("qemu");
}

/* A frame that the socket does not take at once. */
static void check_056_large_frame_on_the_display_socket(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct check_picture picture = check_picture(FORMAT, 1920, 1080, 56);
	struct neep_rect whole = { .width = 1920, .height = 1080 };
	check_image(check, 1, &picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &whole), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &whole), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	assert_int_equal(neep_display_peer_stats(check_display(check)).errors, 0);
	check_picture_free(&picture);
	check_close(check);
}

static void check_057_part_from_its_own_place(void **state) {
	(void)state;
	struct two_pictures two = open_two_pictures();
	struct neep_rect part = { .x = 3, .y = 5, .width = 7, .height = 9 };
	assert_int_equal(check_transfer(two.check, 1, &part, (5 * WIDTH + 3) * 4), CHECK_OK);
	for (uint32_t y = 5; y < 5 + 9; y++) {
		memcpy(two.before.xrgb + y * WIDTH + 3, two.after.xrgb + y * WIDTH + 3, 7 * 4);
	}
	assert_before(&two);
	close_two_pictures(&two);
}

static void run_058(uint64_t offset) {
	struct two_pictures two = open_two_pictures();
	struct neep_rect part = { .x = 3, .y = 5, .width = 7, .height = 9 };
	assert_int_equal(check_transfer(two.check, 1, &part, offset), CHECK_OK);
	for (uint32_t y = 0; y < 9; y++) {
		memcpy(two.before.xrgb + (y + 5) * WIDTH + 3, two.after.xrgb + y * WIDTH + offset / 4, 7 * 4);
	}
	assert_before(&two);
	close_two_pictures(&two);
}

static void check_058_part_from_the_start_of_the_backing(void **state) {
	(void)state;
	run_058(0);
}

static void check_058_part_from_anywhere_in_the_backing(void **state) {
	(void)state;
	/* Its rows run over the end of the backing's. */
	run_058((2 * WIDTH + 29) * 4);
}

/* Full rows, which can be copied in one go, of an offset that is no row. */
static void check_058_full_rows_from_an_odd_place(void **state) {
	(void)state;
	struct two_pictures two = open_two_pictures();
	struct neep_rect rows = { .y = 4, .width = WIDTH, .height = 10 };
	assert_int_equal(check_transfer(two.check, 1, &rows, (WIDTH + 5) * 4), CHECK_OK);
	memcpy(two.before.xrgb + 4 * WIDTH, two.after.xrgb + WIDTH + 5, WIDTH * 10 * 4);
	assert_before(&two);
	close_two_pictures(&two);
}

static void check_059_rectangles_outside(void **state) {
	(void)state;
	static const struct neep_rect bad[] = {
		{ .width = WIDTH + 1, .height = 1 },
		{ .width = 1, .height = HEIGHT + 1 },
		{ .x = 1, .width = WIDTH, .height = 1 },
		{ .y = 1, .width = 1, .height = HEIGHT },
		{ .x = WIDTH, .width = 1, .height = 1 },
		{ .x = 0xffffffff, .width = 2, .height = 1 },
		{ .y = 0xffffffff, .width = 1, .height = 2 },
		{ .x = 0x80000001, .width = 0x80000000, .height = 1 },
		{ .x = 0xffffffff, .y = 0xffffffff, .width = 0xffffffff, .height = 0xffffffff },
		/* Empty ones, too. */
		{ .x = WIDTH + 1, .width = 0, .height = 1 },
		{ .y = 0xffffffff, .width = 0, .height = 0 },
	};
	struct two_pictures two = open_two_pictures();
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_equal(check_transfer(two.check, 1, &bad[i], 0), CHECK_BAD_PARAMETER);
	}
	assert_before(&two);
	close_two_pictures(&two);
}

static void check_060_offsets(void **state) {
	(void)state;
	static const uint64_t bad[] = { BYTES - 3, BYTES, BYTES + 4, UINT64_C(1) << 32,
		(UINT64_C(1) << 32) + 4, UINT64_C(1) << 63, UINT64_MAX - 3, UINT64_MAX,
		UINT64_C(0xffffffffffffff00) };
	struct two_pictures two = open_two_pictures();
	struct neep_rect pixel = { .x = 1, .y = 1, .width = 1, .height = 1 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_equal(check_transfer(two.check, 1, &pixel, bad[i]), CHECK_BAD_PARAMETER);
		assert_int_equal(check_transfer(two.check, 1, &all, bad[i]), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_transfer(two.check, 1, &all, 4), CHECK_BAD_PARAMETER);
	assert_before(&two);
	assert_int_equal(check_transfer(two.check, 1, &pixel, BYTES - 4), CHECK_OK);
	two.before.xrgb[WIDTH + 1] = two.after.xrgb[WIDTH * HEIGHT - 1];
	assert_before(&two);
	/* No pixel's beginning. */
	assert_int_equal(check_transfer(two.check, 1, &pixel, 2), CHECK_OK);
	const uint8_t *b = two.after.bytes + 2;
	two.before.xrgb[WIDTH + 1] = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16;
	assert_before(&two);
	close_two_pictures(&two);
}

/* A backing that is shorter than the image serves what it holds. */
static void check_060_short_backing(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *backing = check_alloc(check, 4096);
	struct virtio_gpu_mem_entry entry = { .addr = backing->first.guest_addr,
		.length = WIDTH * 4 * 2 + 7 };
	struct neep_rect two_rows = { .width = WIDTH, .height = 2 },
			 three_rows = { .width = WIDTH, .height = 3 };
	struct neep_rect one = { .y = 2, .width = 1, .height = 1 }, two = { .y = 2, .width = 2, .height = 1 };
	assert_int_equal(check_create_2d(check, 1, FORMAT, WIDTH, HEIGHT), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, 1, &entry, 1), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_transfer(check, 1, &three_rows, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_transfer(check, 1, &two_rows, 0), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &two_rows, 7), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &two_rows, 8), CHECK_BAD_PARAMETER);
	assert_int_equal(check_transfer(check, 1, &one, WIDTH * 4 * 2), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &two, WIDTH * 4 * 2), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_061_empty_rectangles(void **state) {
	(void)state;
	static const struct neep_rect empty[] = {
		{ .width = 0, .height = 0 },
		{ .width = WIDTH, .height = 0 },
		{ .width = 0, .height = HEIGHT },
		{ .x = WIDTH, .y = HEIGHT, .width = 0, .height = 0 },
	};
	struct two_pictures two = open_two_pictures();
	for (size_t i = 0; i < NEEP_ARRAY_LEN(empty); i++) {
		assert_int_equal(check_transfer(two.check, 1, &empty[i], 0), CHECK_OK);
		assert_int_equal(check_flush(two.check, 1, &empty[i]), CHECK_OK);
	}
	assert_before(&two);
	close_two_pictures(&two);
}

static void check_062_transfer_alone_shows_nothing(void **state) {
	(void)state;
	struct two_pictures two = open_two_pictures();
	assert_before(&two);
	assert_int_equal(check_transfer(two.check, 1, &all, 0), CHECK_OK);
	check_shows(two.check, 0, &two.before, NULL);
	assert_int_equal(check_flush(two.check, 1, &all), CHECK_OK);
	check_shows(two.check, 0, &two.after, NULL);
	close_two_pictures(&two);
}

static void check_062_flush_shows_its_area_only(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct neep_display_peer *peer = check_display(check);
	struct check_picture before = check_picture(FORMAT, WIDTH, HEIGHT, 1);
	struct check_picture after = check_picture(FORMAT, WIDTH, HEIGHT, 2);
	struct neep_guest_buffer *backing = check_image(check, 1, &before);
	struct neep_rect left = { .width = 8, .height = HEIGHT },
			 right = { .x = 20, .y = 2, .width = 10, .height = 5 };
	show(check);
	check_shows(check, 0, &before, NULL);
	check_settle_display(check);
	struct neep_display_peer_stats at_first = neep_display_peer_stats(peer);
	check_write(backing, 0, after.bytes, BYTES);
	assert_int_equal(check_transfer(check, 1, &left, 0), CHECK_OK);
	check_settle_display(check);
	assert_int_equal(neep_display_peer_stats(peer).updates, at_first.updates);
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &right), CHECK_OK);
	check_settle_display(check);
	struct neep_display_peer_stats at_last = neep_display_peer_stats(peer);
	assert_int_equal(at_last.updates, at_first.updates + 1);
	assert_int_equal(at_last.update_pixels, at_first.update_pixels + right.width * right.height);
	for (uint32_t y = right.y; y < right.y + right.height; y++) {
		memcpy(before.xrgb + y * WIDTH + right.x, after.xrgb + y * WIDTH + right.x, right.width * 4);
	}
	check_shows(check, 0, &before, NULL);
	check_picture_free(&before);
	check_picture_free(&after);
	check_close(check);
}

static void check_063_transfer_without_backing(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 1, FORMAT, WIDTH, HEIGHT), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_transfer(check, 2, &all, 0), CHECK_BAD_RESOURCE);
	assert_int_equal(check_transfer(check, 0, &all, 0), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_064_flush_of_what_is_not_shown(void **state) {
	(void)state;
	static const struct neep_rect bad[] = {
		{ .width = WIDTH + 1, .height = 1 },
		{ .y = HEIGHT, .width = 1, .height = 1 },
		{ .x = 0xffffffff, .width = 2, .height = 1 },
		{ .width = 0xffffffff, .height = 0xffffffff },
	};
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 1, FORMAT, WIDTH, HEIGHT), CHECK_OK);
	assert_int_equal(check_flush(check, 0, &all), CHECK_BAD_RESOURCE);
	assert_int_equal(check_flush(check, 64, &all), CHECK_BAD_RESOURCE);
	for (int shown = 0; shown < 2; shown++) {
		assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
		for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
			assert_int_equal(check_flush(check, 1, &bad[i]), CHECK_BAD_PARAMETER);
		}
		show(check);
	}
	check_close(check);
}

static void run_065(const char *display) {
	struct check_options options = check_options();
	options.display = display;
	struct check *check = check_open(&options);
	struct check_picture picture = check_picture(FORMAT, 100, 60, 65);
	struct neep_rect whole = { .width = 100, .height = 60 };
	struct neep_rect left = { .width = 60, .height = 50 },
			 right = { .x = 40, .y = 8, .width = 60, .height = 52 };
	check_image(check, 1, &picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &left), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 1, 1, &right), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &whole), CHECK_OK);
	check_shows(check, 0, &picture, &left);
	check_shows(check, 1, &picture, &right);
	check_picture_free(&picture);
	check_close(check);
}

static void check_065_two_outputs_in_screenshots(void **state) {
	(void)state;
	run_065("headless");
}

static void check_065_two_outputs_on_the_display_socket(void **state) {
	(void)state;
	run_065("qemu");
}

/* One flush over the border of both: each is told of its part, in its own coordinates. */
static void check_065_damage_is_translated(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct neep_display_peer *peer = check_display(check);
	struct check_picture before = check_picture(FORMAT, 100, 60, 1),
			     after = check_picture(FORMAT, 100, 60, 2);
	struct neep_rect left = { .width = 50, .height = 60 }, right = { .x = 50, .width = 50, .height = 60 };
	struct neep_rect whole = { .width = 100, .height = 60 };
	struct neep_rect middle = { .x = 45, .y = 10, .width = 15, .height = 20 };
	struct neep_guest_buffer *backing = check_image(check, 1, &before);
	assert_int_equal(check_set_scanout(check, 0, 1, &left), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 1, 1, &right), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &whole), CHECK_OK);
	check_shows(check, 0, &before, &left);
	check_shows(check, 1, &before, &right);
	struct neep_display_peer_stats at_first = neep_display_peer_stats(peer);
	check_write(backing, 0, after.bytes, 100 * 60 * 4);
	assert_int_equal(check_transfer(check, 1, &whole, 0), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &middle), CHECK_OK);
	check_settle_display(check);
	struct neep_display_peer_stats at_last = neep_display_peer_stats(peer);
	assert_int_equal(at_last.update_pixels, at_first.update_pixels + 15 * 20);
	for (uint32_t y = 10; y < 30; y++) {
		memcpy(before.xrgb + y * 100 + 45, after.xrgb + y * 100 + 45, 15 * 4);
	}
	check_shows(check, 0, &before, &left);
	check_shows(check, 1, &before, &right);
	check_picture_free(&before);
	check_picture_free(&after);
	check_close(check);
}

/* Output 0 shows the middle; what is flushed crosses each of its edges, contains it, touches it, or misses it. */
static void check_066_flush_is_clipped(void **state) {
	(void)state;
	static const struct {
		struct neep_rect rect;
		uint32_t pixels; // that are shown anew
	} flushes[] = {
		{ { 0, 0, 15, 14 }, 5 * 4 },
		{ { 85, 45, 15, 15 }, 5 * 5 },
		{ { 0, 0, 100, 60 }, 80 * 40 },
		{ { 50, 30, 7, 3 }, 7 * 3 },
		{ { 0, 0, 10, 60 }, 0 },
		{ { 90, 0, 10, 60 }, 0 },
		{ { 0, 20, 100, 1 }, 80 },
	};
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct neep_display_peer *peer = check_display(check);
	struct check_picture picture = check_picture(FORMAT, 100, 60, 66);
	struct neep_rect whole = { .width = 100, .height = 60 };
	struct neep_rect middle = { .x = 10, .y = 10, .width = 80, .height = 40 };
	check_image(check, 1, &picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &middle), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &whole), CHECK_OK);
	check_shows(check, 0, &picture, &middle);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(flushes); i++) {
		check_settle_display(check);
		uint64_t pixels = neep_display_peer_stats(peer).update_pixels;
		assert_int_equal(check_flush(check, 1, &flushes[i].rect), CHECK_OK);
		check_settle_display(check);
		assert_int_equal(neep_display_peer_stats(peer).update_pixels, pixels + flushes[i].pixels);
	}
	check_shows(check, 0, &picture, &middle);
	assert_int_equal(neep_display_peer_stats(peer).errors, 0);
	check_picture_free(&picture);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_056_formats_in_a_screenshot),
	device_check(check_056_formats_on_the_display_socket),
	device_check(check_056_large_frame_on_the_display_socket),
	device_check(check_057_part_from_its_own_place),
	device_check(check_058_part_from_the_start_of_the_backing),
	device_check(check_058_part_from_anywhere_in_the_backing),
	device_check(check_058_full_rows_from_an_odd_place),
	device_check(check_059_rectangles_outside),
	device_check(check_060_offsets),
	device_check(check_060_short_backing),
	device_check(check_061_empty_rectangles),
	device_check(check_062_transfer_alone_shows_nothing),
	device_check(check_062_flush_shows_its_area_only),
	device_check(check_063_transfer_without_backing),
	device_check(check_064_flush_of_what_is_not_shown),
	device_check(check_065_two_outputs_in_screenshots),
	device_check(check_065_two_outputs_on_the_display_socket),
	device_check(check_065_damage_is_translated),
	device_check(check_066_flush_is_clipped),
};

int main(void) {
	return cmocka_run_group_tests_name("device transfers", tests, NULL, NULL);
}
