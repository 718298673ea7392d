#include "display/scanout.h"

#include <errno.h>
#include <pixman.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_gpu.h>

#define CURSOR_BYTES (NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE * sizeof(uint32_t))

static void view_set(struct neep_view *view, struct neep_image *image, const struct neep_rect *rect) {
	struct neep_image *old = view->image;
	*view = (struct neep_view){ 0 };
	if (image != NULL) {
		*view = (struct neep_view){ .image = neep_image_ref(image), .rect = *rect };
	}
	neep_image_unref(old);
}

static bool view_equals(const struct neep_view *a, const struct neep_view *b) {
	return a->image == b->image && a->rect.x == b->rect.x && a->rect.y == b->rect.y &&
	       a->rect.width == b->rect.width && a->rect.height == b->rect.height;
}

void neep_scanout_finish(struct neep_scanout *scanout) {
	neep_scanout_set(scanout, NULL, NULL);
	free(scanout->cursor_argb);
	*scanout = (struct neep_scanout){ 0 };
}

void neep_scanout_set(struct neep_scanout *scanout, struct neep_image *image, const struct neep_rect *rect) {
	if (image == NULL || neep_rect_is_empty(rect)) {
		view_set(&scanout->next, NULL, NULL);
		view_set(&scanout->shown, NULL, NULL);
		return;
	}
	view_set(&scanout->next, image, rect);
}

bool neep_scanout_show(struct neep_scanout *scanout) {
	if (view_equals(&scanout->next, &scanout->shown)) {
		return false;
	}
	view_set(&scanout->shown, scanout->next.image, &scanout->next.rect);
	return true;
}

void neep_scanout_set_cursor(
	struct neep_scanout *scanout, const struct neep_cursor *cursor, bool image_changed) {
	scanout->cursor = *cursor;
	scanout->cursor.argb = NULL;
	if (!image_changed || !cursor->is_visible) {
		return;
	}
	if (scanout->cursor_argb == NULL) {
		scanout->cursor_argb = malloc(CURSOR_BYTES);
	}
	if (scanout->cursor_argb != NULL) {
		memcpy(scanout->cursor_argb, cursor->argb, CURSOR_BYTES);
	}
}

bool neep_view_is_xrgb(const struct neep_view *view) {
	return neep_format_to_pixman(view->image->format, true) == PIXMAN_x8r8g8b8;
}

const uint8_t *neep_view_at(const struct neep_view *view, uint32_t x, uint32_t y) {
	size_t row = (size_t)view->rect.y + y;
	size_t column = (size_t)view->rect.x + x;
	return view->image->pixels + row * view->image->stride + column * 4;
}

static void copy_rows(
	const struct neep_view *view, const struct neep_rect *area, uint8_t *to, size_t to_stride) {
	const uint8_t *from = neep_view_at(view, area->x, area->y);
	for (uint32_t row = 0; row < area->height; row++) {
		memcpy(to + row * to_stride, from + (size_t)row * view->image->stride,
			(size_t)area->width * 4);
	}
}

/* One row at a time: a blob's rows may be any number of bytes apart, and pixman counts in words. */
static void convert_rows(
	const struct neep_view *view, const struct neep_rect *area, uint8_t *to, size_t to_stride) {
	int width = (int)area->width;
	pixman_format_code_t format = neep_format_to_pixman(view->image->format, true);
	for (uint32_t row = 0; row < area->height; row++) {
		uint8_t *from = (uint8_t *)(uintptr_t)neep_view_at(view, area->x, area->y + row);
		pixman_image_t *source = pixman_image_create_bits_no_clear(
			format, width, 1, (uint32_t *)(void *)from, width * 4);
		pixman_image_t *target = pixman_image_create_bits_no_clear(
			PIXMAN_x8r8g8b8, width, 1, (uint32_t *)(void *)(to + row * to_stride), width * 4);
		if (source != NULL && target != NULL) {
			pixman_image_composite32(
				PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, width, 1);
		}
		if (source != NULL) {
			pixman_image_unref(source);
		}
		if (target != NULL) {
			pixman_image_unref(target);
		}
	}
}

void neep_view_copy(
	const struct neep_view *view, const struct neep_rect *area, uint8_t *to, size_t to_stride) {
	if (neep_view_is_xrgb(view)) {
		copy_rows(view, area, to, to_stride);
	} else {
		convert_rows(view, area, to, to_stride);
	}
}

void neep_view_copy_to(const struct neep_view *view, const struct neep_rect *area, struct neep_image *to) {
	uint8_t *pixels = to->pixels + (size_t)area->y * to->stride + (size_t)area->x * 4;
	neep_view_copy(view, area, pixels, to->stride);
}

bool neep_scanout_ensure_shadow(const struct neep_scanout *scanout, struct neep_image **shadow) {
	uint32_t width = scanout->shown.rect.width;
	uint32_t height = scanout->shown.rect.height;
	if (*shadow != NULL && (*shadow)->width == width && (*shadow)->height == height) {
		return true;
	}
	neep_image_unref(*shadow);
	*shadow = neep_image_create(width, height, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM);
	return *shadow != NULL;
}

/* Draws the cursor with its hot spot at its position. */
static void draw_cursor(const struct neep_scanout *scanout, struct neep_image *image) {
	const struct neep_cursor *cursor = &scanout->cursor;
	if (!cursor->is_visible || scanout->cursor_argb == NULL) {
		return;
	}
	int size = NEEP_CURSOR_SIZE;
	pixman_image_t *source = pixman_image_create_bits_no_clear(
		PIXMAN_a8r8g8b8, size, size, scanout->cursor_argb, size * 4);
	pixman_image_t *target = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, (int)image->width,
		(int)image->height, (uint32_t *)(void *)image->pixels, (int)image->stride);
	/* pixman adds sizes to positions in plain ints: positions far outside draw nothing anyhow. */
	int64_t x = (int64_t)cursor->x - cursor->hot_x;
	int64_t y = (int64_t)cursor->y - cursor->hot_y;
	bool is_near = x > -size && x < image->width && y > -size && y < image->height;
	if (source != NULL && target != NULL && is_near) {
		pixman_image_composite32(
			PIXMAN_OP_OVER, source, NULL, target, 0, 0, 0, 0, (int)x, (int)y, size, size);
	}
	if (source != NULL) {
		pixman_image_unref(source);
	}
	if (target != NULL) {
		pixman_image_unref(target);
	}
}

struct neep_image *neep_scanout_snapshot(const struct neep_scanout *scanout, const struct neep_view *view,
	bool with_cursor, struct neep_error *error) {
	if (view->image == NULL) {
		neep_error_set(error, 0, "the scanout shows nothing");
		return NULL;
	}
	struct neep_rect area = { .width = view->rect.width, .height = view->rect.height };
	struct neep_image *copy =
		neep_image_create(area.width, area.height, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM);
	if (copy == NULL) {
		neep_error_set(error, ENOMEM, "a picture of %u x %u", area.width, area.height);
		return NULL;
	}
	neep_view_copy(view, &area, copy->pixels, copy->stride);
	if (with_cursor) {
		draw_cursor(scanout, copy);
	}
	return copy;
}

void neep_scanout_output(const struct neep_scanout *scanout, struct neep_output_info *info) {
	info->is_enabled = scanout->shown.image != NULL;
	info->rect = neep_scanout_area(scanout);
}
