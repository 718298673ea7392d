/* Small pictures for the tests of the display room. */
#ifndef NEEP_TESTS_DISPLAY_PICTURE_H
#define NEEP_TESTS_DISPLAY_PICTURE_H

#include <stdint.h>

#include "display/display.h"

/* An image of its own mapping, whose pixels can be locked away to prove that nobody looks. */
struct neep_image *picture_create(uint32_t width, uint32_t height, uint32_t format);
void picture_lock(struct neep_image *image);
void picture_unlock(struct neep_image *image);

/* The word of pixel (x, y). */
uint32_t picture_get(const struct neep_image *image, uint32_t x, uint32_t y);

/* Sets all words of `area` to `word`. */
void picture_fill(struct neep_image *image, const struct neep_rect *area, uint32_t word);
void picture_fill_all(struct neep_image *image, uint32_t word);

#endif
