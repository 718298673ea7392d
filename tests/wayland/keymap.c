/*
 * A client of a Wayland compositor that says what its keyboard tells it, a line for each event, until its standard
 * input ends: "keymap FORMAT SIZE HASH", "enter", "leave", "key CODE STATE", "modifiers DEPRESSED".
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "paint.h"

struct keys {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture picture;
};

/* FNV-1a. */
static uint64_t hash(const uint8_t *bytes, size_t size) {
	uint64_t value = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++) {
		value = (value ^ bytes[i]) * UINT64_C(0x100000001b3);
	}
	return value;
}

static void say_keymap(void *data, struct wl_keyboard *keyboard, uint32_t format, int32_t fd, uint32_t size) {
	(void)data;
	(void)keyboard;
	/* Private, as the protocol wants it: the file may be one that cannot be shared. */
	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		wlb_die("the keymap of %u bytes cannot be mapped", size);
	}
	printf("keymap %u %u %016" PRIx64 "\n", format, size, hash(map, size));
	munmap(map, size);
	close(fd);
}

static void say_enter(void *data, struct wl_keyboard *keyboard, uint32_t serial, struct wl_surface *surface,
	struct wl_array *keys) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)surface;
	printf("enter %zu\n", keys->size);
}

static void say_leave(void *data, struct wl_keyboard *keyboard, uint32_t serial, struct wl_surface *surface) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)surface;
	printf("leave\n");
}

static void say_key(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t time, uint32_t key,
	uint32_t state) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)time;
	printf("key %u %u\n", key, state);
}

static void say_modifiers(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t depressed,
	uint32_t latched, uint32_t locked, uint32_t group) {
	(void)data;
	(void)keyboard;
	(void)serial;
	printf("modifiers %u %u %u %u\n", depressed, latched, locked, group);
}

static void say_repeat(void *data, struct wl_keyboard *keyboard, int32_t rate, int32_t delay) {
	(void)data;
	(void)keyboard;
	printf("repeat %d %d\n", rate, delay);
}

static const struct wl_keyboard_listener keyboard_listener = {
	say_keymap,
	say_enter,
	say_leave,
	say_key,
	say_modifiers,
	say_repeat,
};

int main(void) {
	static struct keys keys;
	const struct wlb_shape shape = { 0, 200, 200, 800, WL_SHM_FORMAT_XRGB8888 };
	setvbuf(stdout, NULL, _IOLBF, 0);
	wlb_client_open(&keys.client);
	if (keys.client.seat == NULL) {
		wlb_die("the compositor has no seat");
	}
	struct wl_keyboard *keyboard = wl_seat_get_keyboard(keys.client.seat);
	wl_keyboard_add_listener(keyboard, &keyboard_listener, &keys);
	wlb_window_open(&keys.client, "neep-test-1", &keys.window);
	wlb_memory_create(&keys.client, 800 * 200, &keys.memory);
	wlb_picture_create(&keys.memory, &shape, &keys.picture);
	paint(&keys.memory, &keys.picture, 1);
	wlb_attach(keys.window.surface, &keys.picture);
	wlb_commit_and_wait(&keys.client, keys.window.surface);
	printf("shown\n");
	wlb_dispatch_until(&keys.client, 0, -1);
	wlb_client_close(&keys.client);
	return 0;
}
