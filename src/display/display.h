/* Display sinks: where the pixels of the scanouts go.
 *
 * The device tells a sink which image a scanout shows and which rectangles of it were flushed; the sink decides when to
 * read. Images are counted references, so what a sink still reads outlives the guest's resource. Before the device
 * rewrites an image it calls neep_sink_settle(): what was flushed and is still needed is taken then, which is what makes
 * a flip between two buffers free of copies. Belongs to the loop's thread. */
#ifndef NEEP_DISPLAY_DISPLAY_H
#define NEEP_DISPLAY_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/loop.h"

#define NEEP_SCANOUTS_MAX 16
#define NEEP_CURSOR_SIZE  64

/* In pixels. */
struct neep_rect {
	uint32_t x, y, width, height;
};

/* Whether `r` lies inside width x height; formed by subtraction, so nothing wraps. */
static inline bool neep_rect_within(const struct neep_rect *r, uint32_t width, uint32_t height) {
	return r->x <= width && r->width <= width - r->x && r->y <= height && r->height <= height - r->y;
}

static inline bool neep_rect_is_empty(const struct neep_rect *r) {
	return r->width == 0 || r->height == 0;
}

/* What both cover; empty when they do not touch. Both must lie below 2^31. */
struct neep_rect neep_rect_intersect(const struct neep_rect *a, const struct neep_rect *b);
/* The smallest rectangle that covers both; an empty one adds nothing. */
struct neep_rect neep_rect_union(const struct neep_rect *a, const struct neep_rect *b);

/* Pixels in host memory. The pixels may change under a reader only between neep_sink_settle() and the next flush. */
struct neep_image {
	uint32_t refs;
	uint32_t width, height;
	uint32_t stride; // bytes
	uint32_t format; // enum virtio_gpu_formats, 4 bytes a pixel
	uint8_t *pixels;
	bool has_own_pages;                     // the pixels are as neep_pages_are_own() says
	void (*free)(struct neep_image *image); // called when the last reference goes
};

/* The longest side of an image, in pixels: pixman's coordinates end there. */
#define NEEP_DISPLAY_SIDE_MAX 32767
/* A zeroed image of its own memory, with one reference. NULL when it cannot be had. */
struct neep_image *neep_image_create(uint32_t width, uint32_t height, uint32_t format);
struct neep_image *neep_image_ref(struct neep_image *image);
void neep_image_unref(struct neep_image *image); // NULL is fine

/* Whether the format is one of the eight of virtio-gpu 2D. */
bool neep_format_is_known(uint32_t format);
/* The pixman format code of a virtio-gpu format on a little-endian host; alpha is dropped when `opaque`. 0: unknown. */
uint32_t neep_format_to_pixman(uint32_t format, bool opaque);

struct neep_cursor {
	int32_t x, y;          // position relative to the scanout
	uint32_t hot_x, hot_y; // 0..63
	/* 64 x 64, a8r8g8b8 premultiplied (DRM_FORMAT_ARGB8888). Meaningful while is_visible. */
	const uint32_t *argb;
	bool is_visible;
};

struct neep_sink;
struct neep_sink_query;

/* One output. */
struct neep_output_info {
	struct neep_rect rect; // preferred mode and position
	bool is_enabled;
};

