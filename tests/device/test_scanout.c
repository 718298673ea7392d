/* Checks 67 to 75: what the outputs show. */
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "util/macros.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define WIDTH  64u
#define HEIGHT 48u

static const struct neep_rect all = { .width = WIDTH, .height = HEIGHT };

/* Resource 1 with a picture, on output 0. */
static struct check *open_shown(const struct check_options *options, struct check_picture *picture) {
	struct check *check = check_open(options);
	*picture = check_picture(FORMAT, WIDTH, HEIGHT, 67);
	check_image(check, 1, picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, picture, NULL);
	return check;
}

/* The binding is still there: another flush changes nothing, and what is written is seen. */
static void assert_still_shown(struct check *check, const struct check_picture *picture) {
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, picture, NULL);
}

static void check_067_scanouts_that_are_not(void **state) {
	(void)state;
	static const uint32_t ids[] = { 2, 3, 15, 16, 31, 32, 0x7fffffff, 0x80000000, 0xffffffff };
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		assert_int_equal(check_set_scanout(check, ids[i], 1, &all), CHECK_BAD_SCANOUT);
		assert_int_equal(check_set_scanout(check, ids[i], 0, &all), CHECK_BAD_SCANOUT);
	}
	assert_still_shown(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_067_every_scanout_there_is(void **state) {
	(void)state;
	struct check_options options = check_options();
	struct check_picture picture;
	options.device.max_outputs = 16;
	struct check *check = open_shown(&options, &picture);
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(check_set_scanout(check, i, 1, &all), CHECK_OK);
	}
	assert_int_equal(check_set_scanout(check, 16, 1, &all), CHECK_BAD_SCANOUT);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	for (uint32_t i = 0; i < 16; i++) {
		check_shows(check, i, &picture, NULL);
	}
	check_picture_free(&picture);
	check_close(check);
}

static void check_068_unknown_resource(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	assert_int_equal(check_set_scanout(check, 0, 68, &all), CHECK_BAD_RESOURCE);
	assert_int_equal(check_set_scanout(check, 0, 0xffffffff, &all), CHECK_BAD_RESOURCE);
	assert_still_shown(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_069_rectangles_outside_or_empty(void **state) {
	(void)state;
	static const struct neep_rect bad[] = {
		{ .width = WIDTH + 1, .height = 1 },
		{ .width = 1, .height = HEIGHT + 1 },
		{ .x = WIDTH, .width = 1, .height = 1 },
		{ .y = HEIGHT, .width = 1, .height = 1 },
		{ .x = 0xffffffff, .width = 2, .height = 1 },
		{ .x = 0x80000000, .width = 0x80000000, .height = 1 },
		{ .width = 0xffffffff, .height = 0xffffffff },
		{ .width = 0, .height = 0 },
		{ .width = WIDTH, .height = 0 },
		{ .width = 0, .height = HEIGHT },
	};
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_equal(check_set_scanout(check, 0, 1, &bad[i]), CHECK_BAD_PARAMETER);
	}
	assert_still_shown(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void run_070(const char *display) {
	static const struct neep_rect none = { .width = 0 };
	struct check_options options = check_options();
	struct check_picture picture;
	options.display = display;
	struct check *check = open_shown(&options, &picture);
	/* An output that is off already, too. */
	assert_int_equal(check_set_scanout(check, 1, 0, &none), CHECK_OK);
	for (int i = 0; i < 2; i++) {
		const struct neep_rect *rects[] = { &none, &all };
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(check_set_scanout(check, 0, 0, rects[k]), CHECK_OK);
			assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
			check_shows_nothing(check, 0);
		}
		assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
		assert_still_shown(check, &picture);
	}
	check_picture_free(&picture);
	check_close(check);
}

static void check_070_off(void **state) {
	(void)state;
	run_070("headless");
}

static void check_070_off_on_the_display_socket(void **state) {
	(void)state;
	run_070("qemu");
}

static void check_071_right_half(void **state) {
	(void)state;
	struct neep_rect right = { .x = WIDTH / 2, .width = WIDTH / 2, .height = HEIGHT };
	struct neep_rect bottom = { .x = 5, .y = HEIGHT / 2, .width = 40, .height = HEIGHT / 2 };
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &right), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &picture, &right);
	assert_int_equal(check_set_scanout(check, 0, 1, &bottom), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &picture, &bottom);
	check_picture_free(&picture);
	check_close(check);
}

