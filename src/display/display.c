#include "display/display.h"

#include <errno.h>
#include <pixman.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "display/sinks.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/pages.h"

static uint32_t min_u32(uint32_t a, uint32_t b) {
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b) {
	return a > b ? a : b;
}

struct neep_rect neep_rect_intersect(const struct neep_rect *a, const struct neep_rect *b) {
	uint32_t left = max_u32(a->x, b->x);
	uint32_t top = max_u32(a->y, b->y);
	uint32_t right = min_u32(a->x + a->width, b->x + b->width);
	uint32_t bottom = min_u32(a->y + a->height, b->y + b->height);
	if (left >= right || top >= bottom) {
		return (struct neep_rect){ 0 };
	}
	return (struct neep_rect){ .x = left, .y = top, .width = right - left, .height = bottom - top };
}

struct neep_rect neep_rect_union(const struct neep_rect *a, const struct neep_rect *b) {
	if (neep_rect_is_empty(a)) {
		return *b;
	}
	if (neep_rect_is_empty(b)) {
		return *a;
	}
	uint32_t left = min_u32(a->x, b->x);
	uint32_t top = min_u32(a->y, b->y);
	uint32_t right = max_u32(a->x + a->width, b->x + b->width);
	uint32_t bottom = max_u32(a->y + a->height, b->y + b->height);
	return (struct neep_rect){ .x = left, .y = top, .width = right - left, .height = bottom - top };
}

/* An empty image has a pixel all the same. */
static size_t image_size(uint32_t stride, uint32_t height) {
	return stride > 0 && height > 0 ? (size_t)stride * height : 4;
}

static void image_free(struct neep_image *image) {
	neep_pages_free(image->pixels, image_size(image->stride, image->height));
	free(image);
}

struct neep_image *neep_image_create(uint32_t width, uint32_t height, uint32_t format) {
	if (!neep_format_is_known(format) || width > NEEP_DISPLAY_SIDE_MAX ||
		height > NEEP_DISPLAY_SIDE_MAX) {
		return NULL;
	}
	uint32_t stride = width * 4;
	struct neep_image *image = malloc(sizeof(*image));
	size_t size = image_size(stride, height);
	uint8_t *pixels = neep_pages_alloc(size);
	if (image == NULL || pixels == NULL) {
		neep_pages_free(pixels, size);
		free(image);
		return NULL;
	}
	*image = (struct neep_image){
		.refs = 1,
		.width = width,
		.height = height,
		.stride = stride,
		.format = format,
		.pixels = pixels,
		.has_own_pages = neep_pages_are_own(size),
		.free = image_free,
	};
	return image;
}

struct neep_image *neep_image_ref(struct neep_image *image) {
	image->refs++;
	return image;
}

void neep_image_unref(struct neep_image *image) {
	if (image != NULL && --image->refs == 0) {
		image->free(image);
	}
}

/* virtio-gpu names the bytes in memory order, pixman the bits of a word from the top: reversed on a little-endian
 * host. */
static const struct format {
	uint32_t virtio;
	pixman_format_code_t with_alpha;
	pixman_format_code_t opaque;
} formats[] = {
	{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, PIXMAN_a8r8g8b8, PIXMAN_x8r8g8b8 },
	{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, PIXMAN_x8r8g8b8, PIXMAN_x8r8g8b8 },
	{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, PIXMAN_b8g8r8a8, PIXMAN_b8g8r8x8 },
	{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, PIXMAN_b8g8r8x8, PIXMAN_b8g8r8x8 },
	{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, PIXMAN_a8b8g8r8, PIXMAN_x8b8g8r8 },
	{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, PIXMAN_r8g8b8x8, PIXMAN_r8g8b8x8 },
	{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, PIXMAN_r8g8b8a8, PIXMAN_r8g8b8x8 },
	{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, PIXMAN_x8b8g8r8, PIXMAN_x8b8g8r8 },
};

uint32_t neep_format_to_pixman(uint32_t format, bool opaque) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		if (formats[i].virtio == format) {
			return opaque ? formats[i].opaque : formats[i].with_alpha;
		}
	}
	return 0;
}