struct neep_sink_impl {
	const char *name;
	void (*destroy)(struct neep_sink *sink);
	/* The scanout shows `rect` of `image` from the next damage on; NULL turns the output off. The sink takes its own
	 * reference. Cheap when only the image changes. */
	void (*set_scanout)(struct neep_sink *sink, uint32_t scanout_id, struct neep_image *image,
		const struct neep_rect *rect);
	/* `damage` (inside the scanout, in scanout coordinates, not empty) holds new pixels to show. */
	void (*damage)(struct neep_sink *sink, uint32_t scanout_id, const struct neep_rect *damage);
	/* The pixels of `image` are about to change. */
	void (*settle)(struct neep_sink *sink, struct neep_image *image);
	/* May be NULL. `image_changed` is false for a mere move. */
	void (*cursor)(struct neep_sink *sink, uint32_t scanout_id, const struct neep_cursor *cursor,
		bool image_changed);
	/* Asks the far side for its outputs or an EDID. May be NULL: then the device answers from its own state. */
	void (*query)(struct neep_sink *sink, struct neep_sink_query *query);
	void (*query_cancel)(struct neep_sink *sink, struct neep_sink_query *query);
	/* Takes the display socket that the front-end handed over; consumes owned_fd. May be NULL: then it is closed, which
	 * stock QEMU does not bear while it holds the other end. */
	void (*set_socket)(struct neep_sink *sink, int owned_fd);
	/* A picture of what the scanout shows now (what was flushed), of its own memory, in B8G8R8X8, with the cursor drawn
	 * over it on request. May be NULL. Returns one reference, or NULL with `error` set, also when the scanout is off. */
	struct neep_image *(*snapshot)(
		struct neep_sink *sink, uint32_t scanout_id, bool with_cursor, struct neep_error *error);
	/* Whether flushed pixels wait behind earlier ones that are still being written; the sink says when they no longer do
	 * (neep_sink_caught_up()), and does not stay behind a display that has stopped reading. May be NULL: never. */
	bool (*is_behind)(const struct neep_sink *sink);
	/* What the scanout shows: its size, at 0, 0, and whether it is on. May be NULL: nothing is known. */
	void (*output)(const struct neep_sink *sink, uint32_t scanout_id, struct neep_output_info *info);
};

/* Hears that a sink which was behind has caught up: the next frame is welcome. */
struct neep_sink_listener {
	void (*caught_up)(struct neep_sink_listener *listener);
};

/* Embedded in the implementation. */
struct neep_sink {
	const struct neep_sink_impl *impl;
	struct neep_sink_listener *listener; // NULL: nobody
};

/* A question whose answer comes later; alive until done or cancelled. */
struct neep_sink_query {
	bool is_edid;
	uint32_t scanout_id;
	/* Called once, possibly from inside neep_sink_query(). `reply` is a whole virtio_gpu_resp_display_info or
	 * virtio_gpu_resp_edid; NULL: answer from your own state. */
	void (*done)(struct neep_sink_query *query, const void *reply, size_t len);
	void *sink_private;
};

/* Wrappers; they test for what is NULL. */
void neep_sink_destroy(struct neep_sink *sink); // NULL is fine
void neep_sink_set_scanout(
	struct neep_sink *sink, uint32_t scanout_id, struct neep_image *image, const struct neep_rect *rect);
void neep_sink_damage(struct neep_sink *sink, uint32_t scanout_id, const struct neep_rect *damage);
void neep_sink_settle(struct neep_sink *sink, struct neep_image *image);
void neep_sink_cursor(
	struct neep_sink *sink, uint32_t scanout_id, const struct neep_cursor *cursor, bool image_changed);
bool neep_sink_has_query(const struct neep_sink *sink);
void neep_sink_query(struct neep_sink *sink, struct neep_sink_query *query);
void neep_sink_query_cancel(struct neep_sink *sink, struct neep_sink_query *query);
void neep_sink_set_socket(struct neep_sink *sink, int owned_fd);
bool neep_sink_is_behind(const struct neep_sink *sink);
void neep_sink_set_listener(struct neep_sink *sink, struct neep_sink_listener *listener); // NULL ends it
void neep_sink_caught_up(struct neep_sink *sink); // for implementations
struct neep_image *neep_sink_snapshot(
	struct neep_sink *sink, uint32_t scanout_id, bool with_cursor, struct neep_error *error);
/* Off, all zero, where nothing is known. */
struct neep_output_info neep_sink_output(const struct neep_sink *sink, uint32_t scanout_id);

/* The sinks by name ("qemu", "headless", "none"). Returns NULL with `error` naming the right words.
 * qemu: QEMU's own display over the vhost-user-gpu socket. headless: keeps the last flushed frame for screenshots.
 * none: no pixel is copied anywhere (wsi=headless). */
struct neep_sink *neep_sink_create(const char *name, struct neep_loop *loop, struct neep_error *error);

#endif
