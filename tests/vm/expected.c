// Host side of the guest's picture: writes what the guest must have drawn as PNG, or compares a PNG with it.
#include "guest/picture.h"

#include <errno.h>
#include <getopt.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 16384u

struct area { // of the whole picture
	uint32_t x;
	uint32_t y;
	uint32_t w;
	uint32_t h;
};

struct options {
	uint32_t w;
	uint32_t h;
	struct area crop;
	bool cursor;
	bool sum;
	bool raw;
	const char *compare;
	const char *against;
	const char *out;
};

static const char usage[] =
	"usage: expected --size WxH [--crop X,Y,WxH] OUT.png            write the picture\n"
	"       expected --size WxH [--crop X,Y,WxH] --compare GOT.png  compare GOT.png with the picture\n"
	"       expected --size WxH [--crop X,Y,WxH] --sum              print the guest's checksum\n"
	"       expected --size WxH [--crop X,Y,WxH] --raw OUT          write its pixels, B8G8R8X8\n"
	"       expected --cursor OUT.png                               write the cursor\n"
	"       expected --compare GOT.png --against WANT.png           compare two files\n";

static uint32_t *expected_pixels(const struct options *o) {
	uint32_t *pixels = calloc((size_t)o->crop.w * o->crop.h, sizeof(*pixels));
	for (uint32_t y = 0; pixels != NULL && y < o->crop.h; y++) {
		for (uint32_t x = 0; x < o->crop.w; x++) {
			pixels[(size_t)y * o->crop.w + x] =
				o->cursor ? neep_cursor_pixel(x, y)
					  : 0xff000000u | neep_picture_pixel(
								  o->crop.x + x, o->crop.y + y, o->w, o->h);
		}
	}
	return pixels;
}

// Returns the pixels of a PNG file, owned by the caller, and its size; NULL with a message on failure.
static uint32_t *png_load(const char *path, uint32_t *w, uint32_t *h) {
	png_image png = { .version = PNG_IMAGE_VERSION };
	if (png_image_begin_read_from_file(&png, path) == 0 || png.width > SIDE_MAX ||
		png.height > SIDE_MAX) {
		fprintf(stderr, "expected: cannot read %s: %s\n", path, png.message);
		png_image_free(&png);
		return NULL;
	}
	png.format = PNG_FORMAT_BGRA;
	uint32_t *pixels = calloc((size_t)png.width * png.height, sizeof(*pixels));
	if (pixels == NULL || png_image_finish_read(&png, NULL, pixels, 0, NULL) == 0) {
		fprintf(stderr, "expected: cannot read %s: %s\n", path,
			pixels == NULL ? "out of memory" : png.message);
		png_image_free(&png);
		free(pixels);
		return NULL;
	}
	*w = png.width;
	*h = png.height;
	return pixels;
}

static int compare(const uint32_t *got, const uint32_t *want, uint32_t w, uint32_t h) {
	size_t n = (size_t)w * h, count = 0, first = 0;
	for (size_t i = n; i-- > 0;) {
		if (((got[i] ^ want[i]) & 0xffffff) != 0) {
			count++;
			first = i;
		}
	}
	if (count == 0) {
		printf("identical: %ux%u\n", w, h);
		return 0;
	}
	printf("different: %zu of %zu pixels; first at %zu,%zu: got %06x, want %06x\n", count, n, first % w,
		first / w, got[first] & 0xffffff, want[first] & 0xffffff);
	return 1;
}

static int run_compare(const struct options *o) {
	uint32_t gw = 0, gh = 0, w = o->crop.w, h = o->crop.h;
	uint32_t *got = png_load(o->compare, &gw, &gh);
	uint32_t *want = o->against != NULL ? png_load(o->against, &w, &h) : expected_pixels(o);
	int status = 2;
	if (got != NULL && want != NULL && (gw != w || gh != h)) {
		printf("different: size %ux%u, want %ux%u\n", gw, gh, w, h);
		status = 1;
	} else if (got != NULL && want != NULL) {
		status = compare(got, want, w, h);
	}
	free(got);
	free(want);
	return status;
}

