/* `neep bench` end to end, on our own device: that it measures, and what it says when it cannot. Numbers are not judged. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_internal.h"
#include "bench/figures.h"
#include "run_bench.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"

static char own_device[4096];

static int name_device(void **state) {
	(void)state;
	/* Sockets are in /tmp then: what the variable names need not be there. */
	unsetenv("XDG_RUNTIME_DIR");
	const char *path = getenv("NEEP_TEST_BACKEND");
	snprintf(
		own_device, sizeof(own_device), "%s --socket-path {socket}", path != NULL ? path : "missing");
	return path != NULL ? 0 : -1;
}

static void every_load_gives_its_numbers(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "--backend", own_device, "--against", own_device, "--seconds", "0.02", "--rounds", "1",
		"--json");
	assert_int_equal(run.exit_code, 0);
	for (size_t i = 0; i < BENCH_METRIC_COUNT; i++) {
		char key[80];
		snprintf(key, sizeof(key), "\"%s\": {", bench_metrics[i].key);
		assert_non_null(strstr(run.out, key));
	}
	assert_null(strstr(run.out, "\"values\": []"));
	assert_null(strstr(run.out, "died"));
	assert_null(strstr(run.out, "failed"));
}

static void table_has_the_machine_and_the_ratio(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "--backend", own_device, "--against", own_device, "--only", "latency,pipeline",
		"--seconds", "0.02", "--rounds", "2", "--queue-size", "16");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, " cores, Linux"));
	assert_non_null(strstr(run.out, "ratio"));
	assert_non_null(strstr(run.out, "pipelined commands"));
	assert_null(strstr(run.out, "4K"));
}

static void row_says_died_when_the_back_end_dies(void **state) {
	(void)state;
	struct run run;
	char mortal[4200];
	run.exit_code = 1;
	/* Where it dies before it serves, it is given more time. */
	for (int seconds = 1; run.exit_code != 0 && seconds < 30; seconds *= 2) {
		snprintf(mortal, sizeof(mortal), "timeout -s KILL %d %s", seconds, own_device);
		BENCH(&run, "--backend", mortal, "--only", "latency", "--seconds", "60", "--rounds", "2");
	}
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "died"));
}

static void bench_ends_when_a_back_end_does_not_start(void **state) {
	(void)state;
	struct run run;
	BENCH(&run, "--backend", "true {socket}");
	assert_int_equal(run.exit_code, 1);
	assert_string_equal(run.out, "");
}

static size_t count_files(const char *folder) {
	size_t count = 0;
	DIR *files = opendir(folder);
	for (struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
		count += entry->d_name[0] != '.';
	}
	closedir(files);
	return count;
}

/* One for each back-end that was started. */
static bool has_lines(const char *path, int wanted) {
	int lines = 0;
	FILE *file = fopen(path, "re");
	for (int c; file != NULL && (c = fgetc(file)) != EOF;) {
		lines += c == '\n';
	}
	if (file != NULL) {
		fclose(file);
	}
	return lines >= wanted;
}

static void interrupted_measurement_leaves_no_folder(void **state) {
	(void)state;
	char runtime[] = "/tmp/bench-XXXXXX", starts[] = "/tmp/starts-XXXXXX", command[4400];
	assert_non_null(mkdtemp(runtime));
	close(mkstemp(starts));
	snprintf(command, sizeof(command), "sh -c 'echo >> %s; exec %s' {socket}", starts, own_device);
	pid_t child = fork();
	if (child == 0) {
		struct run run;
		setenv("XDG_RUNTIME_DIR", runtime, 1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		BENCH(&run, "--backend", command, "--only", "pipeline", "--seconds", "60", "--rounds", "1");
		_exit(0);
	}
	/* The first is asked what it can do. */
	await_true(has_lines(starts, 2) && count_files(runtime) == 0);
	kill(child, SIGINT);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(count_files(runtime), 0);
	unlink(starts);
	assert_int_equal(rmdir(runtime), 0);
}

static void wrong_command_lines_are_refused(void **state) {
	(void)state;
	struct run run;
	static const char *const bad[][2] = {
		{ "--only", "speed" },
		{ "--only", "" },
		{ "--only", ",latency" },
		{ "--seconds", "0" },
		{ "--seconds", "1x" },
		{ "--seconds", "nan" },
		{ "--rounds", "16" },
		{ "--rounds", "1.5" },
		{ "--queue-size", "100" },
		{ "--backend", "no-socket" },
		{ "--against", "no-socket" },
		{ "--unknown", "1" },
		{ "--json", "more" },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		BENCH(&run, bad[i][0], bad[i][1]);
		assert_int_equal(run.exit_code, 2);
	}
	BENCH(&run, "--seconds");
	assert_int_equal(run.exit_code, 2);
	BENCH(&run, "--help");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(run.out, "--against"));
}

static void percentile_and_median_hold_at_the_edges(void **state) {
	(void)state;
	double one[] = { 5 };
	assert_true(bench_median(one, 1) == 5);
	assert_true(bench_percentile(one, 1, 99) == 5);
	double four[] = { 4, 1, 3, 2 };
	assert_true(bench_median(four, 4) == 2.5);
	assert_true(bench_percentile(four, 4, 0) == 1);
	assert_true(bench_percentile(four, 4, 100) == 4);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(every_load_gives_its_numbers),
		fd_checked_test(table_has_the_machine_and_the_ratio),
		fd_checked_test(row_says_died_when_the_back_end_dies),
		fd_checked_test(bench_ends_when_a_back_end_does_not_start),
		fd_checked_test(interrupted_measurement_leaves_no_folder),
		fd_checked_test(wrong_command_lines_are_refused),
		fd_checked_test(percentile_and_median_hold_at_the_edges),
	};
	return cmocka_run_group_tests_name("bench", tests, name_device, NULL);
}
