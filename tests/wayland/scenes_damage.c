/* What is copied when only parts change. Buffers take turns: the damage says what differs from the frame before, but each buffer
 * also lacks what changed in the frames that were shown from the others. */
#include "paint.h"
#include "scenes.h"

#define WIDTH  400
#define HEIGHT 300
#define BYTES  ((size_t)WIDTH * HEIGHT * 4)
#define FRAMES 30
#define RECTS  3 // in a frame

struct turns {
	uint32_t count; // of buffers
	int32_t align;  // of the rectangles, pixels
	void (*damage)(struct wl_surface *surface, const struct paint_rect *rect);
	struct paint_rect rects[FRAMES][RECTS];
};

static void make_pictures(struct stage *stage, uint32_t count) {
	wlb_memory_create(&stage->client, count * BYTES, &stage->memory);
	for (uint32_t i = 0; i < count; i++) {
		const struct wlb_shape shape = { i * BYTES, WIDTH, HEIGHT, WIDTH * 4,
			WL_SHM_FORMAT_XRGB8888 };
		wlb_picture_create(&stage->memory, &shape, &stage->pictures[i]);
		paint(&stage->memory, &stage->pictures[i], 1);
	}
	stage_show(stage, 0);
}

static int32_t random_below(uint32_t *random, int32_t limit, int32_t align) {
	return (int32_t)(paint_random(random) % (uint32_t)limit) / align * align;
}

static void choose_rects(struct turns *turns) {
	uint32_t random = turns->count;
	for (uint32_t i = 0; i < FRAMES * RECTS; i++) {
		struct paint_rect *rect = &turns->rects[i / RECTS][i % RECTS];
		rect->x = random_below(&random, WIDTH, turns->align);
		rect->y = random_below(&random, HEIGHT, turns->align);
		rect->width = turns->align + random_below(&random, (WIDTH - rect->x) / 3 + 1, turns->align);
		rect->height = turns->align + random_below(&random, (HEIGHT - rect->y) / 3 + 1, turns->align);
		rect->width = rect->width < WIDTH - rect->x ? rect->width : WIDTH - rect->x;
		rect->height = rect->height < HEIGHT - rect->y ? rect->height : HEIGHT - rect->y;
	}
}

/* Brings the buffer up to date: it was shown `count` frames ago. */
static void catch_up(
	struct stage *stage, const struct turns *turns, uint32_t frame, const struct wlb_picture *picture) {
	for (uint32_t old = frame < turns->count ? 0 : frame - turns->count; old <= frame; old++) {
		for (uint32_t i = 0; i < RECTS; i++) {
			paint_rect(&stage->memory, picture, &turns->rects[old][i], old * RECTS + i);
		}
	}
}

static void take_turns(struct stage *stage, struct turns *turns) {
	choose_rects(turns);
	for (uint32_t frame = 0; frame < FRAMES; frame++) {
		struct wlb_picture *picture = &stage->pictures[(frame + 1) % turns->count];
		while (picture->is_busy) {
			wlb_dispatch(&stage->client);
		}
		catch_up(stage, turns, frame, picture);
		wl_surface_attach(stage->window.surface, picture->buffer, 0, 0);
		picture->is_busy = true;
		for (uint32_t i = 0; i < RECTS; i++) {
			turns->damage(stage->window.surface, &turns->rects[frame][i]);
		}
		wlb_commit_and_wait(&stage->client, stage->window.surface);
	}
}

static void damage_buffer(struct wl_surface *surface, const struct paint_rect *rect) {
	wl_surface_damage_buffer(surface, rect->x, rect->y, rect->width, rect->height);
}

static void show_turns_of_two(struct stage *stage) {
	static struct turns turns = { .count = 2, .align = 1, .damage = damage_buffer };
	make_pictures(stage, turns.count);
	take_turns(stage, &turns);
}

static void show_turns_of_three(struct stage *stage) {
	static struct turns turns = { .count = 3, .align = 1, .damage = damage_buffer };
	make_pictures(stage, turns.count);
	take_turns(stage, &turns);
}

static void damage_half(struct wl_surface *surface, const struct paint_rect *rect) {
	wl_surface_damage(surface, rect->x / 2, rect->y / 2, rect->width / 2, rect->height / 2);
}

/* Damage in the coordinates of a surface that shows its buffer at half the size. */
static void show_scaled_damage(struct stage *stage) {
	static struct turns turns = { .count = 2, .align = 2, .damage = damage_half };
	wl_surface_set_buffer_scale(stage->window.surface, 2);
	make_pictures(stage, turns.count);
	take_turns(stage, &turns);
}

/* The buffer's left edge is the surface's top. */
static void damage_turned(struct wl_surface *surface, const struct paint_rect *rect) {
	wl_surface_damage(surface, HEIGHT - rect->y - rect->height, rect->x, rect->height, rect->width);
}

/* The same for a surface that shows its buffer turned. */
static void show_turned_damage(struct stage *stage) {
	static struct turns turns = { .count = 2, .align = 1, .damage = damage_turned };
	wl_surface_set_buffer_transform(stage->window.surface, WL_OUTPUT_TRANSFORM_90);
	make_pictures(stage, turns.count);
	take_turns(stage, &turns);
}

/* Rectangles that reach beyond the picture, in the numbers that toolkits use for "everything". */
static void show_extremes(struct stage *stage) {
	struct wl_surface *surface = stage->window.surface;
	make_pictures(stage, 2);
	paint(&stage->memory, &stage->pictures[1], 2);
	wl_surface_attach(surface, stage->pictures[1].buffer, 0, 0);
	wl_surface_damage(surface, 0, 0, INT32_MAX, INT32_MAX);
	wlb_commit_and_wait(&stage->client, surface);
	stage_await_release(stage, 0);
	paint(&stage->memory, &stage->pictures[0], 3);
	wl_surface_attach(surface, stage->pictures[0].buffer, 0, 0);
	wl_surface_damage_buffer(surface, -100, -100, INT32_MAX, INT32_MAX);
	wl_surface_damage_buffer(surface, 50, 50, -1, 10);
	wl_surface_damage_buffer(surface, INT32_MAX, INT32_MIN, 10, INT32_MAX);
	wlb_commit_and_wait(&stage->client, surface);
}

/* A commit that attaches and damages nothing changes nothing. */
static void show_nothing_new(struct stage *stage) {
	make_pictures(stage, 1);
	for (int i = 0; i < 5; i++) {
		wlb_commit_and_wait(&stage->client, stage->window.surface);
	}
}

const struct scene scenes_damage[] = {
	{ "damage_turns_of_two", show_turns_of_two },
	{ "damage_turns_of_three", show_turns_of_three },
	{ "damage_scaled", show_scaled_damage },
	{ "damage_turned", show_turned_damage },
	{ "damage_extremes", show_extremes },
	{ "damage_of_nothing", show_nothing_new },
	{ 0 },
};
