/* A transfer between two clients: the source writes from a thread of its own, as programs do that are worth measuring. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define MIME        "application/x-neep-bench"
#define CHUNK_SIZE  ((size_t)64 << 10)
#define PATIENCE_MS 5000

struct clipboard {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture picture;
	struct wl_keyboard *keyboard;
	struct wl_data_device *device;
	struct wl_data_offer *selection;
	uint32_t serial; // of the keyboard's focus; 0: never had it
	uint64_t size;   // of what this client offers
	pthread_t writer;
	bool has_writer;
	int fd; // that the writer writes to
};

/* ---- the source ---- */

static void *write_all(void *data) {
	const struct clipboard *source = data;
	static char chunk[CHUNK_SIZE];
	for (uint64_t done = 0; done < source->size;) {
		uint64_t left = source->size - done;
		ssize_t count = write(source->fd, chunk, left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE);
		if (count < 0) {
			wlb_die("the clipboard takes no more: %s", strerror(errno));
		}
		done += (uint64_t)count;
	}
	close(source->fd);
	return NULL;
}

static void send_data(void *data, struct wl_data_source *wl_source, const char *mime, int32_t fd) {
	struct clipboard *source = data;
	(void)wl_source;
	(void)mime;
	if (source->has_writer) {
		pthread_join(source->writer, NULL);
	}
	fcntl(fd, F_SETFL, 0);
	source->fd = fd;
	source->has_writer = pthread_create(&source->writer, NULL, write_all, source) == 0;
	if (!source->has_writer) {
		wlb_die("no thread");
	}
}

static void ignore_target(void *data, struct wl_data_source *source, const char *mime) {
	(void)data;
	(void)source;
	(void)mime;
}

static void ignore_source(void *data, struct wl_data_source *source) {
	(void)data;
	(void)source;
}

static void ignore_action(void *data, struct wl_data_source *source, uint32_t action) {
	(void)data;
	(void)source;
	(void)action;
}

static const struct wl_data_source_listener source_listener = {
	ignore_target,
	send_data,
	ignore_source,
	ignore_source,
	ignore_source,
	ignore_action,
};

/* ---- the focus and the selection ---- */

static void ignore_keymap(
	void *data, struct wl_keyboard *keyboard, uint32_t format, int32_t fd, uint32_t size) {
	(void)data;
	(void)keyboard;
	(void)format;
	(void)size;
	close(fd);
}

static void enter(void *data, struct wl_keyboard *keyboard, uint32_t serial, struct wl_surface *surface,
	struct wl_array *keys) {
	struct clipboard *clipboard = data;
	(void)keyboard;
	(void)surface;
	(void)keys;
	clipboard->serial = serial;
}

static void leave(void *data, struct wl_keyboard *keyboard, uint32_t serial, struct wl_surface *surface) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)surface;
}

static void ignore_key(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t time, uint32_t key,
	uint32_t state) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)time;
	(void)key;
	(void)state;
}

static void ignore_modifiers(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t depressed,
	uint32_t latched, uint32_t locked, uint32_t group) {
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)depressed;
	(void)latched;
	(void)locked;
	(void)group;
}

static void ignore_repeat(void *data, struct wl_keyboard *keyboard, int32_t rate, int32_t delay) {
	(void)data;
	(void)keyboard;
	(void)rate;
	(void)delay;
}

static const struct wl_keyboard_listener keyboard_listener = {
	ignore_keymap,
	enter,
	leave,
	ignore_key,
	ignore_modifiers,
	ignore_repeat,
};

static void ignore_offer(void *data, struct wl_data_device *device, struct wl_data_offer *offer) {
	(void)data;
	(void)device;
	(void)offer;
}

static void ignore_enter(void *data, struct wl_data_device *device, uint32_t serial,
	struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y, struct wl_data_offer *offer) {
	(void)data;
	(void)device;
	(void)serial;
	(void)surface;
	(void)x;
	(void)y;
	(void)offer;
}

static void ignore_device(void *data, struct wl_data_device *device) {
	(void)data;
	(void)device;
}

