/*
 * A keyboard and a pointer for a compositor of the test, which it is told on its standard input how to move:
 * "move X Y" (pixels of a screen of 800 x 600), "button 0|1", "key CODE 0|1". Each is answered by "done" when it is.
 */
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xkbcommon/xkbcommon.h>

#include "virtual-keyboard-unstable-v1-client.h"
#include "wlb.h"
#include "wlr-virtual-pointer-unstable-v1-client.h"

#define WIDTH  800
#define HEIGHT 600

struct devices {
	struct wlb_client client;
	struct zwp_virtual_keyboard_manager_v1 *keyboards;
	struct zwlr_virtual_pointer_manager_v1 *pointers;
	struct zwp_virtual_keyboard_v1 *keyboard;
	struct zwlr_virtual_pointer_v1 *pointer;
};

static void add_global(
	void *data, struct wl_registry *registry, uint32_t name, const char *interface, uint32_t version) {
	struct devices *devices = data;
	(void)version;
	if (strcmp(interface, zwp_virtual_keyboard_manager_v1_interface.name) == 0) {
		devices->keyboards =
			wl_registry_bind(registry, name, &zwp_virtual_keyboard_manager_v1_interface, 1);
	} else if (strcmp(interface, zwlr_virtual_pointer_manager_v1_interface.name) == 0) {
		devices->pointers =
			wl_registry_bind(registry, name, &zwlr_virtual_pointer_manager_v1_interface, 1);
	}
}

static void remove_global(void *data, struct wl_registry *registry, uint32_t name) {
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener registry_listener = { add_global, remove_global };

/* The system's own keymap, some 60 KB of text. */
static void send_keymap(struct devices *devices) {
	struct xkb_context *context = xkb_context_new(XKB_CONTEXT_NO_FLAGS);
	const struct xkb_rule_names names = { .layout = "us,de", .options = "grp:alt_shift_toggle" };
	struct xkb_keymap *keymap = xkb_keymap_new_from_names(context, &names, XKB_KEYMAP_COMPILE_NO_FLAGS);
	char *text = keymap != NULL ? xkb_keymap_get_as_string(keymap, XKB_KEYMAP_FORMAT_TEXT_V1) : NULL;
	int fd = memfd_create("keymap", MFD_CLOEXEC);
	if (text == NULL || fd < 0) {
		wlb_die("no keymap");
	}
	size_t size = strlen(text) + 1;
	if (write(fd, text, size) != (ssize_t)size) {
		wlb_die("no memory for the keymap");
	}
	zwp_virtual_keyboard_v1_keymap(
		devices->keyboard, WL_KEYBOARD_KEYMAP_FORMAT_XKB_V1, fd, (uint32_t)size);
	wlb_roundtrip(&devices->client);
	close(fd);
	free(text);
	xkb_keymap_unref(keymap);
	xkb_context_unref(context);
}

static void open_devices(struct devices *devices) {
	wlb_client_open(&devices->client);
	wl_registry_add_listener(
		wl_display_get_registry(devices->client.display), &registry_listener, devices);
	wlb_roundtrip(&devices->client);
	if (devices->keyboards == NULL || devices->pointers == NULL) {
		wlb_die("the compositor takes no virtual devices");
	}
	devices->keyboard = zwp_virtual_keyboard_manager_v1_create_virtual_keyboard(
		devices->keyboards, devices->client.seat);
	devices->pointer = zwlr_virtual_pointer_manager_v1_create_virtual_pointer(
		devices->pointers, devices->client.seat);
	send_keymap(devices);
}

static uint32_t now_ms(void) {
	return (uint32_t)(wlb_now() / 1000000);
}

static bool obey(struct devices *devices, const char *line) {
	unsigned int first, second;
	if (sscanf(line, "move %u %u", &first, &second) == 2) {
		zwlr_virtual_pointer_v1_motion_absolute(
			devices->pointer, now_ms(), first, second, WIDTH, HEIGHT);
	} else if (sscanf(line, "button %u", &first) == 1) {
		zwlr_virtual_pointer_v1_button(devices->pointer, now_ms(), BTN_LEFT, first);
	} else if (sscanf(line, "key %u %u", &first, &second) == 2) {
		zwp_virtual_keyboard_v1_key(devices->keyboard, now_ms(), first, second);
		return true;
	} else {
		return false;
	}
	zwlr_virtual_pointer_v1_frame(devices->pointer);
	return true;
}

int main(void) {
	static struct devices devices;
	char line[256];
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Without a buffer, so that what poll() sees is what fgets() has not read yet. */
	setvbuf(stdin, NULL, _IONBF, 0);
	open_devices(&devices);
	printf("ready\n");
	while (wlb_dispatch_until(&devices.client, 0, -1) && fgets(line, sizeof(line), stdin) != NULL) {
		if (!obey(&devices, line)) {
			wlb_die("what is \"%s\"?", line);
		}
		wlb_roundtrip(&devices.client);
		printf("done\n");
	}
	wlb_client_close(&devices.client);
	return 0;
}
