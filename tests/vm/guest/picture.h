// The picture that the guest draws and the host expects: a pure function of place and size, in integers only, so that
// both sides get the same bytes whatever compiled them.
#ifndef NEEP_TESTS_VM_PICTURE_H
#define NEEP_TESTS_VM_PICTURE_H

#include <stdint.h>

// Returns pixel (x, y) of the picture at size w x h as 0x00rrggbb. w and h are 1..16384, x < w, y < h.
uint32_t neep_picture_pixel(uint32_t x, uint32_t y, uint32_t w, uint32_t h);

// The start value of neep_picture_sum().
#define NEEP_PICTURE_SUM_INIT 0xcbf29ce484222325u

// Adds n pixels to a running FNV-1a sum, one step per pixel, the unused top byte ignored. Returns the new sum.
uint64_t neep_picture_sum(uint64_t sum, const uint32_t *pixels, uint32_t n);

#define NEEP_CURSOR_SIZE  64
#define NEEP_CURSOR_HOT_X 6
#define NEEP_CURSOR_HOT_Y 4

// Returns pixel (x, y) of the cursor image as premultiplied 0xaarrggbb; x and y are 0..63.
uint32_t neep_cursor_pixel(uint32_t x, uint32_t y);

#endif
