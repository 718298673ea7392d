/* The neep command: its words, and its conversation with a running device. */
#include "support/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/process.h"
#include "support/fd_check.h"
#include "util/macros.h"

static int setup(void **state) {
	folder_enter();
	return fd_check_setup(state);
}

static int teardown(void **state) {
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static const struct mistake {
	const char *words;
	const char *line;
} mistakes[] = {
	{ "stats", "neep stats: give --control PATH, the device's control socket" },
	{ "outputs", "neep outputs: give --control PATH, the device's control socket" },
	{ "resize 0 1x1", "neep resize: give --control PATH, the device's control socket" },
	{ "screenshot x.png", "neep screenshot: give --control PATH, the device's control socket" },
	{ "stats --control", "neep stats: --control needs a value" },
	{ "stats --fast", "neep stats: --fast is not an option here; neep stats --help lists them" },
	{ "stats -x", "neep stats: -x is not an option here; neep stats --help lists them" },
	{ "stats --control c more", "neep stats: \"more\" is one word too many" },
	{ "resize --control c 0", "neep resize: give the number of a scanout and WIDTHxHEIGHT" },
	{ "resize --control c 0 1x1 2", "neep resize: give the number of a scanout and WIDTHxHEIGHT" },
	{ "screenshot --control c", "neep screenshot: name the file to write, or - for the standard output" },
	{ "screenshot --control c a b", "neep screenshot: \"b\" is one word too many" },
	{ "screenshot --control c -o a b", "neep screenshot: \"b\" is one word too many" },
};

static void mistake_is_told_in_one_line(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(mistakes); i++) {
		process_run_mistake(cli_program(), mistakes[i].words, mistakes[i].line);
	}
}

static void unknown_command_is_answered_with_the_list(void **state) {
	(void)state;
	static struct process_result result;
	process_run(cli_program(), "frobnicate", &result);
	assert_int_equal(strncmp(result.err, "neep: \"frobnicate\" is not a command; there are: ", 47), 0);
	assert_non_null(strstr(result.err, " screenshot "));
	assert_int_equal(result.code, 2);
	process_run(cli_program(), "", &result);
	assert_int_equal(result.code, 2);
	assert_int_equal(strncmp(result.err, "Usage: neep COMMAND", 19), 0);
}

static void help_and_version_succeed(void **state) {
	(void)state;
	static struct process_result result;
	static const char *const words[] = { "--help", "help", "--version", "stats --help", "outputs --help",
		"resize --help", "screenshot --help" };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(words); i++) {
		process_run(cli_program(), words[i], &result);
		assert_int_equal(result.code, 0);
		assert_true(strlen(result.out) > 0);
		assert_string_equal(result.err, "");
	}
}

static void missing_device_is_told(void **state) {
	(void)state;
	static struct process_result result;
	process_run(cli_program(), "stats --control nowhere", &result);
	assert_string_equal(
		result.err, "neep stats: cannot reach a device at nowhere: No such file or directory\n");
	assert_int_equal(result.code, 1);
}

static void device_is_asked(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = process_start(
		daemon_program(), "--socket-path s --control c --display headless --max-outputs 2");
	file_await("s");
	process_run(cli_program(), "stats --control c", &result);
	assert_int_equal(result.code, 0);
	assert_string_equal(result.out,
		"{\"commands\":0,\"errors\":0,\"fences\":0,\"resources\":0,\"contexts\":0,\"maps\":0,"
		"\"bytes\":0,\"pending\":0}\n");
	process_run(cli_program(), "outputs --control c", &result);
	assert_int_equal(result.code, 0);
	process_run(cli_program(), "resize --control c 1 1024x768", &result);
	assert_int_equal(result.code, 0);
	assert_string_equal(result.out, "");
	process_run(cli_program(), "resize --control c 1 0x0", &result);
	assert_int_equal(result.code, 0);
	process_run(cli_program(), "resize --control c 2 800x600", &result);
	assert_string_equal(result.err, "neep resize: \"2\" is not a scanout; there are 0 to 1\n");
	assert_int_equal(result.code, 1);
	process_run(cli_program(), "resize --control c 0 31x600", &result);
	assert_int_equal(result.code, 1);
	process_run(cli_program(), "screenshot --control c x.png", &result);
	assert_string_equal(result.err, "neep screenshot: the scanout shows nothing\n");
	assert_int_equal(result.code, 1);
	assert_false(file_exists("x.png"));
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
}

static void outputs_of_qemu_are_not_resized(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = process_start(daemon_program(), "--socket-path s --control c");
	file_await("s");
	process_run(cli_program(), "resize --control c 0 800x600", &result);
	assert_string_equal(result.err, "neep resize: the outputs are QEMU's here; resize its window\n");
	assert_int_equal(result.code, 1);
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(mistake_is_told_in_one_line),
		in_folder(unknown_command_is_answered_with_the_list),
		in_folder(help_and_version_succeed),
		in_folder(missing_device_is_told),
		in_folder(device_is_asked),
		in_folder(outputs_of_qemu_are_not_resized),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