static void run_072(const char *display) {
	struct check_options options = check_options();
	struct check_picture picture, other;
	options.display = display;
	struct check *check = open_shown(&options, &picture);
	assert_int_equal(check_set_scanout(check, 1, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	assert_int_equal(check_unref(check, 1), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_BAD_RESOURCE);
	check_shows_nothing(check, 0);
	check_shows_nothing(check, 1);
	/* A new resource of the id is not on the outputs of the old one. */
	other = check_picture(FORMAT, WIDTH, HEIGHT, 72);
	check_image(check, 1, &other);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows_nothing(check, 0);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_still_shown(check, &other);
	check_picture_free(&picture);
	check_picture_free(&other);
	check_close(check);
}

static void check_072_unref_of_what_is_shown(void **state) {
	(void)state;
	run_072("headless");
}

static void check_072_unref_of_what_is_shown_on_the_display_socket(void **state) {
	(void)state;
	run_072("qemu");
}

/* The display does not read: the device keeps what it is still writing out of a resource that is gone. */
static void check_072_unref_while_the_display_hangs(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct check_picture picture = check_picture(FORMAT, 1280, 800, 72);
	struct neep_rect whole = { .width = 1280, .height = 800 };
	check_settle_display(check);
	neep_display_peer_pause(check_display(check), true);
	for (uint32_t i = 1; i <= 8; i++) {
		check_image(check, i, &picture);
		assert_int_equal(check_set_scanout(check, 0, i, &whole), CHECK_OK);
		assert_int_equal(check_flush(check, i, &whole), CHECK_OK);
		if (i > 1) {
			assert_int_equal(check_unref(check, i - 1), CHECK_OK);
		}
	}
	/* The image changes under the frame that is being written: it is the old one that must come out. */
	struct check_picture other = check_picture(FORMAT, 1280, 800, 73);
	struct neep_guest_buffer *backing = check_alloc(check, 1280 * 800 * 4);
	check_write(backing, 0, other.bytes, 1280 * 800 * 4);
	assert_int_equal(check_detach(check, 8), CHECK_OK);
	assert_int_equal(check_attach(check, 8, backing), CHECK_OK);
	assert_int_equal(check_transfer(check, 8, &whole, 0), CHECK_OK);
	neep_display_peer_pause(check_display(check), false);
	check_shows(check, 0, &picture, NULL);
	assert_int_equal(check_flush(check, 8, &whole), CHECK_OK);
	check_shows(check, 0, &other, NULL);
	assert_int_equal(neep_display_peer_stats(check_display(check)).errors, 0);
	check_picture_free(&picture);
	check_picture_free(&other);
	check_close(check);
}

static void check_073_blob(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	struct neep_guest_buffer *memory = check_alloc(check, WIDTH * HEIGHT * 4);
	assert_int_equal(check_create_blob(check, 73, memory, WIDTH * HEIGHT * 4), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 0, 73, &all), CHECK_BAD_PARAMETER);
	assert_still_shown(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void flip(struct check *check, uint32_t resource_id) {
	assert_int_equal(check_set_scanout(check, 0, resource_id, &all), CHECK_OK);
	assert_int_equal(check_flush(check, resource_id, &all), CHECK_OK);
}

static void run_074(const char *display) {
	struct check_options options = check_options();
	struct check_picture pictures[2];
	uint64_t bytes = 0;
	options.display = display;
	struct check *check = open_shown(&options, &pictures[0]);
	pictures[1] = check_picture(FORMAT, WIDTH, HEIGHT, 74);
	check_image(check, 2, &pictures[1]);
	uint32_t fds = check_open_fds(check);
	for (uint32_t i = 0; i < 1000; i++) {
		flip(check, 1 + i % 2);
		check_shows(check, 0, &pictures[i % 2], NULL);
		if (i == 500) {
			bytes = check_rss(check);
		}
	}
	assert_int_equal(check_open_fds(check), fds);
	assert_true(check_rss(check) < bytes + CHECK_RSS_SLACK);
	check_picture_free(&pictures[0]);
	check_picture_free(&pictures[1]);
	check_close(check);
}

static void check_074_page_flips(void **state) {
	(void)state;
	run_074("headless");
}

static void check_074_page_flips_on_the_display_socket(void **state) {
	(void)state;
	run_074("qemu");
}

/* A flip alone shows nothing new: that is what the flush is for. */
static void check_074_flip_without_flush(void **state) {
	(void)state;
	struct check_picture first, second = check_picture(FORMAT, WIDTH, HEIGHT, 74);
	struct check *check = open_shown(NULL, &first);
	struct neep_rect corner = { .width = 1, .height = 1 };
	check_image(check, 2, &second);
	assert_int_equal(check_set_scanout(check, 0, 2, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &first, NULL);
	/* A flush of any part shows all of the new picture: nothing of it was seen before. */
	assert_int_equal(check_flush(check, 2, &corner), CHECK_OK);
	check_shows(check, 0, &second, NULL);
	check_picture_free(&first);
	check_picture_free(&second);
	check_close(check);
}

static void check_075_scanout_before_attach(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, WIDTH, HEIGHT, 75);
	struct neep_guest_buffer *memory = check_alloc(check, WIDTH * HEIGHT * 4);
	check_write(memory, 0, picture.bytes, WIDTH * HEIGHT * 4);
	assert_int_equal(check_create_2d(check, 1, FORMAT, WIDTH, HEIGHT), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_attach(check, 1, memory), CHECK_OK);
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_OK);
	assert_still_shown(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_075_scanout_of_a_disabled_output(void **state) {
	(void)state;
	struct check_picture picture;
	struct check *check = open_shown(NULL, &picture);
	assert_int_equal(check_set_output(check, 1, 0, 0), 0);
	assert_int_equal(check_set_scanout(check, 1, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 1, &picture, NULL);
	check_picture_free(&picture);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_067_scanouts_that_are_not),
	device_check(check_067_every_scanout_there_is),
	device_check(check_068_unknown_resource),
	device_check(check_069_rectangles_outside_or_empty),
	device_check(check_070_off),
	device_check(check_070_off_on_the_display_socket),
	device_check(check_071_right_half),
	device_check(check_072_unref_of_what_is_shown),
	device_check(check_072_unref_of_what_is_shown_on_the_display_socket),
	device_check(check_072_unref_while_the_display_hangs),
	device_check(check_073_blob),
	device_check(check_074_page_flips),
	device_check(check_074_page_flips_on_the_display_socket),
	device_check(check_074_flip_without_flush),
	device_check(check_075_scanout_before_attach),
	device_check(check_075_scanout_of_a_disabled_output),
};

int main(void) {
	return cmocka_run_group_tests_name("device scanouts", tests, NULL, NULL);
}
