#include "support/cmocka.h"

#include <errno.h>
#include <pixman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "display/damage.h"
#include "display/display.h"
#include "display/scanout.h"
#include "support/fd_check.h"

static struct neep_rect rect(uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
	return (struct neep_rect){ x, y, width, height };
}

static void assert_rect(struct neep_rect got, struct neep_rect expected) {
	assert_int_equal(got.x, expected.x);
	assert_int_equal(got.y, expected.y);
	assert_int_equal(got.width, expected.width);
	assert_int_equal(got.height, expected.height);
}

static void rect_within_does_not_wrap(void **state) {
	(void)state;
	struct neep_rect r = rect(0x80000001, 0, 0x80000000, 1);
	assert_false(neep_rect_within(&r, 0x80000001, 1));
	r = rect(0xffffffff, 0xffffffff, 1, 1);
	assert_false(neep_rect_within(&r, 100, 100));
	r = rect(100, 100, 0, 0);
	assert_true(neep_rect_within(&r, 100, 100));
	r = rect(1, 0, 100, 100);
	assert_false(neep_rect_within(&r, 100, 100));
	r = rect(0, 1, 100, 100);
	assert_false(neep_rect_within(&r, 100, 100));
	r = rect(0, 0, 100, 100);
	assert_true(neep_rect_within(&r, 100, 100));
}

static void rect_intersect_gives_what_both_cover(void **state) {
	(void)state;
	struct neep_rect a = rect(10, 20, 30, 40);
	struct neep_rect b = rect(25, 0, 100, 30);
	assert_rect(neep_rect_intersect(&a, &b), rect(25, 20, 15, 10));
	assert_rect(neep_rect_intersect(&b, &a), rect(25, 20, 15, 10));
	assert_rect(neep_rect_intersect(&a, &a), a);
}

static void rect_intersect_is_empty_when_apart(void **state) {
	(void)state;
	struct neep_rect a = rect(0, 0, 10, 10);
	struct neep_rect beside = rect(10, 0, 10, 10);
	struct neep_rect below = rect(0, 10, 10, 10);
	struct neep_rect empty = rect(5, 5, 0, 3);
	assert_rect(neep_rect_intersect(&a, &beside), rect(0, 0, 0, 0));
	assert_rect(neep_rect_intersect(&a, &below), rect(0, 0, 0, 0));
	assert_rect(neep_rect_intersect(&a, &empty), rect(0, 0, 0, 0));
}

static void rect_union_covers_both_and_skips_empty(void **state) {
	(void)state;
	struct neep_rect a = rect(10, 20, 30, 40);
	struct neep_rect b = rect(0, 50, 5, 50);
	struct neep_rect empty = rect(1000, 1000, 0, 7);
	assert_rect(neep_rect_union(&a, &b), rect(0, 20, 40, 80));
	assert_rect(neep_rect_union(&a, &empty), a);
	assert_rect(neep_rect_union(&empty, &a), a);
}

static void image_is_zeroed_and_counted(void **state) {
	(void)state;
	struct neep_image *image = neep_image_create(3, 2, VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM);
	assert_non_null(image);
	assert_int_equal(image->stride, 12);
	for (size_t i = 0; i < 24; i++) {
		assert_int_equal(image->pixels[i], 0);
	}
	assert_ptr_equal(neep_image_ref(image), image);
	neep_image_unref(image);
	assert_int_equal(image->refs, 1);
	neep_image_unref(image);
	neep_image_unref(NULL);
}

static void image_refuses_unknown_format_and_huge_size(void **state) {
	(void)state;
	assert_null(neep_image_create(1, 1, 0));
	assert_null(neep_image_create(1, 1, 3000));
	assert_null(neep_image_create(32768, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM));
	assert_null(neep_image_create(1, 32768, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM));
	assert_null(neep_image_create(0x40000001, 0xffffffff, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM));
}

/* Bytes in memory order, as virtio-gpu's names read; every one of them is the colour r=0x11 g=0x22 b=0x33. */
static const struct format_case {
	uint32_t format;
	uint8_t bytes[4];
	bool has_alpha;
} format_cases[] = {
	{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, { 0x33, 0x22, 0x11, 0x80 }, true },
	{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, { 0x33, 0x22, 0x11, 0x80 }, false },
	{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, { 0x80, 0x11, 0x22, 0x33 }, true },
	{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, { 0x80, 0x11, 0x22, 0x33 }, false },
	{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, { 0x11, 0x22, 0x33, 0x80 }, true },
	{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, { 0x80, 0x33, 0x22, 0x11 }, false },
	{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, { 0x80, 0x33, 0x22, 0x11 }, true },
	{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, { 0x11, 0x22, 0x33, 0x80 }, false },
};

