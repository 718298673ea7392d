/* Damage: a few rectangles that cover what has changed. They may cover more, never less. */
#ifndef NEEP_WAYLAND_DAMAGE_H
#define NEEP_WAYLAND_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

/* From (x1, y1) up to, and without, (x2, y2). */
struct neep_wl_rect {
	int32_t x1, y1, x2, y2;
};

/* The rectangle of a damage request; sums that do not fit end at the edge of numbers. */
struct neep_wl_rect neep_wl_rect_make(int32_t x, int32_t y, int32_t width, int32_t height);

/* Beyond so many, those that are near each other become one: programs send a handful. */
#define NEEP_WL_DAMAGE_RECTS 16

/* Zeroed: none. */
struct neep_wl_damage {
	struct neep_wl_rect rects[NEEP_WL_DAMAGE_RECTS];
	uint32_t count;
};

static inline bool neep_wl_damage_is_empty(const struct neep_wl_damage *damage) {
	return damage->count == 0;
}

/* An empty rectangle is fine. */
void neep_wl_damage_add(struct neep_wl_damage *damage, struct neep_wl_rect rect);
void neep_wl_damage_add_all(struct neep_wl_damage *damage, const struct neep_wl_damage *other);

/* All there is. */
void neep_wl_damage_fill(struct neep_wl_damage *damage);

/* Makes all coordinates `factor` times as large. */
void neep_wl_damage_scale(struct neep_wl_damage *damage, int32_t factor);

/* Keeps what lies within [0, width) x [0, height). */
void neep_wl_damage_clip(struct neep_wl_damage *damage, int32_t width, int32_t height);

#endif
