#include "support/cmocka.h"

#include <stdlib.h>

#include <linux/virtio_gpu.h>

#include "display/display.h"
#include "display/picture.h"
#include "support/fd_check.h"

#define WIDTH  40
#define HEIGHT 30
#define XRGB   VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

static const struct neep_rect whole = { 0, 0, WIDTH, HEIGHT };
static const struct neep_rect corner = { 0, 0, 10, 10 };

static struct neep_sink *headless_create(void) {
	struct neep_error error;
	struct neep_sink *sink = neep_sink_create("headless", NULL, &error);
	assert_non_null(sink);
	return sink;
}

static struct neep_image *snap(struct neep_sink *sink) {
	struct neep_error error;
	struct neep_image *shot = neep_sink_snapshot(sink, 0, false, &error);
	assert_non_null(shot);
	assert_int_equal(shot->width, WIDTH);
	assert_int_equal(shot->height, HEIGHT);
	return shot;
}

static void assert_shows(struct neep_sink *sink, uint32_t x, uint32_t y, uint32_t rgb) {
	struct neep_image *shot = snap(sink);
	assert_int_equal(picture_get(shot, x, y) & 0xffffff, rgb);
	neep_image_unref(shot);
}

static void snapshot_refuses_what_is_off(void **state) {
	(void)state;
	struct neep_error error;
	struct neep_sink *sink = headless_create();
	assert_null(neep_sink_snapshot(sink, 0, false, &error));
	assert_string_equal(error.text, "the scanout shows nothing");
	assert_null(neep_sink_snapshot(sink, NEEP_SCANOUTS_MAX, false, &error));
	assert_string_equal(error.text, "there is no scanout 16");
	neep_sink_destroy(sink);
}

static void scanout_shows_nothing_before_the_first_damage(void **state) {
	(void)state;
	struct neep_error error;
	struct neep_sink *sink = headless_create();
	struct neep_image *image = picture_create(WIDTH, HEIGHT, XRGB);
	neep_sink_set_scanout(sink, 0, image, &whole);
	assert_null(neep_sink_snapshot(sink, 0, false, &error));
	assert_false(neep_sink_output(sink, 0).is_enabled);
	neep_sink_damage(sink, 0, &corner);
	assert_shows(sink, 39, 29, 0);
	struct neep_output_info info = neep_sink_output(sink, 0);
	assert_true(info.is_enabled);
	assert_int_equal(info.rect.width, WIDTH);
	assert_int_equal(info.rect.height, HEIGHT);
	neep_image_unref(image);
	neep_sink_destroy(sink);
}

static void settle_keeps_what_was_flushed(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *image = picture_create(WIDTH, HEIGHT, XRGB);
	picture_fill_all(image, 0x111111);
	neep_sink_set_scanout(sink, 0, image, &whole);
	neep_sink_damage(sink, 0, &whole);
	neep_sink_settle(sink, image);
	picture_fill_all(image, 0x222222);
	assert_shows(sink, 0, 0, 0x111111);
	assert_shows(sink, 20, 20, 0x111111);
	/* Only the flushed part becomes new. */
	neep_sink_damage(sink, 0, &corner);
	assert_shows(sink, 9, 9, 0x222222);
	assert_shows(sink, 10, 9, 0x111111);
	neep_sink_settle(sink, image);
	picture_fill_all(image, 0x333333);
	assert_shows(sink, 9, 9, 0x222222);
	assert_shows(sink, 10, 10, 0x111111);
	neep_image_unref(image);
	neep_sink_destroy(sink);
}

static void damage_and_flips_read_no_pixel(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *front = picture_create(WIDTH, HEIGHT, XRGB);
	struct neep_image *back = picture_create(WIDTH, HEIGHT, XRGB);
	picture_fill_all(front, 0x111111);
	picture_fill_all(back, 0x222222);
	picture_lock(front);
	picture_lock(back);
	for (int i = 0; i < 10; i++) {
		struct neep_image *next = i % 2 == 0 ? front : back;
		neep_sink_settle(sink, next);
		neep_sink_set_scanout(sink, 0, next, &whole);
		neep_sink_damage(sink, 0, &whole);
	}
	picture_unlock(back);
	assert_shows(sink, 5, 5, 0x222222);
	picture_unlock(front);
	neep_image_unref(front);
	neep_image_unref(back);
	neep_sink_destroy(sink);
}

static void scanout_keeps_the_image_that_the_guest_dropped(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *image = picture_create(WIDTH, HEIGHT, XRGB);
	picture_fill_all(image, 0x654321);
	neep_sink_set_scanout(sink, 0, image, &whole);
	neep_sink_damage(sink, 0, &whole);
	neep_image_unref(image);
	assert_shows(sink, 1, 1, 0x654321);
	neep_sink_set_scanout(sink, 0, NULL, NULL);
	struct neep_error error;
	assert_null(neep_sink_snapshot(sink, 0, false, &error));
	neep_sink_destroy(sink);
}