static void view_copy_converts_every_format(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(format_cases); i++) {
		const struct format_case *c = &format_cases[i];
		struct neep_image *image = neep_image_create(5, 4, c->format);
		memcpy(image->pixels + 2 * image->stride + 3 * 4, c->bytes, 4);
		struct neep_view view = { .image = image, .rect = { 1, 1, 4, 3 } };
		struct neep_rect area = rect(1, 0, 2, 2);
		uint32_t out[4] = { 0 };
		neep_view_copy(&view, &area, (uint8_t *)out, 8);
		assert_int_equal(out[0] & 0xffffff, 0);
		assert_int_equal(out[1] & 0xffffff, 0);
		assert_int_equal(out[2] & 0xffffff, 0);
		assert_int_equal(out[3] & 0xffffff, 0x112233);
		neep_image_unref(image);
	}
}

static void view_copy_takes_rows_of_any_distance(void **state) {
	(void)state;
	uint8_t pixels[2 * 11] = { 0 };
	memcpy(pixels + 11 + 4, (uint8_t[]){ 0x11, 0x22, 0x33, 0 }, 4);
	struct neep_image image = {
		.refs = 1,
		.width = 2,
		.height = 2,
		.stride = 11,
		.format = VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM,
		.pixels = pixels,
	};
	struct neep_view view = { .image = &image, .rect = { 0, 0, 2, 2 } };
	struct neep_rect area = rect(0, 0, 2, 2);
	uint32_t out[4];
	neep_view_copy(&view, &area, (uint8_t *)out, 8);
	assert_int_equal(out[2] & 0xffffff, 0);
	assert_int_equal(out[3] & 0xffffff, 0x112233);
}

static void format_knows_eight_and_no_other(void **state) {
	(void)state;
	size_t known = 0;
	for (uint32_t format = 0; format < 1000; format++) {
		known += neep_format_is_known(format) ? 1 : 0;
	}
	assert_int_equal(known, NEEP_ARRAY_LEN(format_cases));
	for (size_t i = 0; i < NEEP_ARRAY_LEN(format_cases); i++) {
		pixman_format_code_t code = neep_format_to_pixman(format_cases[i].format, false);
		assert_int_equal(PIXMAN_FORMAT_A(code) == 8, format_cases[i].has_alpha);
		code = neep_format_to_pixman(format_cases[i].format, true);
		assert_int_equal(PIXMAN_FORMAT_A(code), 0);
	}
	assert_int_equal(neep_format_to_pixman(0, true), 0);
}

static void damage_joins_what_fits_together(void **state) {
	(void)state;
	struct neep_damage damage = { 0 };
	assert_true(neep_damage_is_empty(&damage));
	struct neep_rect r = rect(0, 0, 10, 10);
	neep_damage_add(&damage, &r);
	neep_damage_add(&damage, &r);
	r = rect(2, 2, 3, 3);
	neep_damage_add(&damage, &r);
	assert_int_equal(damage.count, 1);
	assert_rect(damage.rects[0], rect(0, 0, 10, 10));
	r = rect(10, 0, 5, 10); // beside it, as high
	neep_damage_add(&damage, &r);
	assert_int_equal(damage.count, 1);
	assert_rect(damage.rects[0], rect(0, 0, 15, 10));
	r = rect(20, 20, 1, 1);
	neep_damage_add(&damage, &r);
	assert_int_equal(damage.count, 2);
	assert_rect(neep_damage_extents(&damage), rect(0, 0, 21, 21));
	r = rect(0, 0, 30, 30); // covers both
	neep_damage_add(&damage, &r);
	assert_int_equal(damage.count, 1);
	assert_rect(neep_damage_take(&damage), r);
	assert_true(neep_damage_is_empty(&damage));
	assert_rect(neep_damage_extents(&damage), rect(0, 0, 0, 0));
}

