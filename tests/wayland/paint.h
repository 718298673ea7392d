/* Patterns in which every pixel tells its place: a picture that is shifted, torn or old is seen. */
#ifndef NEEP_TESTS_WAYLAND_PAINT_H
#define NEEP_TESTS_WAYLAND_PAINT_H

#include "wlb.h"

struct paint_rect {
	int32_t x;
	int32_t y;
	int32_t width;
	int32_t height;
};

/* Paints a part of the picture, with what depends on the place within it and on the seed alone. */
void paint_rect(const struct wlb_memory *memory, const struct wlb_picture *picture,
	const struct paint_rect *rect, uint32_t seed);

/* Paints all of it. */
void paint(const struct wlb_memory *memory, const struct wlb_picture *picture, uint32_t seed);

/* The next of a row of numbers that is the same in every run. */
uint32_t paint_random(uint32_t *state);

#endif
