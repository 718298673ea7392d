/* A guest's Wayland client on a real compositor, over the device process as it is installed, sandbox and all. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/process.h"
#include "guest.h"
#include "rutabaga/api.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define WESTON     "/usr/bin/weston"
#define DISPLAY_ID 1

static pid_t weston, device;

static void start_weston(void) {
	weston = process_start(WESTON,
		"--backend=headless-backend.so --use-pixman --socket=wayland-t --idle-time=0 --no-config");
}

static int setup(void **state) {
	(void)state;
	folder_enter();
	fd_check_setup(state);
	char folder[128];
	assert_non_null(getcwd(folder, sizeof(folder)));
	chmod(folder, 0700);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	setenv("WAYLAND_DISPLAY", "wayland-t", 1);
	start_weston();
	file_await("wayland-t");
	/* The file is there before anybody listens. */
	close(socket_connect("wayland-t"));
	device = guest_device_start("--control c");
	return 0;
}

static int teardown(void **state) {
	return guest_device_stop(state, device, weston);
}

static void send_words(struct guest *guest, const uint32_t *words, size_t count) {
	guest_send(guest, words, count * 4, NULL, 0);
}

/* The event at `at`, or false when it is not there as a whole. */
static bool event_at(const struct guest *guest, size_t at, uint32_t header[2]) {
	if (guest->in_len - at < 8) {
		return false;
	}
	memcpy(header, guest->in + at, 8);
	return guest->in_len - at >= header[1] >> 16;
}

/* wl_callback.done of `callback`; fails on wl_display.error. */
static bool has_event_of(const struct guest *guest, uint32_t object) {
	uint32_t header[2];
	for (size_t at = 0; event_at(guest, at, header); at += header[1] >> 16) {
		assert_false(header[0] == DISPLAY_ID && (header[1] & 0xffff) == 0);
		if (header[0] == object) {
			return true;
		}
	}
	return false;
}

static void roundtrip(struct guest *guest, uint32_t callback) {
	const uint32_t sync[] = { DISPLAY_ID, 12 << 16 | 0, callback };
	send_words(guest, sync, 3);
	while (!has_event_of(guest, callback)) {
		assert_true(guest_receive(guest) > 0);
	}
}

/* The name of a global in the registry, object 2; 0: it is not there. */
static uint32_t find_global(const struct guest *guest, const char *interface) {
	uint32_t header[2], name, len;
	for (size_t at = 0; event_at(guest, at, header); at += header[1] >> 16) {
		if (header[0] != 2) {
			continue;
		}
		memcpy(&name, guest->in + at + 8, 4);
		memcpy(&len, guest->in + at + 12, 4);
		if (len == strlen(interface) + 1 && memcmp(guest->in + at + 16, interface, len) == 0) {
			return name;
		}
	}
	return 0;
}

static void list_globals(struct guest *guest) {
	const uint32_t get_registry[] = { DISPLAY_ID, 12 << 16 | 1, 2 };
	guest_open(guest, RUTABAGA_CHANNEL_TYPE_WAYLAND);
	send_words(guest, get_registry, 3);
	roundtrip(guest, 3);
}

static void globals_of_the_compositor_arrive(void **state) {
	(void)state;
	struct guest guest;
	list_globals(&guest);
	assert_int_not_equal(find_global(&guest, "wl_compositor"), 0);
	assert_int_not_equal(find_global(&guest, "wl_shm"), 0);
	assert_int_not_equal(find_global(&guest, "xdg_wm_base"), 0);
	guest_close(&guest);
}

/* Makes a buffer of the host's, seen through the window, and the compositor takes it as memory of wl_shm. */
static void compositor_takes_a_pool_of_the_guest(void **state) {
	(void)state;
	struct guest guest;
	list_globals(&guest);
	struct guest_id memory = guest_memory(&guest, 8192), pool = { .type = NEEP_XD_ID_BLOB };
	pool.id = guest_blob(&guest, &memory);
	memset(guest_map(&guest, pool.id), 0xff, 8192);
	/* wl_registry.bind wl_shm as 4; create_pool 5; create_buffer 6: 32 by 32, 128 bytes a row, XRGB8888. */
	const uint32_t bind[] = { 2, 32 << 16 | 0, find_global(&guest, "wl_shm"), 7, 0x735f6c77, 0x006d68, 1,
		4 };
	const uint32_t create_pool[] = { 4, 16 << 16 | 0, 5, 8192 };
	const uint32_t create_buffer[] = { 5, 32 << 16 | 0, 6, 0, 32, 32, 128, 1 };
	send_words(&guest, bind, 8);
	guest_send(&guest, create_pool, sizeof(create_pool), &pool, 1);
	send_words(&guest, create_buffer, 8);
	roundtrip(&guest, 7);
	assert_true(has_event_of(&guest, 4));
	guest_close(&guest);
}

static void guest_hears_of_the_end_of_the_compositor(void **state) {
	(void)state;
	struct guest guest;
	list_globals(&guest);
	kill(weston, SIGKILL);
	process_wait(weston);
	guest_await_end(&guest);
	guest_close(&guest);
	/* The device has not noticed that anything is wrong. */
	start_weston();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(globals_of_the_compositor_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(compositor_takes_a_pool_of_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_hears_of_the_end_of_the_compositor, setup, teardown),
	};
	if (access(WESTON, X_OK) != 0) {
		printf("1..0 # SKIP there is no %s\n", WESTON);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
