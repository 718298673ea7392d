#include "out.h"

#include <errno.h>
#include <png.h>
#include <stdarg.h>
#include <string.h>

#define EXIT_SKIPPED 77

static const char *folder; // NULL: nothing is written
static FILE *results;

static FILE *open_file(const char *name, const char *suffix) {
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
	FILE *file = fopen(path, "wb");
	if (file == NULL) {
		out_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	}
	return file;
}

void out_begin(int argc, char **argv) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1) {
		folder = argv[1];
		results = open_file("results", ".txt");
		setvbuf(results, NULL, _IOLBF, 0);
	}
}

void out_text(const char *format, ...) {
	if (results == NULL) {
		return;
	}
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(results, "%s\n", line);
}

void out_bytes(const char *name, const void *data, size_t size) {
	if (folder == NULL) {
		return;
	}
	FILE *file = open_file(name, ".bin");
	expect(fwrite(data, 1, size, file) == size);
	expect(fclose(file) == 0);
}

void out_picture(const char *name, const uint8_t *rgba, uint32_t width, uint32_t height) {
	if (folder == NULL) {
		return;
	}
	FILE *file = open_file(name, ".png");
	png_image image = {
		.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGBA
	};
	expect(png_image_write_to_stdio(&image, file, 0, rgba, 0, NULL));
	expect(fclose(file) == 0);
}

void out_skip(const char *part, const char *reason) {
	printf("skip %s: %s\n", part, reason);
}

void out_skip_all(const char *reason) {
	printf("skip all: %s\n", reason);
	exit(EXIT_SKIPPED);
}

void out_fail(const char *file, int line, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(EXIT_FAILURE);
}

void *out_alloc(size_t count, size_t size) {
	void *memory = calloc(count, size);
	if (memory == NULL) {
		out_fail(__FILE__, __LINE__, "no memory");
	}
	return memory;
}
