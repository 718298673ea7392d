#include "display/picture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/cmocka.h"

static size_t picture_size(const struct neep_image *image) {
	return (size_t)image->stride * image->height;
}

static void picture_free(struct neep_image *image) {
	munmap(image->pixels, picture_size(image));
	free(image);
}

struct neep_image *picture_create(uint32_t width, uint32_t height, uint32_t format) {
	struct neep_image *image = malloc(sizeof(*image));
	assert_non_null(image);
	*image = (struct neep_image){
		.refs = 1,
		.width = width,
		.height = height,
		.stride = width * 4,
		.format = format,
		.has_own_pages = true,
		.free = picture_free,
	};
	image->pixels =
		mmap(NULL, picture_size(image), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(image->pixels, MAP_FAILED);
	return image;
}

void picture_lock(struct neep_image *image) {
	assert_int_equal(mprotect(image->pixels, picture_size(image), PROT_NONE), 0);
}

void picture_unlock(struct neep_image *image) {
	assert_int_equal(mprotect(image->pixels, picture_size(image), PROT_READ | PROT_WRITE), 0);
}

uint32_t picture_get(const struct neep_image *image, uint32_t x, uint32_t y) {
	uint32_t word;
	memcpy(&word, image->pixels + (size_t)y * image->stride + (size_t)x * 4, sizeof(word));
	return word;
}

void picture_fill(struct neep_image *image, const struct neep_rect *area, uint32_t word) {
	for (uint32_t y = area->y; y < area->y + area->height; y++) {
		for (uint32_t x = area->x; x < area->x + area->width; x++) {
			memcpy(image->pixels + (size_t)y * image->stride + (size_t)x * 4, &word,
				sizeof(word));
		}
	}
}

void picture_fill_all(struct neep_image *image, uint32_t word) {
	struct neep_rect all = { .width = image->width, .height = image->height };
	picture_fill(image, &all, word);
}
