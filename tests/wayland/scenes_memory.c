/* Pools of shared memory: how they grow, what lies in them, what they are made of. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "paint.h"
#include "scenes.h"

#define WIDTH  240
#define HEIGHT 180
#define BYTES  ((size_t)WIDTH * HEIGHT * 4)

static void place(struct stage *stage, size_t index, size_t offset, uint32_t seed) {
	const struct wlb_shape shape = { offset, WIDTH, HEIGHT, WIDTH * 4, WL_SHM_FORMAT_XRGB8888 };
	wlb_picture_create(&stage->memory, &shape, &stage->pictures[index]);
	paint(&stage->memory, &stage->pictures[index], seed);
}

/* Pictures in the old and in the new part of a pool that grows while one of them is shown. */
static void show_growth(struct stage *stage) {
	wlb_memory_create(&stage->client, BYTES, &stage->memory);
	place(stage, 0, 0, 1);
	stage_show(stage, 0);
	wlb_memory_grow(&stage->memory, 3 * BYTES + 100);
	place(stage, 1, BYTES + 100, 2);
	stage_show(stage, 1);
	wlb_memory_grow(&stage->memory, 9 * BYTES);
	place(stage, 2, 8 * BYTES, 3);
	stage_show(stage, 2);
	/* What lay in it before is still there, and can be drawn again. */
	stage_await_release(stage, 0);
	paint_rect(&stage->memory, &stage->pictures[0], &(struct paint_rect){ 50, 50, 70, 40 }, 4);
	stage_show(stage, 0);
}

/* A pool that nobody holds any more when its picture is shown. */
static void show_pool_gone(struct stage *stage) {
	wlb_memory_create(&stage->client, 2 * BYTES, &stage->memory);
	place(stage, 0, 0, 5);
	place(stage, 1, BYTES, 6);
	wlb_memory_destroy(&stage->memory);
	stage_show(stage, 0);
	stage_show(stage, 1);
}

/* Two pictures that share their memory: what is drawn by one is seen in the other. */
static void show_overlap(struct stage *stage) {
	wlb_memory_create(&stage->client, 2 * BYTES, &stage->memory);
	place(stage, 0, 0, 7);
	place(stage, 1, BYTES / 2, 8);
	stage_show(stage, 1);
	stage_show(stage, 0);
}

/* Memory that nobody may shrink. */
static void show_sealed(struct stage *stage) {
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)BYTES) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		wlb_die("no sealed memory");
	}
	wlb_memory_create_on(&stage->client, fd, BYTES, &stage->memory);
	place(stage, 0, 0, 9);
	stage_show(stage, 0);
}

/* Memory that its owner may shrink: it does not. */
static void show_unsealed(struct stage *stage) {
	int fd = memfd_create("unsealed", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)BYTES) < 0) {
		wlb_die("no memory");
	}
	wlb_memory_create_on(&stage->client, fd, BYTES, &stage->memory);
	place(stage, 0, 0, 11);
	stage_show(stage, 0);
}

/* An ordinary file that has no name any more, and is longer than the pool. */
static void show_file(struct stage *stage) {
	char path[] = "/tmp/neep-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path) < 0 || ftruncate(fd, (off_t)(2 * BYTES)) < 0) {
		wlb_die("no file in /tmp");
	}
	wlb_memory_create_on(&stage->client, fd, BYTES, &stage->memory);
	place(stage, 0, 0, 10);
	stage_show(stage, 0);
}

/* Many sizes one after the other, each in a pool of its own, as when a window is resized. */
static void show_resizes(struct stage *stage) {
	for (int32_t i = 0; i < 100; i++) {
		stage_make_picture(stage, 400 - i * 37 % 400, 300 - i * 53 % 300, WL_SHM_FORMAT_XRGB8888);
		paint(&stage->memory, &stage->pictures[0], (uint32_t)i);
		wlb_attach(stage->window.surface, &stage->pictures[0]);
		wl_surface_commit(stage->window.surface);
		if (i % 3 == 0) {
			wlb_roundtrip(&stage->client);
		}
		if (i < 99) {
			wlb_memory_destroy(&stage->memory);
			wlb_picture_destroy(&stage->pictures[0]);
		}
	}
	wlb_commit_and_wait(&stage->client, stage->window.surface);
}

const struct scene scenes_memory[] = {
	{ "growth", show_growth },
	{ "pool_gone", show_pool_gone },
	{ "overlap", show_overlap },
	{ "sealed", show_sealed },
	{ "unsealed", show_unsealed },
	{ "file", show_file },
	{ "resizes", show_resizes },
	{ 0 },
};
