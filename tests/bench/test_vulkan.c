/* `neep bench vulkan`: what it makes of what its programs say. The programs are scripts, but for one case. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_bench.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

static const char *program;

static const char fake_program[] =
	"#!/bin/sh\n"
	"for load; do :; done\n"
	"[ \"${VK_LOADER_DRIVERS_SELECT:-}\" != '*gfxstream*' ] || { FAKE_FRAMES=80; FAKE_CHECKSUM=2; }\n"
	"[ \"$load\" != \"${FAKE_FAILS:-}\" ] || { echo 'no such luck' >&2; exit 3; }\n"
	"case \"$*\" in *--calibrate*) echo 'work 7'; exit ;; esac\n"
	"case $load in\n"
	"info) echo 'device A \"fake\"'; echo 'cpu 1' ;;\n"
	"reply) printf '%s_p50 11\\n%s_p99 99\\n' fence_status fence_status requirements requirements ;;\n"
	"memory) printf 'before_kib 100\\nready 1\\n'; cat >/dev/null ;;\n"
	"*) echo \"frames ${FAKE_FRAMES:-100}\"; echo \"checksum ${FAKE_CHECKSUM:-1}\" ;;\n"
	"esac\n";

/* `neep run`, with frames that are slower. */
static const char fake_neep[] = "#!/bin/sh\n"
				"while [ \"$1\" != -- ]; do shift; done\n"
				"shift\n"
				"FAKE_FRAMES=94 exec \"$@\"\n";

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
	BENCH(&run, "vulkan", "--program", program, "--only", "mesh-1ms,mesh-100us,reply", "--rounds", "2");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "Vulkan: A \"fake\""));
	assert_non_null(strstr(run.out, "0.94x  >= 0.95x MISSED"));
	assert_non_null(strstr(run.out, "0.94x  >= 0.60x met"));
	assert_non_null(strstr(run.out, "<= 12 met"));
	assert_null(strstr(run.out, "compute"));
}

static void other_ways_to_run_get_a_column(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--native", "--against", "env FAKE_FRAMES=50", "--program", program, "--only",
		"draws-10000", "--rounds", "1");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "0.50x"));
	assert_null(strstr(run.out, "target"));
}

static void guest_is_measured_on_two_drivers_that_may_differ(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--guest", "--program", program, "--only", "mesh-1ms", "--rounds", "1");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "lavapipe"));
	assert_non_null(strstr(run.out, "0.80x  >= 0.95x MISSED"));
}

static void row_says_wrong_when_the_result_differs(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--native", "--against", "env FAKE_CHECKSUM=2", "--program", program, "--only",
		"compute-1ms", "--rounds", "1");
	assert_int_equal(run.exit_code, 1);
	assert_non_null(strstr(run.out, "WRONG"));
}

static void row_says_failed_when_the_program_fails(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--native", "--against", "env FAKE_FAILS=clear", "--program", program, "--only",
		"clear-1ms,mesh-1ms", "--rounds", "2");
	assert_int_equal(run.exit_code, 1);
	assert_non_null(strstr(run.out, "failed"));
	assert_non_null(strstr(run.out, "1.00x"));
}

static void bench_ends_when_there_is_no_device(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--native", "--against", "env FAKE_FAILS=info", "--program", program);
	assert_int_equal(run.exit_code, 1);
	assert_string_equal(run.out, "");
	BENCH(&run, "vulkan", "--native", "--program", "/nowhere");
	assert_int_equal(run.exit_code, 1);
}

static void memory_is_that_of_the_process_with_the_driver(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "vulkan", "--native", "--against", "sh -c '\"$@\"; :' sh", "--program", program, "--only",
		"memory,start", "--rounds", "1", "--json");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "\"memory\": {\"unit\": \"MiB\""));
	assert_non_null(strstr(run.out, "\"start\": {\"unit\": \"ms\""));
	assert_null(strstr(run.out, "\"values\": []"));
	assert_non_null(strstr(run.out, "\"device\": \"A \\\"fake\\\"\""));
}

static void real_program_measures(void **state) {
	(void)state;
	struct run run;
	const char *real = getenv("NEEP_TEST_PROGRAM");
	assert_non_null(real);
	BENCH(&run, "vulkan", "--native", "--against", "env", "--program", real, "--only",
		"clear-100us,mesh-100us,textured-100us,draws-100us,compute-100us,reply,submit,record,threads,"
		"upload-64m",
		"--seconds", "0.02", "--rounds", "1", "--json");
	assert_int_equal(run.exit_code, 0);
	assert_null(strstr(run.out, "\"values\": []"));
	assert_null(strstr(run.out, "failed"));
	assert_null(strstr(run.out, "wrong"));
}

static void wrong_command_lines_are_refused(void **state) {
	(void)state;
	struct run run;
	static const char *const bad[][2] = {
		{ "--only", "speed" },
		{ "--only", "" },
		{ "--seconds", "0" },
		{ "--rounds", "16" },
		{ "--rounds", "1.5" },
		{ "--unknown", "1" },
		{ "--native", "more" },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		BENCH(&run, "vulkan", bad[i][0], bad[i][1]);
		assert_int_equal(run.exit_code, 2);
	}
	BENCH(&run, "vulkan", "--against");
	assert_int_equal(run.exit_code, 2);
	BENCH(&run, "vulkan", "--help");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "draws-10000"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(table_holds_neep_against_the_targets),
		fd_checked_test(other_ways_to_run_get_a_column),
		fd_checked_test(guest_is_measured_on_two_drivers_that_may_differ),
		fd_checked_test(row_says_wrong_when_the_result_differs),
		fd_checked_test(row_says_failed_when_the_program_fails),
		fd_checked_test(bench_ends_when_there_is_no_device),
		fd_checked_test(memory_is_that_of_the_process_with_the_driver),
		fd_checked_test(real_program_measures),
		fd_checked_test(wrong_command_lines_are_refused),
	};
	return cmocka_run_group_tests_name("bench-vulkan", tests, make_scripts, remove_scripts);
}
