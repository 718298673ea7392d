#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/process.h"
#include "support/fd_check.h"
#include "util/macros.h"
#include "util/number.h"

#define NUMBER_HINT "is not a number from "
#define SIZE_HINT   " (a number of bytes, or with K, M, G or T)"
#define CAPSETS                                                                               \
	"virgl, virgl2, gfxstream-vulkan, venus, cross-domain, drm, gfxstream-magma, magma, " \
	"gfxstream-gles, "                                                                    \
	"gfxstream-composer"

/* One mistake, and the line that says what to do. */
static const struct mistake {
	const char *words;
	const char *line;
} mistakes[] = {
	{ "", "give either --socket-path PATH or --fd N" },
	{ "--display none", "give either --socket-path PATH or --fd N" },
	{ "--frobnicate", "\"--frobnicate\" is not an option, or is short for several; --help lists them" },
	{ "--max 3", "\"--max\" is not an option, or is short for several; --help lists them" },
	{ "-s path", "\"-s\" is not an option, or is short for several; --help lists them" },
	{ "--socket-path a extra", "\"extra\" is no option, and there are only options" },
	{ "--socket-path", "--socket-path: needs a value: PATH" },
	{ "--socket-path=", "--socket-path: \"\" has 0 bytes; a socket path has 1 to 107" },
	{ "--control=", "--control: \"\" has 0 bytes; a socket path has 1 to 107" },
	{ "--wayland-socket-path=", "--wayland-socket-path: \"\" has 0 bytes; a socket path has 1 to 107" },
	{ "--fd x", "--fd: \"x\" is not the number of an inherited socket, 3 or higher" },
	{ "--fd 2", "--fd: \"2\" is not the number of an inherited socket, 3 or higher" },
	{ "--fd 99999999999", "--fd: \"99999999999\" is not the number of an inherited socket, 3 or higher" },
	{ "--fd 777", "--fd: \"777\" is not an open socket of this process" },
	{ "--fd", "--fd: needs a value: N" },
	{ "--no-sandbox=yes", "--no-sandbox: takes no value" },
	{ "--keep-listening=yes", "--keep-listening: takes no value" },
	{ "--no-mem-slots=yes", "--no-mem-slots: takes no value" },
	{ "--display gtk", "--display: \"gtk\" is not one of qemu, headless, none" },
	{ "--x11-socket-path=", "--x11-socket-path: \"\" has 0 bytes; a socket path has 1 to 107" },
	{ "--pipewire-socket-path=", "--pipewire-socket-path: \"\" has 0 bytes; a socket path has 1 to 107" },
	{ "--wsi wayland", "--wsi: \"wayland\" is not one of surfaceless, headless" },
	{ "--socket-path a --wsi headless --display headless",
		"--display: \"headless\" shows pixels, which --wsi headless forbids; give one of the two" },
	{ "--socket-path a --display qemu --wsi headless",
		"--display: \"qemu\" shows pixels, which --wsi headless forbids; give one of the two" },
	{ "--max-outputs 0", "--max-outputs: \"0\" " NUMBER_HINT "1 to 16" },
	{ "--max-outputs 17", "--max-outputs: \"17\" " NUMBER_HINT "1 to 16" },
	{ "--max-outputs 1x", "--max-outputs: \"1x\" " NUMBER_HINT "1 to 16" },
	{ "--xres 31", "--xres: \"31\" " NUMBER_HINT "32 to 8192" },
	{ "--xres -1", "--xres: \"-1\" " NUMBER_HINT "32 to 8192" },
	{ "--yres 8193", "--yres: \"8193\" " NUMBER_HINT "32 to 8192" },
	{ "--yres=", "--yres: \"\" " NUMBER_HINT "32 to 8192" },
	{ "--hostmem 3M", "--hostmem: \"3M\" is neither 0 (no window) nor a power of two from 1M to 1T" },
	{ "--hostmem 4K", "--hostmem: \"4K\" is neither 0 (no window) nor a power of two from 1M to 1T" },
	{ "--hostmem 2T", "--hostmem: \"2T\" is neither 0 (no window) nor a power of two from 1M to 1T" },
	{ "--renderer a,b", "--renderer: \"a,b\" is not the path of a program, without commas" },
	{ "--renderer-max-memory 1M",
		"--renderer-max-memory: \"1M\" is not a size from 64M to 1T" SIZE_HINT },
	{ "--renderer-max-cpu 0", "--renderer-max-cpu: \"0\" " NUMBER_HINT "1 to 2147483647" },
	{ "--hostmem big", "--hostmem: \"big\" is neither 0 (no window) nor a power of two from 1M to 1T" },
	{ "--max-resources 0", "--max-resources: \"0\" " NUMBER_HINT "1 to 4294967295" },
	{ "--max-resources 4294967296", "--max-resources: \"4294967296\" " NUMBER_HINT "1 to 4294967295" },
	{ "--max-contexts many", "--max-contexts: \"many\" " NUMBER_HINT "1 to 4294967295" },
	{ "--max-backing-entries 0", "--max-backing-entries: \"0\" " NUMBER_HINT "1 to 16777216" },
	{ "--max-maps 65537", "--max-maps: \"65537\" " NUMBER_HINT "1 to 65536" },
	{ "--max-resource-bytes 1", "--max-resource-bytes: \"1\" is not a size from 4K to 1T" SIZE_HINT },
	{ "--max-bytes 1X", "--max-bytes: \"1X\" is not a size from 4K to 1T" SIZE_HINT },
	{ "--max-bytes 99999999999999999999T",
		"--max-bytes: \"99999999999999999999T\" is not a size from 4K to 1T" SIZE_HINT },
	{ "--max-submit-bytes 2G", "--max-submit-bytes: \"2G\" is not a size from 4K to 1G" SIZE_HINT },
	{ "--log-level loud", "--log-level: \"loud\" is not one of error, warn, info, debug" },
	{ "--render-node /dev/dri/renderD128",
		"--render-node: \"/dev/dri/renderD128\" cannot be used: the host's Vulkan drivers choose the "
		"GPU; leave the option out, and rendernode in libvirt" },
};

