/* Transfers of 2D resources through the API: virtio-gpu, TRANSFER_TO_HOST_2D and its way back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"
#include "support/cmocka.h"

#define W      20
#define H      15
#define STRIDE (W * 4)
#define RES    7

struct fixture {
	struct recorder *r;
	struct neep_rutabaga_image *image;
	uint8_t backing[STRIDE * H];
	uint8_t before[STRIDE * H]; // the image before the transfer
};

static struct fixture fixture;

static void *image_row(uint32_t y) {
	return (uint8_t *)fixture.image->pixels + (size_t)y * fixture.image->stride;
}

static void create(uint32_t resource_id, uint32_t width, uint32_t height) {
	struct rutabaga_create_3d args = create_2d_args(2, width, height);
	assert_int_equal(rutabaga_resource_create_3d(fixture.r->rutabaga, resource_id, &args), 0);
}

static int setup(void **state) {
	if (recorder_setup_2d(state) < 0) {
		return -1;
	}
	fixture = (struct fixture){ .r = *state };
	for (size_t i = 0; i < sizeof(fixture.backing); i++) {
		fixture.backing[i] = (uint8_t)(i * 31 + i / 251);
	}
	create(RES, W, H);
	struct iovec iov = { fixture.backing, sizeof(fixture.backing) };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	if (rutabaga_resource_attach_backing(fixture.r->rutabaga, RES, &iovecs) < 0) {
		return -1;
	}
	return neep_rutabaga_resource_image(fixture.r->rutabaga, RES, &fixture.image);
}

static int teardown(void **state) {
	neep_rutabaga_image_unref(fixture.image);
	return recorder_teardown(state);
}

static struct rutabaga_transfer box(uint32_t x, uint32_t y, uint32_t w, uint32_t h) {
	return (struct rutabaga_transfer){ .x = x, .y = y, .w = w, .h = h, .d = 1 };
}

static int write_box(struct rutabaga_transfer transfer) {
	memcpy(fixture.before, fixture.image->pixels, sizeof(fixture.before));
	return rutabaga_resource_transfer_write(fixture.r->rutabaga, 0, RES, &transfer);
}

/* The box holds backing bytes from `offset` with `stride` between rows, and all else is as before. */
static void expect_box(struct rutabaga_transfer t, uint64_t offset, uint64_t stride) {
	for (uint32_t y = 0; y < H; y++) {
		for (uint32_t x = 0; x < W; x++) {
			const uint8_t *want = fixture.before + y * STRIDE + x * 4;
			if (x >= t.x && x - t.x < t.w && y >= t.y && y - t.y < t.h) {
				want = fixture.backing + offset + (y - t.y) * stride + (size_t)(x - t.x) * 4;
			}
			assert_memory_equal((uint8_t *)image_row(y) + x * 4, want, 4);
		}
	}
}

static void image_starts_zeroed_and_is_tight(void **state) {
	(void)state;
	uint8_t zero[STRIDE * H] = { 0 };
	assert_int_equal(fixture.image->width, W);
	assert_int_equal(fixture.image->height, H);
	assert_int_equal(fixture.image->stride, STRIDE);
	assert_int_equal(fixture.image->format, 2);
	assert_memory_equal(fixture.image->pixels, zero, sizeof(zero));
}

static void write_fills_the_whole_image(void **state) {
	(void)state;
	struct rutabaga_transfer t = box(0, 0, W, H);
	assert_int_equal(write_box(t), 0);
	assert_memory_equal(fixture.image->pixels, fixture.backing, sizeof(fixture.backing));
}

static void write_takes_offset_as_the_place_of_the_first_pixel(void **state) {
	(void)state;
	struct rutabaga_transfer t = box(3, 5, 7, 9);
	t.offset = (5 * W + 3) * 4;
	assert_int_equal(write_box(t), 0);
	expect_box(t, t.offset, STRIDE);
	t.offset = 44; // not where the box would be
	assert_int_equal(write_box(t), 0);
	expect_box(t, 44, STRIDE);
}

