#include "display/damage.h"

#include <string.h>

static uint64_t area_of(const struct neep_rect *rect) {
	return (uint64_t)rect->width * rect->height;
}

static bool contains(const struct neep_rect *outer, const struct neep_rect *inner) {
	return inner->x >= outer->x && inner->y >= outer->y &&
	       inner->x + inner->width <= outer->x + outer->width &&
	       inner->y + inner->height <= outer->y + outer->height;
}

static void remove_at(struct neep_damage *damage, size_t index) {
	damage->count--;
	memmove(&damage->rects[index], &damage->rects[index + 1],
		(damage->count - index) * sizeof(damage->rects[0]));
}

/* The pixels that joining the two would add to what they cover. Negative where they overlap. */
static int64_t cost_of_joining(const struct neep_rect *a, const struct neep_rect *b) {
	struct neep_rect joined = neep_rect_union(a, b);
	return (int64_t)area_of(&joined) - (int64_t)(area_of(a) + area_of(b));
}

void neep_damage_drop(struct neep_damage *damage, const struct neep_rect *rect) {
	for (size_t i = damage->count; i-- > 0;) {
		if (contains(rect, &damage->rects[i])) {
			remove_at(damage, i);
		}
	}
}

struct neep_rect neep_damage_add(struct neep_damage *damage, const struct neep_rect *rect) {
	neep_damage_drop(damage, rect);
	size_t best = 0;
	int64_t best_cost = INT64_MAX;
	for (size_t i = 0; i < damage->count; i++) {
		int64_t cost = cost_of_joining(&damage->rects[i], rect);
		if (cost < best_cost) {
			best = i;
			best_cost = cost;
		}
	}
	if (best_cost > 0 && damage->count < NEEP_DAMAGE_MAX) {
		damage->rects[damage->count++] = *rect;
		return *rect;
	}
	damage->rects[best] = neep_rect_union(&damage->rects[best], rect);
	return damage->rects[best];
}

struct neep_rect neep_damage_take(struct neep_damage *damage) {
	struct neep_rect first = damage->rects[0];
	remove_at(damage, 0);
	return first;
}

struct neep_rect neep_damage_extents(const struct neep_damage *damage) {
	struct neep_rect extents = { 0 };
	for (size_t i = 0; i < damage->count; i++) {
		extents = neep_rect_union(&extents, &damage->rects[i]);
	}
	return extents;
}
