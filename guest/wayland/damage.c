#include "wayland/damage.h"

static int32_t clamp(int64_t value) {
	return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

static int32_t min(int32_t a, int32_t b) {
	return a < b ? a : b;
}

static int32_t max(int32_t a, int32_t b) {
	return a > b ? a : b;
}

struct neep_wl_rect neep_wl_rect_make(int32_t x, int32_t y, int32_t width, int32_t height) {
	return (struct neep_wl_rect){
		.x1 = x, .y1 = y, .x2 = clamp((int64_t)x + width), .y2 = clamp((int64_t)y + height)
	};
}

static bool is_empty(const struct neep_wl_rect *rect) {
	return rect->x1 >= rect->x2 || rect->y1 >= rect->y2;
}

static uint64_t area(const struct neep_wl_rect *rect) {
	return (uint64_t)((int64_t)rect->x2 - rect->x1) * (uint64_t)((int64_t)rect->y2 - rect->y1);
}

/* The smallest that covers both. */
static struct neep_wl_rect join(const struct neep_wl_rect *a, const struct neep_wl_rect *b) {
	return (struct neep_wl_rect){ .x1 = min(a->x1, b->x1),
		.y1 = min(a->y1, b->y1),
		.x2 = max(a->x2, b->x2),
		.y2 = max(a->y2, b->y2) };
}

/* What is copied beside the two when one rectangle covers both; negative where they overlap. No sum wraps: the area of
 * all there is is below 2^64, so the areas are halved. */
static int64_t waste(const struct neep_wl_rect *a, const struct neep_wl_rect *b) {
	struct neep_wl_rect both = join(a, b);
	return (int64_t)(area(&both) / 2) - (int64_t)(area(a) / 2) - (int64_t)(area(b) / 2);
}

static void take_out(struct neep_wl_damage *damage, uint32_t index) {
	damage->rects[index] = damage->rects[--damage->count];
}

/* The rectangle that `rect` is joined with for the least, or -1 when all are better left apart. */
static int find_partner(const struct neep_wl_damage *damage, const struct neep_wl_rect *rect) {
	int best = -1;
	int64_t least = damage->count == NEEP_WL_DAMAGE_RECTS ? INT64_MAX : 1;
	for (uint32_t i = 0; i < damage->count; i++) {
		int64_t cost = waste(&damage->rects[i], rect);
		if (cost < least) {
			least = cost;
			best = (int)i;
		}
	}
	return best;
}

void neep_wl_damage_add(struct neep_wl_damage *damage, struct neep_wl_rect rect) {
	if (is_empty(&rect)) {
		return;
	}
	int partner;
	while ((partner = find_partner(damage, &rect)) >= 0) {
		rect = join(&damage->rects[partner], &rect);
		take_out(damage, (uint32_t)partner);
	}
	damage->rects[damage->count++] = rect;
}

void neep_wl_damage_add_all(struct neep_wl_damage *damage, const struct neep_wl_damage *other) {
	for (uint32_t i = 0; i < other->count; i++) {
		neep_wl_damage_add(damage, other->rects[i]);
	}
}

void neep_wl_damage_fill(struct neep_wl_damage *damage) {
	damage->rects[0] = (struct neep_wl_rect){ .x2 = INT32_MAX, .y2 = INT32_MAX };
	damage->count = 1;
}

void neep_wl_damage_scale(struct neep_wl_damage *damage, int32_t factor) {
	for (uint32_t i = 0; i < damage->count; i++) {
		struct neep_wl_rect *rect = &damage->rects[i];
		*rect = (struct neep_wl_rect){
			.x1 = clamp((int64_t)rect->x1 * factor),
			.y1 = clamp((int64_t)rect->y1 * factor),
			.x2 = clamp((int64_t)rect->x2 * factor),
			.y2 = clamp((int64_t)rect->y2 * factor),
		};
	}
}

void neep_wl_damage_clip(struct neep_wl_damage *damage, int32_t width, int32_t height) {
	for (uint32_t i = damage->count; i-- > 0;) {
		struct neep_wl_rect *rect = &damage->rects[i];
		*rect = (struct neep_wl_rect){ .x1 = max(rect->x1, 0),
			.y1 = max(rect->y1, 0),
			.x2 = min(rect->x2, width),
			.y2 = min(rect->y2, height) };
		if (is_empty(rect)) {
			take_out(damage, i);
		}
	}
}