static void mistake_is_told_in_one_line(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(mistakes); i++) {
		char line[1024];
		snprintf(line, sizeof(line), "vhost-user-neep: %s", mistakes[i].line);
		process_run_mistake(daemon_program(), mistakes[i].words, line);
	}
}

static void long_path_is_refused(void **state) {
	(void)state;
	static struct process_result result;
	char words[200] = "--socket-path ";
	memset(words + strlen(words), 'p', 108);
	process_run(daemon_program(), words, &result);
	assert_non_null(strstr(result.err, "has 108 bytes; a socket path has 1 to 107\n"));
	assert_int_equal(result.code, 2);
}

/* The rest of the line is the library's. */
static void capset_names_are_checked_by_the_library(void **state) {
	(void)state;
	static struct process_result result;
	process_run(daemon_program(), "--socket-path a --capset-names bogus", &result);
	assert_int_equal(strncmp(result.err, "vhost-user-neep: --capset-names: ", 33), 0);
	assert_non_null(strstr(result.err, "bogus"));
	assert_non_null(strstr(result.err, CAPSETS));
	assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
	assert_int_equal(result.code, 2);
}

static void print_capabilities_ignores_all_else(void **state) {
	(void)state;
	static struct process_result result;
	static const char *const words[] = {
		"--print-capabilities",
		"--fd 99 --print-capabilities",
		"--frobnicate --virgl --print-capabilities nonsense",
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(words); i++) {
		process_run(daemon_program(), words[i], &result);
		assert_string_equal(result.out, "{\"type\": \"gpu\", \"features\": []}\n");
		assert_string_equal(result.err, "");
		assert_int_equal(result.code, 0);
	}
}

static void version_is_one_line(void **state) {
	(void)state;
	static struct process_result result;
	process_run(daemon_program(), "--version", &result);
	assert_int_equal(strncmp(result.out, "vhost-user-neep ", 16), 0);
	assert_int_equal(result.code, 0);
}