bool neep_format_is_known(uint32_t format) {
	return neep_format_to_pixman(format, true) != 0;
}

void neep_sink_destroy(struct neep_sink *sink) {
	if (sink != NULL) {
		sink->impl->destroy(sink);
	}
}

void neep_sink_set_scanout(
	struct neep_sink *sink, uint32_t scanout_id, struct neep_image *image, const struct neep_rect *rect) {
	sink->impl->set_scanout(sink, scanout_id, image, rect);
}

void neep_sink_damage(struct neep_sink *sink, uint32_t scanout_id, const struct neep_rect *damage) {
	sink->impl->damage(sink, scanout_id, damage);
}

void neep_sink_settle(struct neep_sink *sink, struct neep_image *image) {
	sink->impl->settle(sink, image);
}

void neep_sink_cursor(
	struct neep_sink *sink, uint32_t scanout_id, const struct neep_cursor *cursor, bool image_changed) {
	if (sink->impl->cursor != NULL) {
		sink->impl->cursor(sink, scanout_id, cursor, image_changed);
	}
}

bool neep_sink_has_query(const struct neep_sink *sink) {
	return sink->impl->query != NULL;
}

void neep_sink_query(struct neep_sink *sink, struct neep_sink_query *query) {
	if (sink->impl->query == NULL) {
		query->done(query, NULL, 0);
		return;
	}
	sink->impl->query(sink, query);
}

void neep_sink_query_cancel(struct neep_sink *sink, struct neep_sink_query *query) {
	if (sink->impl->query_cancel != NULL) {
		sink->impl->query_cancel(sink, query);
	}
}

void neep_sink_set_socket(struct neep_sink *sink, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	if (sink->impl->set_socket != NULL) {
		sink->impl->set_socket(sink, neep_steal_fd(&fd));
	}
}

bool neep_sink_is_behind(const struct neep_sink *sink) {
	return sink->impl->is_behind != NULL && sink->impl->is_behind(sink);
}

void neep_sink_set_listener(struct neep_sink *sink, struct neep_sink_listener *listener) {
	sink->listener = listener;
}

void neep_sink_caught_up(struct neep_sink *sink) {
	if (sink->listener != NULL) {
		sink->listener->caught_up(sink->listener);
	}
}

struct neep_image *neep_sink_snapshot(
	struct neep_sink *sink, uint32_t scanout_id, bool with_cursor, struct neep_error *error) {
	if (sink->impl->snapshot == NULL) {
		neep_error_set(error, 0, "display \"%s\" keeps no picture", sink->impl->name);
		return NULL;
	}
	if (scanout_id >= NEEP_SCANOUTS_MAX) {
		neep_error_set(error, 0, "there is no scanout %u", scanout_id);
		return NULL;
	}
	return sink->impl->snapshot(sink, scanout_id, with_cursor, error);
}

struct neep_output_info neep_sink_output(const struct neep_sink *sink, uint32_t scanout_id) {
	struct neep_output_info info = { 0 };
	if (sink->impl->output != NULL && scanout_id < NEEP_SCANOUTS_MAX) {
		sink->impl->output(sink, scanout_id, &info);
	}
	return info;
}

static const struct sink_kind {
	const char *name;
	struct neep_sink *(*create)(struct neep_loop *loop);
} sink_kinds[] = {
	{ "qemu", neep_qemu_sink_create },
	{ "headless", neep_headless_sink_create },
	{ "none", neep_none_sink_create },
};

struct neep_sink *neep_sink_create(const char *name, struct neep_loop *loop, struct neep_error *error) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sink_kinds); i++) {
		if (strcmp(name, sink_kinds[i].name) != 0) {
			continue;
		}
		struct neep_sink *sink = sink_kinds[i].create(loop);
		if (sink == NULL) {
			neep_error_set(error, ENOMEM, "display \"%s\"", name);
		}
		return sink;
	}
	neep_error_set(error, 0, "no display is called \"%s\"; there are: qemu, headless, none", name);
	return NULL;
}
