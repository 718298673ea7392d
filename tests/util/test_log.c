#include <errno.h>
#include <string.h>

#include "support/cmocka.h"
#include "util/clock.h"
#include "util/log.h"

static int lines;
static char last[512];

static void count_line(void *data, enum neep_log_level level, const char *topic, const char *line) {
	(void)data;
	(void)level;
	(void)topic;
	lines++;
	strncpy(last, line, sizeof(last) - 1);
}

static void lines_above_the_level_are_dropped(void **state) {
	(void)state;
	neep_log_set_handler(count_line, NULL);
	lines = 0;
	errno = EBADF;
	neep_log("test", NEEP_LOG_DEBUG, "not %s", "seen");
	assert_int_equal(lines, 0);
	neep_log("test", NEEP_LOG_ERROR, "seen %d", 1);
	assert_int_equal(lines, 1);
	assert_string_equal(last, "seen 1");
	assert_int_equal(errno, EBADF);
	neep_log_set_handler(NULL, NULL);
}

static void guest_lines_are_rate_limited(void **state) {
	(void)state;
	neep_log_set_handler(count_line, NULL);
	struct neep_log_limit limit;
	int64_t start_ns;
	/* A new second, on a machine that stands still meanwhile, has lines of its own. */
	do {
		start_ns = neep_clock_ns();
		limit = (struct neep_log_limit){ 0 };
		lines = 0;
		for (int i = 0; i < 1000; i++) {
			neep_log_guest(&limit, "test", "mistake %d", i);
		}
	} while (neep_clock_ns() - start_ns >= NEEP_NS_PER_S);
	assert_int_equal(lines, NEEP_LOG_GUEST_BURST);
	assert_int_equal(limit.dropped, 1000 - NEEP_LOG_GUEST_BURST);
	limit.window_start_ns -= INT64_C(2000000000);
	neep_log_guest(&limit, "test", "later");
	assert_int_equal(lines, NEEP_LOG_GUEST_BURST + 2);
	neep_log_set_handler(NULL, NULL);
}

static void level_names_parse(void **state) {
	(void)state;
	enum neep_log_level level;
	assert_true(neep_log_level_parse("debug", &level));
	assert_int_equal(level, NEEP_LOG_DEBUG);
	assert_false(neep_log_level_parse("loud", &level));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(guest_lines_are_rate_limited),
		cmocka_unit_test(level_names_parse),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