static void damage_comes_oldest_first(void **state) {
	(void)state;
	struct neep_damage damage = { 0 };
	for (uint32_t i = 0; i < 5; i++) {
		struct neep_rect r = rect(i * 100, 0, 10, 10);
		neep_damage_add(&damage, &r);
	}
	struct neep_rect dropped = rect(195, 0, 115, 10); // the third and the fourth
	neep_damage_drop(&damage, &dropped);
	assert_rect(neep_damage_take(&damage), rect(0, 0, 10, 10));
	assert_rect(neep_damage_take(&damage), rect(100, 0, 10, 10));
	assert_rect(neep_damage_take(&damage), rect(400, 0, 10, 10));
	assert_true(neep_damage_is_empty(&damage));
}

static void damage_rounds_up_where_it_costs_least_when_full(void **state) {
	(void)state;
	struct neep_damage damage = { 0 };
	for (uint32_t i = 0; i < NEEP_DAMAGE_MAX; i++) {
		struct neep_rect r = rect(i * 100, i * 100, 10, 10);
		neep_damage_add(&damage, &r);
	}
	assert_int_equal(damage.count, NEEP_DAMAGE_MAX);
	struct neep_rect last = rect(3 * 100 + 12, 3 * 100, 10, 10);
	neep_damage_add(&damage, &last);
	assert_int_equal(damage.count, NEEP_DAMAGE_MAX);
	assert_rect(damage.rects[3], rect(300, 300, 22, 10));
}

static void sink_create_names_the_right_words(void **state) {
	(void)state;
	struct neep_error error;
	assert_null(neep_sink_create("gtk", NULL, &error));
	assert_string_equal(error.text, "no display is called \"gtk\"; there are: qemu, headless, none");
}

static void query_done(struct neep_sink_query *query, const void *reply, size_t len) {
	assert_null(reply);
	assert_int_equal(len, 0);
	query->scanout_id = 99;
}

static void sink_none_looks_at_nothing_and_holds_the_socket(void **state) {
	(void)state;
	struct neep_error error;
	struct neep_loop *loop = neep_loop_create();
	struct neep_sink *sink = neep_sink_create("none", loop, &error);
	assert_non_null(sink);
	struct neep_image image = { .refs = 1, .width = 8, .height = 8, .stride = 32, .format = 2 };
	struct neep_rect all = rect(0, 0, 8, 8);
	neep_sink_set_scanout(sink, 0, &image, &all);
	neep_sink_damage(sink, 0, &all);
	neep_sink_settle(sink, &image);
	neep_sink_cursor(sink, 0, &(struct neep_cursor){ 0 }, true);
	assert_int_equal(image.refs, 1);
	assert_false(neep_sink_has_query(sink));
	struct neep_sink_query query = { .done = query_done };
	neep_sink_query(sink, &query);
	assert_int_equal(query.scanout_id, 99);
	neep_sink_query_cancel(sink, &query);
	assert_null(neep_sink_snapshot(sink, 0, false, &error));
	assert_string_equal(error.text, "display \"none\" keeps no picture");
	assert_false(neep_sink_output(sink, 0).is_enabled);

	/* The far side must not see our end close while the session lasts. */
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	neep_sink_set_socket(sink, pair[0]);
	char byte;
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	neep_sink_destroy(sink);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	close(pair[1]);
	neep_sink_destroy(NULL);
	neep_loop_destroy(loop);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rect_within_does_not_wrap),
		cmocka_unit_test(rect_intersect_gives_what_both_cover),
		cmocka_unit_test(rect_intersect_is_empty_when_apart),
		cmocka_unit_test(rect_union_covers_both_and_skips_empty),
		cmocka_unit_test(image_is_zeroed_and_counted),
		cmocka_unit_test(image_refuses_unknown_format_and_huge_size),
		cmocka_unit_test(view_copy_converts_every_format),
		cmocka_unit_test(view_copy_takes_rows_of_any_distance),
		cmocka_unit_test(format_knows_eight_and_no_other),
		cmocka_unit_test(damage_joins_what_fits_together),
		cmocka_unit_test(damage_comes_oldest_first),
		cmocka_unit_test(damage_rounds_up_where_it_costs_least_when_full),
		cmocka_unit_test(sink_create_names_the_right_words),
		fd_checked_test(sink_none_looks_at_nothing_and_holds_the_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
