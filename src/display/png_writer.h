/* Writing an image as PNG, a slice at a time: a thread with other duties does a slice per turn. */
#ifndef NEEP_DISPLAY_PNG_WRITER_H
#define NEEP_DISPLAY_PNG_WRITER_H

#include "display/display.h"

struct neep_png;

/* Starts writing `image`, which is B8G8R8X8 or B8G8R8A8 (alpha is left out), to `fd`. Takes a reference to the image;
 * the fd is borrowed, and writing to it should not block. Returns NULL for want of memory. */
struct neep_png *neep_png_begin(struct neep_image *image, int fd);

/* Encodes and writes the next slice, about NEEP_PNG_SLICE bytes of pixels. Returns 1 when there is more to do, 0 when the
 * file is complete, or a negative errno; after 0 and errors there is only neep_png_end(). */
#define NEEP_PNG_SLICE (256u << 10)
int neep_png_step(struct neep_png *png);

/* Frees everything, also half-way. NULL is fine. */
void neep_png_end(struct neep_png *png);

#endif
