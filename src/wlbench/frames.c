/* Pictures in shared memory, as fast as the compositor takes them: the next is drawn when a buffer is free, while the last one is on its
 * way, without waiting for the screen but where it is said. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define BUFFERS 3
/* Commits that the compositor need not have read when the next picture is drawn. */
#define UNREAD_MAX 1

struct frames {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture pictures[BUFFERS];
	uint64_t count;
	unsigned unread; // commits
};

struct rect {
	int32_t x;
	int32_t y;
	int32_t width;
	int32_t height;
};

static void open_frames(struct frames *frames, int32_t width, int32_t height) {
	size_t bytes = (size_t)width * (size_t)height * 4;
	*frames = (struct frames){ .count = 0 };
	wlb_client_open(&frames->client);
	wlb_window_open(&frames->client, "neep-bench", &frames->window);
	wlb_memory_create(&frames->client, BUFFERS * bytes, &frames->memory);
	memset(frames->memory.data, 0x40, frames->memory.size);
	for (size_t i = 0; i < BUFFERS; i++) {
		const struct wlb_shape shape = { i * bytes, width, height, width * 4,
			WL_SHM_FORMAT_XRGB8888 };
		wlb_picture_create(&frames->memory, &shape, &frames->pictures[i]);
	}
}

static struct wlb_picture *await_free(struct frames *frames) {
	while (true) {
		for (size_t i = 0; i < BUFFERS; i++) {
			if (!frames->pictures[i].is_busy) {
				return &frames->pictures[i];
			}
		}
		wlb_dispatch(&frames->client);
	}
}

static void draw(const struct frames *frames, const struct wlb_picture *picture, const struct rect *rect) {
	for (int32_t y = rect->y; y < rect->y + rect->height; y++) {
		uint8_t *row = wlb_picture_data(&frames->memory, picture) +
			       (size_t)y * (size_t)picture->shape.stride + (size_t)rect->x * 4;
		memset(row, (int)(frames->count * 7 + (uint64_t)y) & 0xff, (size_t)rect->width * 4);
	}
}

/* Draws and attaches a part of the next picture. */
static void prepare(struct frames *frames, const struct rect *rect) {
	struct wlb_picture *picture = await_free(frames);
	draw(frames, picture, rect);
	wl_surface_attach(frames->window.surface, picture->buffer, 0, 0);
	wl_surface_damage_buffer(frames->window.surface, rect->x, rect->y, rect->width, rect->height);
	picture->is_busy = true;
	frames->count++;
}

static void on_read(void *data, struct wl_callback *callback, uint32_t serial) {
	(void)serial;
	struct frames *frames = data;
	frames->unread--;
	wl_callback_destroy(callback);
}

static const struct wl_callback_listener read_listener = { .done = on_read };

/* Shows it, and waits until few enough commits are on their way. */
static void show(struct frames *frames, const struct rect *rect) {
	prepare(frames, rect);
	wl_surface_commit(frames->window.surface);
	wl_callback_add_listener(wl_display_sync(frames->client.display), &read_listener, frames);
	frames->unread++;
	wl_display_flush(frames->client.display);
	while (frames->unread > UNREAD_MAX) {
		wlb_dispatch(&frames->client);
	}
}

/* All of 1920 x 1080 in each frame. */
void wlbench_run_full(const struct wlbench_options *options) {
	struct frames frames;
	const struct rect all = { 0, 0, 1920, 1080 };
	open_frames(&frames, all.width, all.height);
	for (int i = 0; i < BUFFERS; i++) {
		show(&frames, &all);
	}
	frames.count = 0;
	int64_t start = wlb_now();
	while (wlbench_has_time(options, start)) {
		show(&frames, &all);
	}
	printf("frames %.2f\n", wlbench_rate(frames.count, start));
	wlb_client_close(&frames.client);
}

/* The same, each when the compositor asks for it. */
void wlbench_run_paced(const struct wlbench_options *options) {
	struct frames frames;
	const struct rect all = { 0, 0, 1920, 1080 };
	open_frames(&frames, all.width, all.height);
	int64_t start = wlb_now();
	while (wlbench_has_time(options, start)) {
		prepare(&frames, &all);
		wlb_commit_and_wait(&frames.client, frames.window.surface);
	}
	printf("paced_frames %.2f\n", wlbench_rate(frames.count, start));
	wlb_client_close(&frames.client);
}

/* 64 x 64 pixels of 3840 x 2160, at another place in each frame. */
void wlbench_run_damage(const struct wlbench_options *options) {
	struct frames frames;
	open_frames(&frames, 3840, 2160);
	for (int i = 0; i < BUFFERS; i++) {
		show(&frames, &(struct rect){ 0, 0, 3840, 2160 });
	}
	frames.count = 0;
	int64_t start = wlb_now();
	while (wlbench_has_time(options, start)) {
		const int32_t place = (int32_t)(frames.count % 30);
		show(&frames, &(struct rect){ place * 126, place * 71, 64, 64 });
	}
	printf("damage_frames %.2f\ndamage_bytes %" PRIu64 "\n", wlbench_rate(frames.count, start),
		frames.count * 64 * 64 * 4);
	wlb_client_close(&frames.client);
}