static void write_with_stride_reads_byte_0_for_offset_0(void **state) {
	(void)state;
	struct rutabaga_transfer t = box(3, 5, 7, 9);
	t.stride = STRIDE;
	assert_int_equal(write_box(t), 0);
	expect_box(t, 0, STRIDE);
	t.stride = 28;
	assert_int_equal(write_box(t), 0);
	expect_box(t, 0, 28);
}

static void write_without_offset_and_stride_is_qemus_natural_place(void **state) {
	(void)state;
	struct rutabaga_transfer t = box(3, 5, 7, 9);
	assert_int_equal(write_box(t), 0);
	expect_box(t, (5 * W + 3) * 4, STRIDE);
}

static void write_refuses_boxes_outside_the_image(void **state) {
	(void)state;
	struct rutabaga_transfer bad[] = {
		box(0, 0, W + 1, 1),
		box(1, 0, W, 1),
		box(0, 1, 1, H),
		box(UINT32_MAX, 0, 2, 1),
		box(0, UINT32_MAX, 1, 2),
		box(W, 0, 1, 1),
		box(0, 0, UINT32_MAX, UINT32_MAX),
		box(0x80000001, 0, 0x80000001, 1),
		box(W + 1, 0, 0, 0),
		box(0, 0, 1, 1),
		box(0, 0, 1, 1),
		box(0, 0, 1, 1),
	};
	bad[9].z = 1;
	bad[10].d = 2;
	bad[11].level = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(write_box(bad[i]), -EINVAL);
		assert_memory_equal(fixture.image->pixels, fixture.before, sizeof(fixture.before));
	}
}

static void write_takes_the_last_pixel_and_nothing_behind_it(void **state) {
	(void)state;
	struct rutabaga_transfer t = box(0, 0, 1, 1);
	t.offset = sizeof(fixture.backing) - 4;
	assert_int_equal(write_box(t), 0);
	expect_box(t, t.offset, STRIDE);
	const uint64_t bad[] = { sizeof(fixture.backing) - 3, sizeof(fixture.backing), UINT64_C(1) << 32,
		UINT64_MAX - 3, UINT64_MAX, UINT64_C(0xffffffffffffff00) };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t.offset = bad[i];
		assert_int_equal(write_box(t), -EINVAL);
		assert_memory_equal(fixture.image->pixels, fixture.before, sizeof(fixture.before));
	}
	t = box(0, 0, 4, 2);
	t.stride = UINT32_MAX;
	assert_int_equal(write_box(t), -EINVAL);
	t.stride = 15;
	assert_int_equal(write_box(t), -EINVAL);
}

static void write_of_no_pixels_does_nothing(void **state) {
	(void)state;
	struct rutabaga_transfer none[] = { box(0, 0, 0, H), box(0, 0, W, 0), box(W, H, 0, 0),
		box(0, 0, W, H) };
	none[3].d = 0;
	for (size_t i = 0; i < 4; i++) {
		none[i].offset = UINT64_MAX;
		assert_int_equal(write_box(none[i]), 0);
		assert_memory_equal(fixture.image->pixels, fixture.before, sizeof(fixture.before));
	}
}

static void write_needs_backing(void **state) {
	(void)state;
	assert_int_equal(rutabaga_resource_detach_backing(fixture.r->rutabaga, RES), 0);
	assert_int_equal(write_box(box(0, 0, 1, 1)), -EINVAL);
	struct rutabaga_transfer t = box(0, 0, 1, 1);
	assert_int_equal(rutabaga_resource_transfer_write(fixture.r->rutabaga, 0, 99, &t), -ENOENT);
	assert_int_equal(rutabaga_resource_transfer_write(fixture.r->rutabaga, 5, RES, &t), -ESRCH);
}

