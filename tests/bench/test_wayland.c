/* `neep bench wayland`: what it makes of what its programs say. The programs are scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_bench.h"
#include "support/cmocka.h"

static const char *program;

static const char fake_program[] =
	"#!/bin/sh\n"
	"for load; do :; done\n"
	"[ \"$load\" != \"${FAKE_FAILS:-}\" ] || { echo 'no such luck' >&2; exit 3; }\n"
	"case $load in\n"
	"sync) printf 'sync_p50 %s\\nsync_p99 900\\n' ${FAKE_SYNC:-10} ;;\n"
	"paced) echo \"paced_frames ${FAKE_FRAMES:-60}\" ;;\n"
	"clipboard) echo 'clipboard_mb 499' ;;\n"
	"esac\n";

/* `neep run`, slower. */
static const char fake_neep[] = "#!/bin/sh\n"
				"[ \"${0##*/} $*\" = \"neep ${*#*--wayland}\" ] && exit 9\n"
				"while [ \"$1\" != -- ]; do shift; done\n"
				"shift\n"
				"FAKE_SYNC=110 FAKE_FRAMES=53 exec \"$@\"\n";

static int make_scripts(void **state) {
	(void)state;
	program = bench_scripts_make(fake_program, fake_neep);
	return 0;
}

static int remove_scripts(void **state) {
	(void)state;
	bench_scripts_remove();
	return 0;
}

static void table_holds_neep_against_the_targets(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "wayland", "--program", program, "--only", "sync,paced,clipboard", "--rounds", "2");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "11.00x  <= +100 met"));
	assert_non_null(strstr(run.out, "0.88x  >= 0.90x MISSED"));
	assert_non_null(strstr(run.out, "1.00x  >= 500 MISSED"));
	assert_null(strstr(run.out, "4K surface"));
}

static void other_ways_to_run_get_a_column(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "wayland", "--native", "--against", "env FAKE_SYNC=555", "--program", program, "--only",
		"sync", "--rounds", "1");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "other"));
	assert_non_null(strstr(run.out, "555"));
}

static void guest_without_a_session_has_no_native_column(void **state) {
	(void)state;
	struct run run;
	unsetenv("WAYLAND_DISPLAY");
	BENCH(&run, "wayland", "--guest", "--program", program, "--only", "sync,clipboard", "--rounds", "1");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "110"));
	assert_null(strstr(run.out, "native"));
	assert_null(strstr(run.out, "nan"));
}

static void guest_with_a_session_has_both(void **state) {
	(void)state;
	struct run run;
	setenv("WAYLAND_DISPLAY", "inner", 1);
	BENCH(&run, "wayland", "--guest", "--program", program, "--only", "sync", "--rounds", "1");
	unsetenv("WAYLAND_DISPLAY");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "11.00x  <= +100 met"));
}

static void failure_is_told_and_fails(void **state) {
	(void)state;
	struct run run;
	setenv("FAKE_FAILS", "sync", 1);
	BENCH(&run, "wayland", "--program", program, "--only", "sync,paced", "--rounds", "1");
	unsetenv("FAKE_FAILS");
	assert_int_equal(run.exit_code, 1);
	assert_non_null(strstr(run.out, "1080p frames when asked for"));
}

static void mistake_is_told(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "wayland", "--only", "dancing");
	assert_int_equal(run.exit_code, 2);
	BENCH(&run, "wayland", "--rounds", "0");
	assert_int_equal(run.exit_code, 2);
	BENCH(&run, "wayland", "--fast");
	assert_int_equal(run.exit_code, 2);
	BENCH(&run, "wayland", "--help");
	assert_int_equal(run.exit_code, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_holds_neep_against_the_targets),
		cmocka_unit_test(other_ways_to_run_get_a_column),
		cmocka_unit_test(guest_without_a_session_has_no_native_column),
		cmocka_unit_test(guest_with_a_session_has_both),
		cmocka_unit_test(failure_is_told_and_fails),
		cmocka_unit_test(mistake_is_told),
	};
	return cmocka_run_group_tests(tests, make_scripts, remove_scripts);
}
