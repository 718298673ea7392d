#include <string.h>

#include "paint.h"

#define CHECKER 16 // pixels

uint32_t paint_random(uint32_t *state) {
	*state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
	return *state >> 8;
}

static uint32_t mix(uint32_t x, uint32_t y, uint32_t seed) {
	uint32_t value = x * UINT32_C(0x9e3779b1) ^ y * UINT32_C(0x85ebca77) ^ seed * UINT32_C(0xc2b2ae3d);
	return (value ^ value >> 15) * UINT32_C(0x2c1b3c6d) >> 8;
}

/* Red and green say where, the noise in the low bits says exactly where; blue says which seed. */
static uint32_t color(uint32_t x, uint32_t y, uint32_t seed) {
	uint32_t noise = mix(x, y, seed);
	uint32_t light = (x / CHECKER + y / CHECKER) % 2 * 0x20;
	uint32_t red = ((x / 2 & 0xbf) + light) ^ (noise & 0x0f);
	uint32_t green = ((y / 2 & 0xbf) + light) ^ (noise >> 4 & 0x0f);
	uint32_t blue = (seed * 53 & 0xe0) | (noise >> 8 & 0x1f);
	return red << 16 | green << 8 | blue;
}

static uint32_t premultiplied(uint32_t rgb, uint32_t alpha) {
	uint32_t value = alpha << 24;
	for (uint32_t shift = 0; shift < 24; shift += 8) {
		value |= (rgb >> shift & 0xff) * alpha / 255 << shift;
	}
	return value;
}

static uint32_t rgb565(uint32_t rgb) {
	return (rgb >> 19 & 0x1f) << 11 | (rgb >> 10 & 0x3f) << 5 | (rgb >> 3 & 0x1f);
}

static void paint_pixel(uint8_t *row, enum wl_shm_format format, uint32_t x, uint32_t y, uint32_t seed) {
	uint32_t rgb = color(x, y, seed);
	if (format == WL_SHM_FORMAT_RGB565) {
		uint16_t value = (uint16_t)rgb565(rgb);
		memcpy(row + x * sizeof(value), &value, sizeof(value));
		return;
	}
	/* The unused byte of XRGB8888 finds its way into screenshots: there it is to be seen as opaque. */
	uint32_t value = premultiplied(rgb, format == WL_SHM_FORMAT_ARGB8888 ? (x + y) & 0xff : 0xff);
	memcpy(row + x * sizeof(value), &value, sizeof(value));
}

void paint_rect(const struct wlb_memory *memory, const struct wlb_picture *picture,
	const struct paint_rect *rect, uint32_t seed) {
	for (int32_t y = rect->y; y < rect->y + rect->height; y++) {
		uint8_t *row = wlb_picture_data(memory, picture) + (size_t)y * (size_t)picture->shape.stride;
		for (int32_t x = rect->x; x < rect->x + rect->width; x++) {
			paint_pixel(row, picture->shape.format, (uint32_t)x, (uint32_t)y, seed);
		}
	}
}

void paint(const struct wlb_memory *memory, const struct wlb_picture *picture, uint32_t seed) {
	const struct paint_rect all = { 0, 0, picture->shape.width, picture->shape.height };
	paint_rect(memory, picture, &all, seed);
}