static void write_gathers_pieces_that_split_pixels(void **state) {
	(void)state;
	assert_int_equal(rutabaga_resource_detach_backing(fixture.r->rutabaga, RES), 0);
	/* Every piece on the heap by itself, so that a sanitizer sees any byte too many. */
	struct iovec iov[200];
	size_t n = 0, at = 0;
	for (; at < sizeof(fixture.backing) && n < 200; n++) {
		size_t len = n % 5 == 4 ? 0 : 1 + n % 23;
		len = len < sizeof(fixture.backing) - at ? len : sizeof(fixture.backing) - at;
		iov[n] = (struct iovec){ len > 0 ? malloc(len) : NULL, len };
		if (len > 0) {
			memcpy(iov[n].iov_base, fixture.backing + at, len);
		}
		at += len;
	}
	struct rutabaga_iovecs iovecs = { iov, n };
	assert_int_equal(rutabaga_resource_attach_backing(fixture.r->rutabaga, RES, &iovecs), 0);
	struct rutabaga_transfer t = box(1, 2, 18, 12);
	t.offset = (2 * W + 1) * 4;
	t.stride = STRIDE;
	assert_int_equal(write_box(t), 0);
	expect_box(t, t.offset, STRIDE);
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	assert_memory_equal(fixture.image->pixels, fixture.backing, sizeof(fixture.backing));
	for (size_t i = 0; i < n; i++) {
		free(iov[i].iov_base);
	}
}

static void write_works_from_pieces_that_overlap(void **state) {
	(void)state;
	assert_int_equal(rutabaga_resource_detach_backing(fixture.r->rutabaga, RES), 0);
	struct iovec iov[H];
	for (size_t i = 0; i < H; i++) {
		iov[i] = (struct iovec){ fixture.backing, STRIDE };
	}
	struct rutabaga_iovecs iovecs = { iov, H };
	assert_int_equal(rutabaga_resource_attach_backing(fixture.r->rutabaga, RES, &iovecs), 0);
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	assert_memory_equal(image_row(0), fixture.backing, STRIDE);
	assert_memory_equal(image_row(H - 1), fixture.backing, STRIDE);
}

static void backing_array_is_copied(void **state) {
	(void)state;
	assert_int_equal(rutabaga_resource_detach_backing(fixture.r->rutabaga, RES), 0);
	struct iovec *iov = malloc(sizeof(*iov));
	*iov = (struct iovec){ fixture.backing, sizeof(fixture.backing) };
	struct rutabaga_iovecs iovecs = { iov, 1 };
	assert_int_equal(rutabaga_resource_attach_backing(fixture.r->rutabaga, RES, &iovecs), 0);
	free(iov);
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	assert_memory_equal(fixture.image->pixels, fixture.backing, sizeof(fixture.backing));
}

static void read_returns_to_the_backing_what_write_took(void **state) {
	(void)state;
	uint8_t original[sizeof(fixture.backing)];
	memcpy(original, fixture.backing, sizeof(original));
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	memset(fixture.backing, 0, sizeof(fixture.backing));
	struct rutabaga_transfer t = box(2, 3, 5, 4);
	t.offset = (3 * W + 2) * 4;
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, NULL), 0);
	for (size_t i = 0; i < sizeof(original); i++) {
		size_t x = i % STRIDE / 4, y = i / STRIDE;
		bool inside = x >= 2 && x < 7 && y >= 3 && y < 7;
		assert_int_equal(fixture.backing[i], inside ? original[i] : 0);
	}
}

static void read_fills_the_callers_buffer(void **state) {
	(void)state;
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	uint8_t *buf = calloc(1, STRIDE * H);
	struct iovec iov = { buf, STRIDE * H };
	struct rutabaga_transfer t = box(0, 0, W, H);
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, &iov), 0);
	assert_memory_equal(buf, fixture.backing, STRIDE * H);
	free(buf);
}

static void read_places_rows_by_the_callers_stride(void **state) {
	(void)state;
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	size_t size = 2 * 64 + 5 * 4;
	uint8_t *buf = calloc(1, size);
	struct iovec iov = { buf, size };
	struct rutabaga_transfer t = box(4, 6, 5, 3);
	t.stride = 64;
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, &iov), 0);
	for (size_t y = 0; y < 3; y++) {
		assert_memory_equal(buf + y * 64, fixture.backing + (6 + y) * STRIDE + 16, 20);
	}
	assert_int_equal(buf[20], 0);
	iov.iov_len--;
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, &iov), -EINVAL);
	iov.iov_len = 0;
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, &iov), -EINVAL);
	iov = (struct iovec){ NULL, 100 };
	assert_int_equal(rutabaga_resource_transfer_read(fixture.r->rutabaga, 0, RES, &t, &iov), -EINVAL);
	free(buf);
}

