/* One picture, of each kind of pixels and of rows. */
#include "paint.h"
#include "scenes.h"

#define WIDTH  400
#define HEIGHT 300

static void show_format(struct stage *stage, enum wl_shm_format format) {
	stage_make_picture(stage, WIDTH, HEIGHT, format);
	paint(&stage->memory, &stage->pictures[0], 1);
	stage_show(stage, 0);
}

static void show_argb8888(struct stage *stage) {
	show_format(stage, WL_SHM_FORMAT_ARGB8888);
}

static void show_xrgb8888(struct stage *stage) {
	show_format(stage, WL_SHM_FORMAT_XRGB8888);
}

static void show_shape(struct stage *stage, const struct wlb_shape *shape, size_t slack) {
	size_t size = shape->offset + (size_t)shape->stride * (size_t)shape->height + slack;
	wlb_memory_create(&stage->client, size, &stage->memory);
	wlb_picture_create(&stage->memory, shape, &stage->pictures[0]);
	paint(&stage->memory, &stage->pictures[0], 2);
	stage_show(stage, 0);
}

/* Rows of an odd number of pixels, two bytes each. */
static void show_rgb565(struct stage *stage) {
	const struct wlb_shape shape = { 0, WIDTH - 3, HEIGHT, (WIDTH - 3) * 2 + 2, WL_SHM_FORMAT_RGB565 };
	show_shape(stage, &shape, 0);
}

/* Neither the offset nor the rows begin where a page or a cache line does. */
static void show_odd_rows(struct stage *stage) {
	const struct wlb_shape shape = { 4100, 333, 251, 333 * 4 + 52, WL_SHM_FORMAT_XRGB8888 };
	show_shape(stage, &shape, 3);
}

static void show_one_pixel(struct stage *stage) {
	const struct wlb_shape shape = { 12, 1, 1, 4, WL_SHM_FORMAT_XRGB8888 };
	show_shape(stage, &shape, 0);
}

/* Wider than the screen: most of it is never seen. */
static void show_large(struct stage *stage) {
	const struct wlb_shape shape = { 0, 4096, 2304, 4096 * 4, WL_SHM_FORMAT_XRGB8888 };
	show_shape(stage, &shape, 0);
}

const struct scene scenes_formats[] = {
	{ "argb8888", show_argb8888 },
	{ "xrgb8888", show_xrgb8888 },
	{ "rgb565", show_rgb565 },
	{ "odd_rows", show_odd_rows },
	{ "one_pixel", show_one_pixel },
	{ "large", show_large },
	{ 0 },
};
