/* What the sinks that look at pixels have in common: the state of one scanout, and reading from it.
 *
 * Areas are in scanout coordinates: (0, 0) is the top left pixel of what the scanout shows. */
#ifndef NEEP_DISPLAY_SCANOUT_H
#define NEEP_DISPLAY_SCANOUT_H

#include "display/display.h"

/* A rectangle of an image; NULL: nothing. */
struct neep_view {
	struct neep_image *image; // a reference
	struct neep_rect rect;    // inside the image
};

struct neep_scanout {
	struct neep_view next;  // what was set; shown from the next damage on
	struct neep_view shown; // what the last damage was about
	struct neep_cursor cursor;
	uint32_t *cursor_argb; // our copy, made when the first cursor comes; NULL before
};

/* An all-zero struct is a scanout that is off. */
void neep_scanout_finish(struct neep_scanout *scanout);

/* Sets what is shown from the next damage on; NULL, or an empty rectangle, turns the scanout off at once. */
void neep_scanout_set(struct neep_scanout *scanout, struct neep_image *image, const struct neep_rect *rect);

/* There is damage: shows what was set. Returns whether that is another view than before, all of it new. */
bool neep_scanout_show(struct neep_scanout *scanout);

/* All of what is shown. */
static inline struct neep_rect neep_scanout_area(const struct neep_scanout *scanout) {
	return (struct neep_rect){ .width = scanout->shown.rect.width, .height = scanout->shown.rect.height };
}

/* Keeps the cursor; its image is copied when `image_changed`. */
void neep_scanout_set_cursor(
	struct neep_scanout *scanout, const struct neep_cursor *cursor, bool image_changed);

/* Whether the pixels of the view can be read as x8r8g8b8 as they are. */
bool neep_view_is_xrgb(const struct neep_view *view);

/* Where the pixel (x, y) of the view is. */
const uint8_t *neep_view_at(const struct neep_view *view, uint32_t x, uint32_t y);

/* Copies `area` of the view to `to`, whose rows are to_stride bytes apart (a multiple of 4), as x8r8g8b8. */
void neep_view_copy(
	const struct neep_view *view, const struct neep_rect *area, uint8_t *to, size_t to_stride);

/* Copies `area` to the same place of `to`, a B8G8R8X8 image of the view's size. */
void neep_view_copy_to(const struct neep_view *view, const struct neep_rect *area, struct neep_image *to);

/* Makes *shadow a B8G8R8X8 image of the size that the scanout shows, replacing one of another size. Returns false for
 * want of memory. */
bool neep_scanout_ensure_shadow(const struct neep_scanout *scanout, struct neep_image **shadow);

/* For neep_sink_impl.snapshot: a copy of `view`, and the scanout's cursor over it when `with_cursor`. */
struct neep_image *neep_scanout_snapshot(const struct neep_scanout *scanout, const struct neep_view *view,
	bool with_cursor, struct neep_error *error);

/* For neep_sink_impl.output. */
void neep_scanout_output(const struct neep_scanout *scanout, struct neep_output_info *info);

#endif
