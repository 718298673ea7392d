#include "display/png_writer.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

/* Higher levels take several times as long and save little on what is on screens. */
#define COMPRESSION_LEVEL 1

struct neep_png {
	png_structp writer;
	png_infop info;
	struct neep_image *image;
	int fd;
	uint32_t row; // the next one
	int error;    // a positive errno; what went wrong in a callback
};

static void write_bytes(png_structp writer, png_bytep data, size_t len) {
	struct neep_png *png = png_get_io_ptr(writer);
	while (len > 0) {
		ssize_t written = write(png->fd, data, len);
		if (written < 0 && errno == EINTR) {
			continue;
		}
		if (written <= 0) {
			png->error = written < 0 ? errno : EIO;
			png_error(writer, "write");
		}
		data += written;
		len -= (size_t)written;
	}
}

static void flush_bytes(png_structp writer) {
	(void)writer;
}

/* libpng would print the message. */
static _Noreturn void fail(png_structp writer, png_const_charp message) {
	(void)message;
	png_longjmp(writer, 1);
}

static void ignore_warning(png_structp writer, png_const_charp message) {
	(void)writer;
	(void)message;
}

struct neep_png *neep_png_begin(struct neep_image *image, int fd) {
	struct neep_png *png = calloc(1, sizeof(*png));
	if (png == NULL) {
		return NULL;
	}
	png->image = neep_image_ref(image);
	png->fd = fd;
	png->writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, fail, ignore_warning);
	png->info = png->writer != NULL ? png_create_info_struct(png->writer) : NULL;
	if (png->info == NULL) {
		neep_png_end(png);
		return NULL;
	}
	png_set_write_fn(png->writer, png, write_bytes, flush_bytes);
	return png;
}

static void write_header(struct neep_png *png) {
	png_set_user_limits(png->writer, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_compression_level(png->writer, COMPRESSION_LEVEL);
	png_set_filter(png->writer, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
	png_set_IHDR(png->writer, png->info, png->image->width, png->image->height, 8, PNG_COLOR_TYPE_RGB,
		PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png->writer, png->info);
	png_set_bgr(png->writer);
	png_set_filler(png->writer, 0, PNG_FILLER_AFTER);
}

static void write_rows(struct neep_png *png) {
	struct neep_image *image = png->image;
	uint32_t slice = NEEP_PNG_SLICE / (image->stride > 0 ? image->stride : 1) + 1;
	for (uint32_t i = 0; i < slice && png->row < image->height; i++, png->row++) {
		png_write_row(png->writer, image->pixels + (size_t)png->row * image->stride);
	}
}

int neep_png_step(struct neep_png *png) {
	if (setjmp(png_jmpbuf(png->writer)) != 0) {
		return png->error != 0 ? -png->error : -ENOMEM;
	}
	if (png->row == 0) {
		write_header(png);
	}
	write_rows(png);
	if (png->row < png->image->height) {
		return 1;
	}
	png_write_end(png->writer, png->info);
	return 0;
}

void neep_png_end(struct neep_png *png) {
	if (png == NULL) {
		return;
	}
	if (png->writer != NULL) {
		png_destroy_write_struct(&png->writer, &png->info);
	}
	neep_image_unref(png->image);
	free(png);
}
