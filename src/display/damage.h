/* A short list of rectangles that hold new pixels, oldest first. They may overlap: what is listed twice is copied or sent
 * twice, which costs less than cutting rectangles to pieces. */
#ifndef NEEP_DISPLAY_DAMAGE_H
#define NEEP_DISPLAY_DAMAGE_H

#include "display/display.h"

/* A guest that is this many small updates ahead of the display gets some of them rounded up. */
#define NEEP_DAMAGE_MAX 64

/* All zero is empty. */
struct neep_damage {
	struct neep_rect rects[NEEP_DAMAGE_MAX];
	size_t count;
};

static inline bool neep_damage_is_empty(const struct neep_damage *damage) {
	return damage->count == 0;
}

static inline void neep_damage_clear(struct neep_damage *damage) {
	damage->count = 0;
}

/* Adds `rect`, not empty, joined with another one where that adds no pixels on balance; a full list joins where it adds
 * the fewest. Returns what now stands for it, which may be larger than both: so pixels may be shown a little earlier than
 * the guest has flushed them. */
struct neep_rect neep_damage_add(struct neep_damage *damage, const struct neep_rect *rect);

/* Drops what lies inside `rect` altogether. */
void neep_damage_drop(struct neep_damage *damage, const struct neep_rect *rect);

/* Takes the oldest; the list must not be empty. */
struct neep_rect neep_damage_take(struct neep_damage *damage);

/* The smallest rectangle around all of it. */
struct neep_rect neep_damage_extents(const struct neep_damage *damage);

#endif