static int write_raw(const struct options *o, const uint32_t *pixels) {
	FILE *file = fopen(o->out, "wb");
	size_t n = (size_t)o->crop.w * o->crop.h;
	bool ok = file != NULL && fwrite(pixels, sizeof(*pixels), n, file) == n;
	if (file != NULL && fclose(file) != 0) {
		ok = false;
	}
	if (!ok) {
		fprintf(stderr, "expected: cannot write %s: %s\n", o->out, strerror(errno));
	}
	return ok ? 0 : 2;
}

static int write_png(const struct options *o, const uint32_t *pixels) {
	png_image png = { .version = PNG_IMAGE_VERSION,
		.width = o->crop.w,
		.height = o->crop.h,
		.format = PNG_FORMAT_BGRA };
	if (png_image_write_to_file(&png, o->out, 0, pixels, 0, NULL) == 0) {
		fprintf(stderr, "expected: cannot write %s: %s\n", o->out, png.message);
		return 2;
	}
	return 0;
}

static int run_make(const struct options *o) {
	uint32_t *pixels = expected_pixels(o);
	if (pixels == NULL) {
		fprintf(stderr, "expected: out of memory\n");
		return 2;
	}
	int status = 0;
	if (o->sum) {
		printf("%016llx\n", (unsigned long long)neep_picture_sum(
					    NEEP_PICTURE_SUM_INIT, pixels, o->crop.w * o->crop.h));
	} else {
		status = o->cursor || o->raw ? write_raw(o, pixels) : write_png(o, pixels);
	}
	free(pixels);
	return status;
}

static bool area_fits(const struct options *o) {
	const struct area *c = &o->crop;
	return o->w <= SIDE_MAX && o->h <= SIDE_MAX && c->w > 0 && c->h > 0 && c->x <= o->w &&
	       c->w <= o->w - c->x && c->y <= o->h && c->h <= o->h - c->y;
}

static bool parse_option(struct options *o, int opt) {
	switch (opt) {
	case 's':
		return sscanf(optarg, "%ux%u", &o->w, &o->h) == 2;
	case 'c':
		return sscanf(optarg, "%u,%u,%ux%u", &o->crop.x, &o->crop.y, &o->crop.w, &o->crop.h) == 4;
	case 'k':
		o->cursor = true;
		o->w = o->h = NEEP_CURSOR_SIZE;
		return true;
	case 'm':
		o->sum = true;
		return true;
	case 'r':
		o->raw = true;
		return true;
	case 'g':
		o->compare = optarg;
		return true;
	case 'a':
		o->against = optarg;
		return true;
	default:
		return false;
	}
}

static bool parse(struct options *o, int argc, char **argv) {
	static const struct option table[] = { { "size", required_argument, NULL, 's' },
		{ "crop", required_argument, NULL, 'c' }, { "cursor", no_argument, NULL, 'k' },
		{ "sum", no_argument, NULL, 'm' }, { "raw", no_argument, NULL, 'r' },
		{ "compare", required_argument, NULL, 'g' }, { "against", required_argument, NULL, 'a' },
		{ 0 } };
	for (int opt; (opt = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		if (!parse_option(o, opt)) {
			return false;
		}
	}
	if (o->crop.w == 0) {
		o->crop = (struct area){ .w = o->w, .h = o->h };
	}
	o->out = optind < argc ? argv[optind] : NULL;
	if (o->compare != NULL) {
		return o->out == NULL && (o->against != NULL || area_fits(o));
	}
	return o->against == NULL && area_fits(o) && o->sum == (o->out == NULL) && argc - optind <= 1;
}

int main(int argc, char **argv) {
	struct options o = { 0 };
	if (!parse(&o, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	return o.compare != NULL ? run_compare(&o) : run_make(&o);
}
