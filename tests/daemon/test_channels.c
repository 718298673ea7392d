/* Which compositor a device connects its guests to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/channels.h"
#include "support/cmocka.h"
#include "util/macros.h"

#define MASK (UINT64_C(1) << RUTABAGA_CAPSET_CROSS_DOMAIN)

static void set(const char *name, const char *value) {
	if (value != NULL) {
		setenv(name, value, 1);
	} else {
		unsetenv(name);
	}
}

static void wayland_socket_is_that_of_libwayland(void **state) {
	(void)state;
	static const struct {
		const char *option, *display, *folder;
		const char *path; // NULL: none
	} cases[] = {
		{ "/o", "d", "/f", "/o" },
		{ NULL, "d", "/f", "/f/d" },
		{ NULL, "/abs/d", "/f", "/abs/d" },
		{ NULL, "/abs/d", NULL, "/abs/d" },
		{ NULL, NULL, "/f", "/f/wayland-0" },
		{ NULL, "", "/f", "/f/wayland-0" },
		{ NULL, "d", NULL, NULL },
		{ NULL, "d", "", NULL },
		{ NULL, NULL, NULL, NULL },
		{ "/o", NULL, NULL, "/o" },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct neep_options options = { .capset_mask = MASK, .wayland_socket_path = cases[i].option };
		struct neep_daemon_channels channels;
		set("WAYLAND_DISPLAY", cases[i].display);
		set("XDG_RUNTIME_DIR", cases[i].folder);
		assert_int_equal(neep_daemon_channels_init(&channels, &options, NULL), 0);
		assert_int_equal(channels.base.num_channels, cases[i].path != NULL);
		if (cases[i].path != NULL) {
			assert_string_equal(channels.list[0].channel_name, cases[i].path);
			assert_int_equal(channels.list[0].channel_type, RUTABAGA_CHANNEL_TYPE_WAYLAND);
		}
	}
}

static void environment_is_not_looked_at_without_cross_domain(void **state) {
	(void)state;
	struct neep_options options = { .x11_socket_path = "/x" };
	struct neep_daemon_channels channels;
	char name[512];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	set("WAYLAND_DISPLAY", name);
	set("XDG_RUNTIME_DIR", "/f");
	assert_int_equal(neep_daemon_channels_init(&channels, &options, NULL), 0);
	assert_int_equal(channels.base.num_channels, 1);
	assert_int_equal(channels.list[0].channel_type, RUTABAGA_CHANNEL_TYPE_X11);
}

static void path_that_no_socket_has_is_refused(void **state) {
	(void)state;
	char name[NEEP_SOCKET_PATH_MAX] = { 0 };
	struct neep_options options = { .capset_mask = MASK };
	struct neep_daemon_channels channels;
	struct neep_error error;
	memset(name, 'n', NEEP_SOCKET_PATH_MAX - 3);
	set("WAYLAND_DISPLAY", name);
	set("XDG_RUNTIME_DIR", "/f");
	assert_int_equal(neep_daemon_channels_init(&channels, &options, &error), 0);
	assert_int_equal(strlen(channels.list[0].channel_name), NEEP_SOCKET_PATH_MAX);
	name[NEEP_SOCKET_PATH_MAX - 3] = 'n';
	set("WAYLAND_DISPLAY", name);
	assert_int_equal(neep_daemon_channels_init(&channels, &options, &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.text, "--wayland-socket-path"));
}

static void all_channels_are_listed(void **state) {
	(void)state;
	struct neep_options options = {
		.capset_mask = MASK,
		.wayland_socket_path = "/w",
		.x11_socket_path = "/x",
		.pipewire_socket_path = "/p",
	};
	struct neep_daemon_channels channels;
	assert_int_equal(neep_daemon_channels_init(&channels, &options, NULL), 0);
	assert_int_equal(channels.base.num_channels, 3);
	assert_string_equal(channels.list[1].channel_name, "/x");
	assert_int_equal(channels.list[2].channel_type, RUTABAGA_CHANNEL_TYPE_PIPEWIRE);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wayland_socket_is_that_of_libwayland),
		cmocka_unit_test(environment_is_not_looked_at_without_cross_domain),
		cmocka_unit_test(path_that_no_socket_has_is_refused),
		cmocka_unit_test(all_channels_are_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
