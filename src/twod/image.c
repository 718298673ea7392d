#include "twod/image.h"

#include <linux/virtio_gpu.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/macros.h"

/* From this size on pixels come straight from the kernel: zeroed for free, and given back when freed. */
#define MMAP_MIN (UINT64_C(128) << 10)

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

static void *pixels_alloc(uint64_t size) {
	if (size < MMAP_MIN) {
		return calloc(1, (size_t)size);
	}
	void *pixels = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pixels == MAP_FAILED ? NULL : pixels;
}

static void pixels_free(void *pixels, uint64_t size) {
	if (size < MMAP_MIN) {
		free(pixels);
	} else {
		munmap(pixels, (size_t)size);
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
	image->base.pixels = pixels_alloc(neep_twod_image_size(&image->base));
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
		pixels_free(base->pixels, neep_twod_image_size(base));
		free(image);
	}
}
