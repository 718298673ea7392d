#include <stdlib.h>

#include "display/damage.h"
#include "display/scanout.h"
#include "display/sinks.h"
#include "util/fd.h"
#include "util/macros.h"

/* Theory of operation
 *
 * What was flushed last is wanted at some later time, if ever, and lies in the guest's image until the guest changes
 * that. So nothing is copied on damage: the sink only notes in `fresh` where the image holds what the shadow lacks. Not
 * before the image is about to change (settle) does the shadow take that part. A guest that flips between two images
 * changes only the one that is not shown, and so never causes a copy. */

struct headless_scanout {
	struct neep_scanout base;
	struct neep_image *shadow; // B8G8R8X8; what was flushed, but for `fresh`; NULL: not needed yet
	struct neep_damage fresh;  // what was flushed here lies in base.shown
};

struct headless_sink {
	struct neep_sink base;
	struct headless_scanout scanouts[NEEP_SCANOUTS_MAX];
	int socket; // held, not used: QEMU spins when we close our end first; -1: none
};

static struct headless_sink *headless_from_base(struct neep_sink *sink) {
	return neep_container_of(sink, struct headless_sink, base);
}

static void headless_destroy(struct neep_sink *base) {
	struct headless_sink *sink = headless_from_base(base);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		neep_scanout_finish(&sink->scanouts[i].base);
		neep_image_unref(sink->scanouts[i].shadow);
	}
	neep_close_fd(&sink->socket);
	free(sink);
}

static void headless_set_scanout(
	struct neep_sink *base, uint32_t scanout_id, struct neep_image *image, const struct neep_rect *rect) {
	struct headless_scanout *scanout = &headless_from_base(base)->scanouts[scanout_id];
	neep_scanout_set(&scanout->base, image, rect);
	if (scanout->base.shown.image == NULL) {
		neep_image_unref(scanout->shadow);
		scanout->shadow = NULL;
		neep_damage_clear(&scanout->fresh);
	}
}

static void headless_damage(struct neep_sink *base, uint32_t scanout_id, const struct neep_rect *damage) {
	struct headless_scanout *scanout = &headless_from_base(base)->scanouts[scanout_id];
	bool is_new = neep_scanout_show(&scanout->base);
	struct neep_rect area = is_new ? neep_scanout_area(&scanout->base) : *damage;
	if (is_new) {
		/* Those were places of the view before, which may have been larger. */
		neep_damage_clear(&scanout->fresh);
	}
	if (scanout->base.shown.image != NULL) {
		neep_damage_add(&scanout->fresh, &area);
	}
}

/* Without memory for a shadow the scanout goes on showing the image as it becomes. */
static void take_fresh(struct headless_scanout *scanout) {
	if (neep_damage_is_empty(&scanout->fresh) ||
		!neep_scanout_ensure_shadow(&scanout->base, &scanout->shadow)) {
		return;
	}
	for (size_t i = 0; i < scanout->fresh.count; i++) {
		neep_view_copy_to(&scanout->base.shown, &scanout->fresh.rects[i], scanout->shadow);
	}
	neep_damage_clear(&scanout->fresh);
}

static void headless_settle(struct neep_sink *base, struct neep_image *image) {
	struct headless_sink *sink = headless_from_base(base);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		if (sink->scanouts[i].base.shown.image == image) {
			take_fresh(&sink->scanouts[i]);
		}
	}
}

static void headless_cursor(
	struct neep_sink *base, uint32_t scanout_id, const struct neep_cursor *cursor, bool image_changed) {
	neep_scanout_set_cursor(&headless_from_base(base)->scanouts[scanout_id].base, cursor, image_changed);
}

static void headless_set_socket(struct neep_sink *base, int owned_fd) {
	struct headless_sink *sink = headless_from_base(base);
	neep_close_fd(&sink->socket);
	sink->socket = owned_fd;
}

static struct neep_image *headless_snapshot(
	struct neep_sink *base, uint32_t scanout_id, bool with_cursor, struct neep_error *error) {
	struct headless_scanout *scanout = &headless_from_base(base)->scanouts[scanout_id];
	struct neep_view view = scanout->base.shown;
	if (scanout->shadow != NULL) {
		take_fresh(scanout);
	}
	if (scanout->shadow != NULL) {
		view = (struct neep_view){ .image = scanout->shadow,
			.rect = neep_scanout_area(&scanout->base) };
	}
	return neep_scanout_snapshot(&scanout->base, &view, with_cursor, error);
}

static void headless_output(
	const struct neep_sink *base, uint32_t scanout_id, struct neep_output_info *info) {
	const struct headless_sink *sink = neep_container_of(base, const struct headless_sink, base);
	neep_scanout_output(&sink->scanouts[scanout_id].base, info);
}

static const struct neep_sink_impl headless_impl = {
	.name = "headless",
	.destroy = headless_destroy,
	.set_scanout = headless_set_scanout,
	.damage = headless_damage,
	.settle = headless_settle,
	.cursor = headless_cursor,
	.set_socket = headless_set_socket,
	.snapshot = headless_snapshot,
	.output = headless_output,
};

struct neep_sink *neep_headless_sink_create(struct neep_loop *loop) {
	(void)loop;
	struct headless_sink *sink = calloc(1, sizeof(*sink));
	if (sink == NULL) {
		return NULL;
	}
	sink->base.impl = &headless_impl;
	sink->socket = -1;
	return &sink->base;
}
