#include "support/cmocka.h"
#include "util/reader.h"

static void reader_reads_little_endian_fields_in_order(void **state) {
	(void)state;
	const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct neep_reader r;
	neep_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(neep_reader_u8(&r), 1);
	assert_int_equal(neep_reader_u16(&r), 0x0302);
	assert_int_equal(neep_reader_u32(&r), 0x07060504);
	assert_true(neep_reader_u64(&r) == UINT64_C(0x0f0e0d0c0b0a0908));
	assert_true(neep_reader_ok(&r));
	assert_int_equal(neep_reader_left(&r), 0);
}

static void reader_stays_failed_after_a_short_read(void **state) {
	(void)state;
	const uint8_t bytes[] = { 0xff, 0xff, 0xff };
	struct neep_reader r;
	neep_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(neep_reader_u32(&r), 0);
	assert_false(neep_reader_ok(&r));
	assert_int_equal(neep_reader_u8(&r), 0);
	assert_null(neep_reader_take(&r, 0));
	assert_int_equal(neep_reader_left(&r), 3);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_reads_little_endian_fields_in_order),
		cmocka_unit_test(reader_stays_failed_after_a_short_read),
	};
	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