static void help_lists_every_option(void **state) {
	(void)state;
	static struct process_result result;
	static const char *const names[] = { "socket-path PATH", "fd N", "keep-listening",
		"display qemu|headless|none", "wsi surfaceless|headless", "control PATH", "max-outputs N",
		"xres PIXELS", "yres PIXELS", "capset-names A:B", "wayland-socket-path PATH",
		"x11-socket-path PATH", "pipewire-socket-path PATH", "no-udmabuf", "hostmem SIZE",
		"renderer PATH", "renderer-max-memory SIZE", "renderer-max-cpu SECONDS", "no-mem-slots",
		"max-resources N", "max-resource-bytes SIZE", "max-bytes SIZE", "max-contexts N",
		"max-backing-entries N", "max-submit-bytes SIZE", "max-maps N",
		"log-level error|warn|info|debug", "no-sandbox", "virgl", "render-node PATH",
		"print-capabilities", "version", "help" };
	process_run(daemon_program(), "--help", &result);
	assert_int_equal(result.code, 0);
	size_t lines = 0;
	for (const char *p = result.out; (p = strstr(p, "\n  --")) != NULL; p++) {
		lines++;
	}
	assert_int_equal(lines, NEEP_ARRAY_LEN(names));
	for (size_t i = 0; i < NEEP_ARRAY_LEN(names); i++) {
		char option[64];
		snprintf(option, sizeof(option), "\n  --%s ", names[i]);
		if (strstr(result.out, option) == NULL) {
			option[strlen(option) - 1] = '\n';
		}
		assert_non_null(strstr(result.out, option));
	}
	process_run(daemon_program(), "--help --version", &result);
	assert_non_null(strstr(result.out, "Usage:"));
}

static void number_parse_takes_digits_only(void **state) {
	(void)state;
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x10", "1.5",
		"18446744073709551616" };
	uint64_t value = 7;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_false(neep_number_parse(bad[i], &value));
		assert_false(neep_size_parse(bad[i], &value));
	}
	assert_int_equal(value, 7);
	assert_true(neep_number_parse("18446744073709551615", &value));
	assert_true(value == UINT64_MAX);
	assert_true(neep_number_parse("007", &value));
	assert_int_equal(value, 7);
}

static void size_parse_takes_one_unit(void **state) {
	(void)state;
	static const char *const bad[] = { "K", "1KB", "1KK", "1P", "16777216T", "1@", "1\x4b\x4b" };
	uint64_t value;
	char text[NEEP_SIZE_TEXT];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_false(neep_size_parse(bad[i], &value));
	}
	assert_true(neep_size_parse("4k", &value));
	assert_int_equal(value, 4096);
	assert_true(neep_size_parse("3G", &value));
	assert_int_equal(value, 3ull << 30);
	neep_size_format(value, text);
	assert_string_equal(text, "3G");
	neep_size_format(4097, text);
	assert_string_equal(text, "4097");
	neep_size_format(0, text);
	assert_string_equal(text, "0");
	neep_size_format(UINT64_MAX, text);
	assert_string_equal(text, "18446744073709551615");
}

static void mode_parse_takes_two_numbers(void **state) {
	(void)state;
	static const char *const bad[] = { "", "x", "1x", "x1", "1x1x1", "1X1", "1 x1", "1x4294967296",
		"4294967296x1", "1x1 " };
	uint32_t width = 7, height = 8;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_false(neep_mode_parse(bad[i], &width, &height));
	}
	assert_int_equal(width * 10 + height, 78);
	assert_true(neep_mode_parse("1920x1080", &width, &height));
	assert_int_equal(width, 1920);
	assert_int_equal(height, 1080);
	assert_true(neep_mode_parse("0x4294967295", &width, &height));
	assert_int_equal(height, UINT32_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(mistake_is_told_in_one_line),
		fd_checked_test(long_path_is_refused),
		fd_checked_test(capset_names_are_checked_by_the_library),
		fd_checked_test(print_capabilities_ignores_all_else),
		fd_checked_test(version_is_one_line),
		fd_checked_test(help_lists_every_option),
		cmocka_unit_test(number_parse_takes_digits_only),
		cmocka_unit_test(size_parse_takes_one_unit),
		cmocka_unit_test(mode_parse_takes_two_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
