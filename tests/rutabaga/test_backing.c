#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rutabaga/backing.h"
#include "support/cmocka.h"

static uint8_t memory[4096];

static struct iovec piece(size_t offset, size_t len) {
	return (struct iovec){ .iov_base = memory + offset, .iov_len = len };
}

static int memory_setup(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof(memory); i++) {
		memory[i] = (uint8_t)(i * 7 + i / 256);
	}
	return 0;
}

static void init_joins_neighbours_and_skips_empty_pieces(void **state) {
	(void)state;
	struct iovec iov[] = { piece(0, 0), piece(0, 10), piece(900, 0), piece(10, 6), piece(100, 4),
		piece(104, 1), piece(103, 2), { NULL, 0 } };
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, iov, 8, 3), 0);
	assert_int_equal(backing.count, 3);
	assert_int_equal(backing.size, 23);
	assert_ptr_equal(backing.segments[0].iov_base, memory);
	assert_int_equal(backing.segments[0].iov_len, 16);
	assert_int_equal(backing.starts[1], 16);
	assert_int_equal(backing.starts[2], 21);
	neep_backing_finish(&backing);
	assert_int_equal(backing.count, 0);
}

static void init_refuses_more_segments_than_allowed(void **state) {
	(void)state;
	struct iovec iov[] = { piece(0, 1), piece(2, 1), piece(4, 1) };
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, iov, 3, 2), -ENOMEM);
	assert_int_equal(backing.count, 0);
}

static void init_refuses_pieces_that_cannot_be(void **state) {
	(void)state;
	struct neep_backing backing;
	struct iovec null_piece = { NULL, 1 };
	assert_int_equal(neep_backing_init(&backing, &null_piece, 1, 8), -EINVAL);
	struct iovec wrapping = { (void *)(UINTPTR_MAX - 4), 8 };
	assert_int_equal(neep_backing_init(&backing, &wrapping, 1, 8), -EINVAL);
	struct iovec huge[] = { { (void *)1, SIZE_MAX - 16 }, { (void *)1, SIZE_MAX - 16 } };
	assert_int_equal(neep_backing_init(&backing, huge, 2, 8), -EOVERFLOW);
	neep_backing_finish(&backing);
}

static void init_takes_nothing_at_all(void **state) {
	(void)state;
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, NULL, 0, 8), 0);
	assert_int_equal(backing.size, 0);
	struct neep_rows rows = { .image = memory, .image_stride = 1, .len = 1, .count = 1, .stride = 1 };
	assert_int_equal(neep_backing_read(&backing, &rows), -EINVAL);
	neep_backing_finish(&backing);
}

/* What a copy must give, byte by byte. */
static uint8_t byte_at(const struct iovec *iov, size_t count, uint64_t position) {
	for (size_t i = 0; i < count; i++) {
		if (position < iov[i].iov_len) {
			return ((uint8_t *)iov[i].iov_base)[position];
		}
		position -= iov[i].iov_len;
	}
	fail();
	return 0;
}

/* Segments of 1, 2, 3, ... bytes with gaps between them, so that pixels straddle them. */
static size_t odd_pieces(struct iovec *iov, size_t max, size_t total) {
	size_t at = 0, have = 0, n = 0;
	for (; n < max && have < total; n++) {
		iov[n] = piece(at, n + 1);
		at += n + 1 + n % 3;
		have += n + 1;
	}
	return n;
}

static void read_gathers_rows_over_segments_of_odd_lengths(void **state) {
	(void)state;
	struct iovec iov[64];
	size_t n = odd_pieces(iov, 64, 1500);
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, iov, n, 64), 0);
	for (uint64_t offset = 0; offset < 40; offset++) {
		uint8_t image[12 * 40];
		memset(image, 0xee, sizeof(image));
		struct neep_rows rows = { image, 40, 28, 12, offset, 100 };
		assert_int_equal(neep_backing_read(&backing, &rows), 0);
		for (size_t y = 0; y < 12; y++) {
			for (size_t x = 0; x < 40; x++) {
				uint8_t want = x < 28 ? byte_at(iov, n, offset + y * 100 + x) : 0xee;
				assert_int_equal(image[y * 40 + x], want);
			}
		}
	}
	neep_backing_finish(&backing);
}