static void new_image_is_shown_from_the_next_damage(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *first = picture_create(WIDTH, HEIGHT, XRGB);
	struct neep_image *second = picture_create(WIDTH, HEIGHT, XRGB);
	picture_fill_all(first, 0x111111);
	picture_fill_all(second, 0x222222);
	neep_sink_set_scanout(sink, 0, first, &whole);
	neep_sink_damage(sink, 0, &whole);
	neep_sink_set_scanout(sink, 0, second, &whole);
	assert_shows(sink, 0, 0, 0x111111);
	/* All of it, whatever the damage. */
	neep_sink_damage(sink, 0, &corner);
	assert_shows(sink, 39, 29, 0x222222);
	neep_image_unref(first);
	neep_image_unref(second);
	neep_sink_destroy(sink);
}

static void scanouts_may_share_an_image(void **state) {
	(void)state;
	struct neep_error error;
	struct neep_sink *sink = headless_create();
	struct neep_image *image = picture_create(2 * WIDTH, HEIGHT, XRGB);
	struct neep_rect right = { WIDTH, 0, WIDTH, HEIGHT };
	picture_fill_all(image, 0x111111);
	picture_fill(image, &right, 0x222222);
	neep_sink_set_scanout(sink, 0, image, &whole);
	neep_sink_set_scanout(sink, 15, image, &right);
	neep_sink_damage(sink, 0, &whole);
	neep_sink_damage(sink, 15, &whole);
	neep_sink_settle(sink, image);
	picture_fill_all(image, 0);
	assert_shows(sink, 39, 0, 0x111111);
	struct neep_image *shot = neep_sink_snapshot(sink, 15, false, &error);
	assert_int_equal(picture_get(shot, 0, 0) & 0xffffff, 0x222222);
	neep_image_unref(shot);
	neep_image_unref(image);
	neep_sink_destroy(sink);
}

static void shadow_follows_the_size(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *small = picture_create(8, 8, XRGB);
	struct neep_image *large = picture_create(WIDTH, HEIGHT, XRGB);
	struct neep_rect all_of_small = { 0, 0, 8, 8 };
	picture_fill_all(large, 0x777777);
	neep_sink_set_scanout(sink, 0, small, &all_of_small);
	neep_sink_damage(sink, 0, &all_of_small);
	neep_sink_settle(sink, small);
	neep_sink_set_scanout(sink, 0, large, &whole);
	neep_sink_damage(sink, 0, &whole);
	assert_shows(sink, 39, 29, 0x777777);
	neep_sink_settle(sink, large);
	picture_fill_all(large, 0);
	assert_shows(sink, 39, 29, 0x777777);
	neep_image_unref(small);
	neep_image_unref(large);
	neep_sink_destroy(sink);
}

static struct neep_image *snap_with_cursor(struct neep_sink *sink) {
	struct neep_error error;
	struct neep_image *shot = neep_sink_snapshot(sink, 0, true, &error);
	assert_non_null(shot);
	return shot;
}

static void cursor_is_drawn_at_its_hot_spot_on_request(void **state) {
	(void)state;
	struct neep_sink *sink = headless_create();
	struct neep_image *image = picture_create(WIDTH, HEIGHT, XRGB);
	uint32_t *argb = calloc(NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE, sizeof(*argb));
	argb[0] = 0xffabcdef;
	argb[1] = 0x80008000; // premultiplied: half of full green over black
	neep_sink_set_scanout(sink, 0, image, &whole);
	neep_sink_damage(sink, 0, &whole);
	struct neep_cursor cursor = {
		.x = 12, .y = 7, .hot_x = 2, .hot_y = 3, .argb = argb, .is_visible = true
	};
	neep_sink_cursor(sink, 0, &cursor, true);
	argb[0] = 0; // the sink has a copy
	assert_shows(sink, 10, 4, 0);
	struct neep_image *shot = snap_with_cursor(sink);
	assert_int_equal(picture_get(shot, 10, 4) & 0xffffff, 0xabcdef);
	assert_int_equal(picture_get(shot, 11, 4) & 0xffffff, 0x008000);
	assert_int_equal(picture_get(shot, 12, 4) & 0xffffff, 0);
	neep_image_unref(shot);
	/* A move needs no image, a hidden cursor is not drawn, and none outside harms. */
	cursor.argb = NULL;
	cursor.x = 2;
	cursor.y = 3;
	neep_sink_cursor(sink, 0, &cursor, false);
	shot = snap_with_cursor(sink);
	assert_int_equal(picture_get(shot, 0, 0) & 0xffffff, 0xabcdef);
	neep_image_unref(shot);
	cursor.x = INT32_MIN;
	cursor.y = INT32_MAX;
	neep_sink_cursor(sink, 0, &cursor, false);
	neep_image_unref(snap_with_cursor(sink));
	cursor.is_visible = false;
	neep_sink_cursor(sink, 0, &cursor, true);
	neep_image_unref(snap_with_cursor(sink));
	free(argb);
	neep_image_unref(image);
	neep_sink_destroy(sink);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(snapshot_refuses_what_is_off),
		fd_checked_test(scanout_shows_nothing_before_the_first_damage),
		fd_checked_test(settle_keeps_what_was_flushed),
		fd_checked_test(damage_and_flips_read_no_pixel),
		fd_checked_test(scanout_keeps_the_image_that_the_guest_dropped),
		fd_checked_test(new_image_is_shown_from_the_next_damage),
		fd_checked_test(scanouts_may_share_an_image),
		fd_checked_test(shadow_follows_the_size),
		fd_checked_test(cursor_is_drawn_at_its_hot_spot_on_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
