/*
 * Clients of a Wayland compositor that are at work until their end: SUBJECT APP_ID.
 *
 * frames    shows one picture after the other, and says "frame N" for every tenth
 * truncate  shows a picture, says "shown", takes its memory away a moment later, and goes on
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "paint.h"

#define SIDE 256

struct work {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture pictures[2];
};

static void open_work(struct work *work, const char *app_id) {
	const size_t bytes = (size_t)SIDE * SIDE * 4;
	wlb_client_open(&work->client);
	wlb_window_open(&work->client, app_id, &work->window);
	wlb_memory_create(&work->client, 2 * bytes, &work->memory);
	for (size_t i = 0; i < 2; i++) {
		const struct wlb_shape shape = { i * bytes, SIDE, SIDE, SIDE * 4, WL_SHM_FORMAT_XRGB8888 };
		wlb_picture_create(&work->memory, &shape, &work->pictures[i]);
		paint(&work->memory, &work->pictures[i], (uint32_t)i);
	}
}

static void show(struct work *work, size_t index) {
	wlb_attach(work->window.surface, &work->pictures[index]);
	wlb_commit_and_wait(&work->client, work->window.surface);
}

static _Noreturn void show_frames(struct work *work) {
	const struct paint_rect line = { 0, 0, SIDE, 1 };
	for (uint32_t frame = 1;; frame++) {
		struct wlb_picture *picture = &work->pictures[frame % 2];
		while (picture->is_busy) {
			wlb_dispatch(&work->client);
		}
		paint_rect(&work->memory, picture, &line, frame);
		show(work, frame % 2);
		if (frame % 10 == 0) {
			printf("frame %u\n", frame);
		}
	}
}

/* Its end is the compositor's answer: no buffer can be made of memory that is not there. */
static _Noreturn void show_truncated(struct work *work) {
	show(work, 0);
	printf("shown\n");
	wlb_dispatch_until(&work->client, 0, 300);
	if (ftruncate(work->memory.fd, 0) < 0) {
		wlb_die("the memory cannot be taken away");
	}
	while (true) {
		show(work, 1);
		show(work, 0);
	}
}

int main(int argc, char **argv) {
	static struct work work;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3) {
		wlb_die("usage: wl-frames frames|truncate APP_ID");
	}
	open_work(&work, argv[2]);
	if (strcmp(argv[1], "truncate") == 0) {
		show_truncated(&work);
	}
	show_frames(&work);
}
