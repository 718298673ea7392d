#include "twod/image.h"

#include <linux/virtio_gpu.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/macros.h"
#include "util/pages.h"

struct image {
	struct neep_rutabaga_image base;
	_Atomic uint32_t refs; // atomic: any holder
};

bool neep_twod_format_is_known(uint32_t format) {
	switch (format) {
	case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
	case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
	case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
	case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
	case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
	case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
	case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
	case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
		return true;
	default:
		return false;
	}
}

struct neep_rutabaga_image *neep_twod_image_create(uint32_t width, uint32_t height, uint32_t format) {
	neep_assert(width - 1 < NEEP_IMAGE_SIDE_MAX && height - 1 < NEEP_IMAGE_SIDE_MAX);
	struct image *image = calloc(1, sizeof(*image));
	if (image == NULL) {
		return NULL;
	}
	image->base = (struct neep_rutabaga_image){
		.stride = width * 4, .width = width, .height = height, .format = format
	};
	image->base.pixels = neep_pages_alloc((size_t)neep_twod_image_size(&image->base));
	if (image->base.pixels == NULL) {
		free(image);
		return NULL;
	}
	atomic_init(&image->refs, 1);
	return &image->base;
}

struct neep_rutabaga_image *neep_rutabaga_image_ref(struct neep_rutabaga_image *base) {
	if (base != NULL) {
		struct image *image = neep_container_of(base, struct image, base);
		atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed);
	}
	return base;
}

void neep_rutabaga_image_unref(struct neep_rutabaga_image *base) {
	if (base == NULL) {
		return;
	}
	struct image *image = neep_container_of(base, struct image, base);
	if (atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) == 1) {
		neep_pages_free(base->pixels, (size_t)neep_twod_image_size(base));
		free(image);
	}
}