static void ignore_motion(
	void *data, struct wl_data_device *device, uint32_t time, wl_fixed_t x, wl_fixed_t y) {
	(void)data;
	(void)device;
	(void)time;
	(void)x;
	(void)y;
}

static void keep_selection(void *data, struct wl_data_device *device, struct wl_data_offer *offer) {
	struct clipboard *clipboard = data;
	(void)device;
	if (clipboard->selection != NULL) {
		wl_data_offer_destroy(clipboard->selection);
	}
	clipboard->selection = offer;
}

static const struct wl_data_device_listener device_listener = {
	ignore_offer,
	ignore_enter,
	ignore_device,
	ignore_motion,
	ignore_device,
	keep_selection,
};

/* ---- both ---- */

/* A client whose window has the focus when this returns. */
static void open_clipboard(struct clipboard *clipboard, uint64_t size) {
	const struct wlb_shape shape = { 0, 64, 64, 256, WL_SHM_FORMAT_XRGB8888 };
	*clipboard = (struct clipboard){ .size = size, .fd = -1 };
	wlb_client_open(&clipboard->client);
	if (clipboard->client.seat == NULL || clipboard->client.data_devices == NULL) {
		wlb_die("the compositor has no seat or no data devices");
	}
	clipboard->device = wl_data_device_manager_get_data_device(
		clipboard->client.data_devices, clipboard->client.seat);
	wl_data_device_add_listener(clipboard->device, &device_listener, clipboard);
	clipboard->keyboard = wl_seat_get_keyboard(clipboard->client.seat);
	wl_keyboard_add_listener(clipboard->keyboard, &keyboard_listener, clipboard);
	wlb_window_open(&clipboard->client, "neep-bench", &clipboard->window);
	wlb_memory_create(&clipboard->client, 64 * 256, &clipboard->memory);
	wlb_picture_create(&clipboard->memory, &shape, &clipboard->picture);
	wlb_attach(clipboard->window.surface, &clipboard->picture);
	wl_surface_commit(clipboard->window.surface);
	for (int64_t start = wlb_now(); clipboard->serial == 0;) {
		wlb_roundtrip(&clipboard->client);
		if (wlb_now() - start > INT64_C(1000000) * PATIENCE_MS) {
			wlb_die("the window gets no focus");
		}
	}
}

static void offer(struct clipboard *source) {
	struct wl_data_source *data = wl_data_device_manager_create_data_source(source->client.data_devices);
	wl_data_source_add_listener(data, &source_listener, source);
	wl_data_source_offer(data, MIME);
	wl_data_device_set_selection(source->device, data, source->serial);
	wlb_roundtrip(&source->client);
}

/* Pastes once. The source is served by the loop too, until its writer has begun. */
static uint64_t paste(struct clipboard *source, struct clipboard *sink) {
	static char chunk[CHUNK_SIZE];
	int ends[2];
	uint64_t size = 0;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		wlb_die("no pipe");
	}
	wl_data_offer_receive(sink->selection, MIME, ends[1]);
	wl_display_flush(sink->client.display);
	close(ends[1]);
	if (!wlb_dispatch_until(&source->client, ends[0], PATIENCE_MS)) {
		wlb_die("nothing comes of what was copied");
	}
	for (ssize_t count; (count = read(ends[0], chunk, sizeof(chunk))) > 0;) {
		size += (uint64_t)count;
	}
	close(ends[0]);
	return size;
}

void wlbench_run_clipboard(const struct wlbench_options *options) {
	static struct clipboard source, sink;
	uint64_t total = 0, size = (uint64_t)options->mib << 20;
	open_clipboard(&source, size);
	offer(&source);
	open_clipboard(&sink, 0);
	wlb_roundtrip(&sink.client);
	if (sink.selection == NULL) {
		wlb_die("there is no selection");
	}
	int64_t start = wlb_now();
	do {
		uint64_t got = paste(&source, &sink);
		if (got != size) {
			wlb_die("%llu bytes arrive, not %llu", (unsigned long long)got,
				(unsigned long long)size);
		}
		total += got;
	} while (wlbench_has_time(options, start));
	printf("clipboard_mb %.2f\n", wlbench_rate(total, start) / 1e6);
	wlb_client_close(&sink.client);
	wlb_client_close(&source.client);
}
