#include "support/cmocka.h"
#include "util/checked.h"

static void add_refuses_what_wraps(void **state) {
	(void)state;
	uint32_t sum = 7;
	assert_true(neep_add(UINT32_MAX - 1, 1u, &sum));
	assert_int_equal(sum, UINT32_MAX);
	assert_false(neep_add(UINT32_MAX, 1u, &sum));
}

static void mul_refuses_what_does_not_fit_the_result(void **state) {
	(void)state;
	uint32_t narrow;
	uint64_t wide;
	assert_false(neep_mul(0x40000001u, 4u, &narrow));
	assert_true(neep_mul((uint64_t)0x40000001u, 4u, &wide));
	assert_true(wide == UINT64_C(0x100000004));
}

static void range_within_forms_no_sum(void **state) {
	(void)state;
	assert_true(neep_range_within(0, 0, 0));
	assert_true(neep_range_within(4, 4, 8));
	assert_false(neep_range_within(5, 4, 8));
	assert_false(neep_range_within(UINT64_MAX - 3, 4, 8));
	assert_false(neep_range_within(4, UINT64_MAX, 8));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_refuses_what_wraps),
		cmocka_unit_test(mul_refuses_what_does_not_fit_the_result),
		cmocka_unit_test(range_within_forms_no_sum),
	};
	return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}
