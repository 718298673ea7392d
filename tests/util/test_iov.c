#include <string.h>

#include "support/cmocka.h"
#include "util/iov.h"

static void copies_cross_pieces_and_skip_empty_ones(void **state) {
	(void)state;
	char a[3] = "abc", b[1] = "d", c[4] = "efgh";
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 1 }, { c, 4 } };
	assert_int_equal(neep_iov_size(iov, 4), 8);
	char out[8];
	assert_int_equal(neep_iov_read(iov, 4, 2, out, 4), 4);
	assert_memory_equal(out, "cdef", 4);
	assert_int_equal(neep_iov_write(iov, 4, 3, "XYZ", 3), 3);
	assert_memory_equal(b, "X", 1);
	assert_memory_equal(c, "YZgh", 4);
}

static void copies_stop_where_the_pieces_end(void **state) {
	(void)state;
	char a[4] = "abcd", out[8] = { 0 };
	struct iovec iov[] = { { a, 4 } };
	assert_int_equal(neep_iov_read(iov, 1, 3, out, 8), 1);
	assert_int_equal(neep_iov_read(iov, 1, 4, out, 8), 0);
	assert_int_equal(neep_iov_read(iov, 1, SIZE_MAX, out, 8), 0);
	assert_int_equal(neep_iov_read(NULL, 0, 0, out, 8), 0);
}

static void cursor_reads_at_growing_offsets(void **state) {
	(void)state;
	char a[3] = "abc", b[1] = "d", c[4] = "efgh", out[4];
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 1 }, { c, 4 } };
	struct neep_iov_cursor cursor;
	neep_iov_cursor_init(&cursor, iov, 4);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 1, out, 3), 3);
	assert_memory_equal(out, "bcd", 3);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 2, out, 1), 1);
	assert_memory_equal(out, "c", 1);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 5, out, 4), 3);
	assert_memory_equal(out, "fgh", 3);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 0, out, 1), 0);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 8, out, 1), 0);
	neep_iov_cursor_init(&cursor, NULL, 0);
	assert_int_equal(neep_iov_cursor_read_at(&cursor, 0, out, 1), 0);
}

static void size_saturates(void **state) {
	(void)state;
	struct iovec iov[] = { { NULL, SIZE_MAX }, { NULL, 2 } };
	assert_true(neep_iov_size(iov, 2) == SIZE_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_cross_pieces_and_skip_empty_ones),
		cmocka_unit_test(copies_stop_where_the_pieces_end),
		cmocka_unit_test(cursor_reads_at_growing_offsets),
		cmocka_unit_test(size_saturates),
	};
	return cmocka_run_group_tests_name("iov", tests, NULL, NULL);
}