static void image_outlives_the_resource(void **state) {
	(void)state;
	assert_int_equal(write_box(box(0, 0, W, H)), 0);
	assert_int_equal(rutabaga_resource_unref(fixture.r->rutabaga, RES), 0);
	assert_memory_equal(fixture.image->pixels, fixture.backing, sizeof(fixture.backing));
	struct neep_rutabaga_image *gone = NULL;
	assert_int_equal(neep_rutabaga_resource_image(fixture.r->rutabaga, RES, &gone), -ENOENT);
	create(RES, W, H);
	assert_int_equal(neep_rutabaga_resource_image(fixture.r->rutabaga, RES, &gone), 0);
	assert_ptr_not_equal(gone, fixture.image);
	neep_rutabaga_image_unref(gone);
	assert_int_equal(neep_rutabaga_reset(fixture.r->rutabaga), 0);
	assert_memory_equal(fixture.image->pixels, fixture.backing, sizeof(fixture.backing));
}

static void create_takes_the_eight_formats_and_no_others(void **state) {
	(void)state;
	const uint32_t good[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	for (uint32_t i = 0; i < 8; i++) {
		struct rutabaga_create_3d args = create_2d_args(good[i], 1, 1);
		assert_int_equal(rutabaga_resource_create_3d(fixture.r->rutabaga, 100 + i, &args), 0);
	}
	const uint32_t bad[] = { 0, 5, 66, 69, 120, 122, 133, 135, UINT32_MAX };
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rutabaga_create_3d args = create_2d_args(bad[i], 1, 1);
		assert_int_equal(rutabaga_resource_create_3d(fixture.r->rutabaga, 200, &args), -EINVAL);
	}
}

static void create_refuses_sizes_beyond_the_largest(void **state) {
	(void)state;
	const uint32_t bad[][2] = { { 0, 1 }, { 1, 0 }, { 0, 0 }, { 16385, 1 }, { 1, 16385 },
		{ 0x40000001, 4 }, { 65536, 65536 }, { UINT32_MAX, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rutabaga_create_3d args = create_2d_args(1, bad[i][0], bad[i][1]);
		assert_int_equal(rutabaga_resource_create_3d(fixture.r->rutabaga, 200, &args), -EINVAL);
	}
	create(200, 16384, 1);
	create(201, 1, 16384);
}

static void create_refuses_what_an_image_cannot_hold(void **state) {
	(void)state;
	struct rutabaga_create_3d bad[6];
	for (size_t i = 0; i < 6; i++) {
		bad[i] = create_2d_args(1, 4, 4);
	}
	bad[0].target = 3;
	bad[1].depth = 2;
	bad[2].array_size = 6;
	bad[3].last_level = 1;
	bad[4].nr_samples = 4;
	bad[5].target = 0;
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(rutabaga_resource_create_3d(fixture.r->rutabaga, 200, &bad[i]), -ENOTSUP);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(image_starts_zeroed_and_is_tight),
		CASE(write_fills_the_whole_image),
		CASE(write_takes_offset_as_the_place_of_the_first_pixel),
		CASE(write_with_stride_reads_byte_0_for_offset_0),
		CASE(write_without_offset_and_stride_is_qemus_natural_place),
		CASE(write_refuses_boxes_outside_the_image),
		CASE(write_takes_the_last_pixel_and_nothing_behind_it),
		CASE(write_of_no_pixels_does_nothing),
		CASE(write_needs_backing),
		CASE(write_gathers_pieces_that_split_pixels),
		CASE(write_works_from_pieces_that_overlap),
		CASE(backing_array_is_copied),
		CASE(read_returns_to_the_backing_what_write_took),
		CASE(read_fills_the_callers_buffer),
		CASE(read_places_rows_by_the_callers_stride),
		CASE(image_outlives_the_resource),
		CASE(create_takes_the_eight_formats_and_no_others),
		CASE(create_refuses_sizes_beyond_the_largest),
		CASE(create_refuses_what_an_image_cannot_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
