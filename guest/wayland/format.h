/* Formats of wl_shm: how large a buffer is, and where a rectangle of it lies.
 *
 * A format that is not in the table cannot be copied, so it is not offered to clients.
 * Source: the enum "format" of wl_shm, and drm_fourcc.h, from where all but two of its values come. */
#ifndef NEEP_WAYLAND_FORMAT_H
#define NEEP_WAYLAND_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What wl_shm_pool.create_buffer says: a client's numbers, unchecked. */
struct neep_wl_image {
	int32_t width;
	int32_t height;
	int32_t stride;
	uint32_t format;
};

struct neep_wl_layout {
	uint32_t pixel_size; // bytes, in the first plane
	size_t row_size;     // bytes of pixels in a row of the first plane, at most the stride
	size_t size;         // bytes from the buffer's start on, all planes
	bool is_indivisible; // planes, or pixels that share bytes: copied as a whole
};

bool neep_wl_format_is_known(uint32_t format);

/* Whether it is known, and has but one plane. */
bool neep_wl_format_is_packed(uint32_t format);

/* The same format among those of drm_fourcc.h, and back: wl_shm has other numbers for two. */
uint32_t neep_wl_format_to_drm(uint32_t format);
uint32_t neep_wl_format_from_drm(uint32_t format);

/* Works out the layout of an image of a known format. False: a side is not positive, rows overlap, or it is too large for a
 * pool. */
bool neep_wl_layout_init(struct neep_wl_layout *layout, const struct neep_wl_image *image);

#endif