static void write_scatters_what_read_gathers(void **state) {
	(void)state;
	struct iovec iov[64];
	size_t n = odd_pieces(iov, 64, 1500);
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, iov, n, 64), 0);
	uint8_t out[9 * 32], in[9 * 32];
	for (size_t i = 0; i < sizeof(out); i++) {
		out[i] = (uint8_t)(i * 13 + 1);
	}
	uint8_t before = byte_at(iov, n, 5 + 32);
	struct neep_rows rows = { out, 32, 32, 9, 5, 64 };
	assert_int_equal(neep_backing_write(&backing, &rows), 0);
	rows.image = in;
	assert_int_equal(neep_backing_read(&backing, &rows), 0);
	assert_memory_equal(in, out, sizeof(out));
	assert_int_equal(byte_at(iov, n, 5 + 32), before);
	neep_backing_finish(&backing);
}

static void read_takes_the_last_byte_and_not_one_more(void **state) {
	(void)state;
	struct iovec iov[] = { piece(0, 33), piece(100, 31) };
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, iov, 2, 8), 0);
	uint8_t image[64] = { 0 };
	struct neep_rows rows = { image, 16, 16, 4, 0, 16 };
	assert_int_equal(neep_backing_read(&backing, &rows), 0);
	rows.offset = 1;
	assert_int_equal(neep_backing_read(&backing, &rows), -EINVAL);
	rows = (struct neep_rows){ image, 16, 4, 4, 0, 20 };
	assert_int_equal(neep_backing_read(&backing, &rows), 0);
	rows.offset = 1;
	assert_int_equal(neep_backing_read(&backing, &rows), -EINVAL);
	rows = (struct neep_rows){ image, 16, 64, 1, 0, UINT64_MAX };
	assert_int_equal(neep_backing_read(&backing, &rows), 0);
	neep_backing_finish(&backing);
}

static void read_refuses_offsets_and_strides_that_wrap(void **state) {
	(void)state;
	struct iovec iov = piece(0, 4096);
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, &iov, 1, 8), 0);
	uint8_t image[64] = { 0 }, zero[64] = { 0 };
	const struct neep_rows bad[] = {
		{ image, 4, 4, 2, UINT64_MAX, 4 },
		{ image, 4, 4, 2, UINT64_MAX - 3, 4 },
		{ image, 4, 4, 2, UINT64_C(0xffffffffffffff00), 4 },
		{ image, 4, 4, 2, UINT64_C(1) << 32, 4 },
		{ image, 4, 4, 3, 0, UINT64_C(1) << 63 },
		{ image, 4, 4, 2, 4, UINT64_MAX - 4 },
		{ image, 4, 4, 2, 0, 3 },
		{ image, 4, 4, 2, 4093, 4 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(neep_backing_read(&backing, &bad[i]), -EINVAL);
		assert_int_equal(neep_backing_write(&backing, &bad[i]), -EINVAL);
	}
	assert_memory_equal(image, zero, sizeof(image));
	neep_backing_finish(&backing);
}

static void read_copies_nothing_for_no_rows_or_no_length(void **state) {
	(void)state;
	struct iovec iov = piece(0, 16);
	struct neep_backing backing;
	assert_int_equal(neep_backing_init(&backing, &iov, 1, 8), 0);
	struct neep_rows none = { NULL, 0, 4, 0, UINT64_MAX, 0 };
	assert_int_equal(neep_backing_read(&backing, &none), 0);
	none = (struct neep_rows){ NULL, 0, 0, 4, UINT64_MAX, 0 };
	assert_int_equal(neep_backing_read(&backing, &none), 0);
	neep_backing_finish(&backing);
}

static void buffer_is_a_backing_of_one_segment(void **state) {
	(void)state;
	uint8_t to[8] = { 0 };
	struct iovec iov = { to, sizeof(to) };
	struct neep_backing_buffer buffer;
	neep_backing_buffer_init(&buffer, &iov);
	struct neep_rows rows = { memory, 4, 4, 2, 0, 4 };
	assert_int_equal(neep_backing_write(&buffer.backing, &rows), 0);
	assert_memory_equal(to, memory, 8);
	rows.offset = 1;
	assert_int_equal(neep_backing_write(&buffer.backing, &rows), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_joins_neighbours_and_skips_empty_pieces),
		cmocka_unit_test(init_refuses_more_segments_than_allowed),
		cmocka_unit_test(init_refuses_pieces_that_cannot_be),
		cmocka_unit_test(init_takes_nothing_at_all),
		cmocka_unit_test(read_gathers_rows_over_segments_of_odd_lengths),
		cmocka_unit_test(write_scatters_what_read_gathers),
		cmocka_unit_test(read_takes_the_last_byte_and_not_one_more),
		cmocka_unit_test(read_refuses_offsets_and_strides_that_wrap),
		cmocka_unit_test(read_copies_nothing_for_no_rows_or_no_length),
		cmocka_unit_test(buffer_is_a_backing_of_one_segment),
	};
	return cmocka_run_group_tests(tests, memory_setup, NULL);
}
