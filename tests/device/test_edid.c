/* EDIDs for many modes, each judged by edid-decode(1), an implementation that shares nothing with ours. */
#include "support/cmocka.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/device_internal.h"
#include "support/fd_check.h"
#include "util/fd.h"

#define REPORT_MAX 65536

extern char **environ;

static int memory_file(const void *content, size_t len) {
	int fd = memfd_create("edid", MFD_CLOEXEC);
	assert_true(fd >= 0);
	if (len > 0) {
		assert_int_equal(pwrite(fd, content, len, 0), len);
	}
	return fd;
}

/* Runs the tool over `edid`; its report, which ends with a NUL, goes to `report`. Returns its exit status. */
static int decode(const uint8_t *edid, size_t len, char report[static REPORT_MAX]) {
	static char *const args[] = { "edid-decode", "--check", "--skip-hex-dump", "--preferred-timings",
		NULL };
	neep_autoclose int in = memory_file(edid, len);
	neep_autoclose int out = memory_file(NULL, 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	pid_t pid;
	int error = posix_spawnp(&pid, args[0], &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0) {
		fail_msg("edid-decode does not start (%s): install it, scripts/deps names the package",
			strerror(error));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ssize_t got = pread(out, report, REPORT_MAX - 1, 0);
	assert_true(got >= 0);
	report[got] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The tool knows every registered vendor, and "NEP" is none of them; it says so in a warning of its own block. */
static bool has_other_warnings(const char *report) {
	const char *line = strstr(report, "\nWarnings:\n");
	if (line == NULL) {
		return false;
	}
	line += strlen("\nWarnings:\n");
	for (const char *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		if (strncmp(line, "  ", 2) == 0 && strstr(line, "Unknown OUI 4E-45-50") == NULL) {
			return true;
		}
	}
	return false;
}

/* The last of the tool's preferred timings is that of all blocks together. */
static bool preferred_mode_is(const char *report, uint32_t width, uint32_t height) {
	const char *at = strstr(report, "Preferred Video Timing if Block 0 and DisplayID Blocks are parsed:");
	if (at == NULL) {
		at = strstr(report, "Preferred Video Timing");
	}
	uint32_t got_width, got_height;
	return at != NULL && (at = strstr(at, "DTD")) != NULL && (at = strchr(at, ':')) != NULL &&
	       sscanf(at, ": %ux%u ", &got_width, &got_height) == 2 && got_width == width &&
	       got_height == height;
}

static void check_mode(uint32_t scanout_id, uint32_t width, uint32_t height) {
	static char report[REPORT_MAX];
	uint8_t edid[NEEP_EDID_MAX];
	size_t len = neep_edid_generate(scanout_id, width, height, edid);
	assert_true(len >= 128 && len <= NEEP_EDID_MAX && len % 128 == 0);
	assert_int_equal(len, 128 * (edid[126] + 1));
	int status = decode(edid, len, report);
	if (status != 0 || strstr(report, "EDID conformity: PASS") == NULL || has_other_warnings(report)) {
		fail_msg("%ux%u on output %u: edid-decode exits with %d and says\n%s", width, height,
			scanout_id, status, report);
	}
	if (!preferred_mode_is(report, width, height)) {
		fail_msg("%ux%u is not the preferred mode of\n%s", width, height, report);
	}
}

static void edid_conforms_when_the_mode_is_a_common_one(void **state) {
	static const uint32_t modes[][2] = { { 640, 480 }, { 800, 600 }, { 1024, 768 }, { 1280, 720 },
		{ 1280, 800 }, { 1280, 1024 }, { 1366, 768 }, { 1440, 900 }, { 1600, 1200 }, { 1680, 1050 },
		{ 1920, 1080 }, { 1920, 1200 }, { 2560, 1440 }, { 2560, 1600 }, { 2880, 1800 },
		{ 3440, 1440 }, { 3840, 2160 }, { 4096, 2160 }, { 5120, 1440 }, { 5120, 2880 },
		{ 7680, 4320 }, { 1080, 1920 }, { 2160, 3840 } };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(modes); i++) {
		check_mode((uint32_t)i % 16, modes[i][0], modes[i][1]);
	}
}

static void edid_conforms_when_the_mode_is_any_from_32_to_8192(void **state) {
	static const uint32_t sides[] = { 32, 33, 47, 64, 100, 255, 256, 600, 1023, 1366, 2047, 2160, 2161,
		3840, 4095, 4096, 5119, 7999, 8191, 8192 };
	(void)state;
	for (size_t x = 0; x < NEEP_ARRAY_LEN(sides); x++) {
		for (size_t y = 0; y < NEEP_ARRAY_LEN(sides); y++) {
			check_mode(0, sides[x], sides[y]);
		}
	}
}

static void edid_differs_only_in_its_identity_when_the_output_differs(void **state) {
	uint8_t first[NEEP_EDID_MAX], second[NEEP_EDID_MAX], again[NEEP_EDID_MAX];
	(void)state;
	size_t len = neep_edid_generate(0, 1920, 1080, first);
	assert_int_equal(neep_edid_generate(15, 1920, 1080, second), len);
	assert_int_equal(neep_edid_generate(0, 1920, 1080, again), len);
	assert_memory_equal(first, again, sizeof(first));
	assert_memory_not_equal(first, second, len);
	/* From the version to the last descriptor, which is the serial number as text. */
	assert_memory_equal(first + 16, second + 16, 108 - 16);
}

static void edid_check_finds_the_damage_when_a_byte_is_wrong(void **state) {
	static char report[REPORT_MAX];
	uint8_t edid[NEEP_EDID_MAX];
	(void)state;
	size_t len = neep_edid_generate(0, 1280, 800, edid);
	edid[60] ^= 0x40;
	assert_true(decode(edid, len, report) != 0 || strstr(report, "EDID conformity: PASS") == NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(edid_conforms_when_the_mode_is_a_common_one),
		fd_checked_test(edid_conforms_when_the_mode_is_any_from_32_to_8192),
		fd_checked_test(edid_differs_only_in_its_identity_when_the_output_differs),
		fd_checked_test(edid_check_finds_the_damage_when_a_byte_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
