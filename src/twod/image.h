/* The host image of a 2D resource: zeroed pixels of 4 bytes, counted (see neep_rutabaga.h). */
#ifndef NEEP_TWOD_IMAGE_H
#define NEEP_TWOD_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "rutabaga/api.h"

/* The largest width and height; virtio-gpu names none, this is what pixman and every display can take. */
#define NEEP_IMAGE_SIDE_MAX 16384

/* Whether `format` is one of virtio-gpu's 2D formats (enum virtio_gpu_formats). */
bool neep_twod_format_is_known(uint32_t format);

/* Returns an image with one reference, all pixels zero, or NULL for want of memory. The sides are within
 * 1..NEEP_IMAGE_SIDE_MAX. */
struct neep_rutabaga_image *neep_twod_image_create(uint32_t width, uint32_t height, uint32_t format);

/* Bytes of pixels. */
static inline uint64_t neep_twod_image_size(const struct neep_rutabaga_image *image) {
	return (uint64_t)image->stride * image->height;
}

#endif
