/* Not a test: transfer speed beside memcpy of the same bytes, for looking at. `bench_transfer [rounds]` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rutabaga/api.h"
#include "util/clock.h"

struct shape {
	const char *name;
	uint32_t width, height; // resource
	uint32_t x, y, w, h;    // box
	size_t piece;           // bytes of a segment of the backing; 0: one
};

static const struct shape shapes[] = {
	{ "4K full, one piece", 3840, 2160, 0, 0, 3840, 2160, 0 },
	{ "4K full, 2 MiB pieces", 3840, 2160, 0, 0, 3840, 2160, 2 << 20 },
	{ "4K full, 4 KiB pieces", 3840, 2160, 0, 0, 3840, 2160, 4096 },
	{ "1080p in 4K, one piece", 3840, 2160, 960, 540, 1920, 1080, 0 },
	{ "1080p in 4K, 4 KiB pieces", 3840, 2160, 960, 540, 1920, 1080, 4096 },
	{ "64x64 in 4K, 4 KiB pieces", 3840, 2160, 960, 540, 64, 64, 4096 },
	{ "1x2160 in 4K, 4 KiB pieces", 3840, 2160, 960, 0, 1, 2160, 4096 },
};

static void no_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	(void)user_data;
	(void)fence;
}

/* Pieces lie in `memory` in reverse order, so that no two can be joined. */
static void attach(struct rutabaga *r, const struct shape *s, uint8_t *memory, size_t size) {
	size_t piece = s->piece != 0 ? s->piece : size;
	size_t count = (size + piece - 1) / piece;
	struct iovec *iov = calloc(count, sizeof(*iov));
	for (size_t i = 0; i < count; i++) {
		iov[i] = (struct iovec){ memory + (count - 1 - i) * piece, piece };
	}
	struct rutabaga_iovecs iovecs = { iov, count };
	if (rutabaga_resource_attach_backing(r, 1, &iovecs) != 0) {
		abort();
	}
	free(iov);
}

/* The same bytes by plain memcpy: rows of the box, from flat memory to flat memory. */
static void copy_rows(const struct shape *s, uint8_t *to, const uint8_t *from) {
	size_t stride = (size_t)s->width * 4, len = (size_t)s->w * 4, rows = s->h;
	if (s->w == s->width) {
		len *= rows;
		rows = 1;
	}
	for (size_t i = 0; i < rows; i++) {
		size_t at = (s->y + i) * stride + (size_t)s->x * 4;
		memcpy(to + at, from + at, len);
	}
}

static int64_t best(int64_t a, int64_t b) {
	return a < b ? a : b;
}

static void run(struct rutabaga *r, const struct shape *s, int rounds) {
	struct rutabaga_create_3d create = { 2, 2, 2, s->width, s->height, 1, 1, 0, 0, 1 };
	size_t size = (size_t)s->width * 4 * s->height;
	size_t room = size + (2 << 20);
	uint8_t *memory = aligned_alloc(4096, room), *flat = aligned_alloc(4096, room);
	memset(memory, 1, room);
	memset(flat, 2, room);
	if (rutabaga_resource_create_3d(r, 1, &create) != 0) {
		abort();
	}
	attach(r, s, memory, size);
	struct rutabaga_transfer box = { .x = s->x,
		.y = s->y,
		.w = s->w,
		.h = s->h,
		.d = 1,
		.stride = s->width * 4,
		.offset = ((uint64_t)s->y * s->width + s->x) * 4 };
	int64_t ours = INT64_MAX, plain = INT64_MAX;
	for (int i = 0; i < rounds; i++) {
		int64_t a = neep_clock_ns();
		if (rutabaga_resource_transfer_write(r, 0, 1, &box) != 0) {
			abort();
		}
		int64_t b = neep_clock_ns();
		copy_rows(s, flat, memory);
		int64_t c = neep_clock_ns();
		ours = best(ours, b - a);
		plain = best(plain, c - b);
	}
	double bytes = (double)s->w * 4 * s->h;
	printf("%-28s %7.2f GB/s  memcpy %7.2f GB/s  ratio %.2f\n", s->name, bytes / (double)ours,
		bytes / (double)plain, (double)plain / (double)ours);
	rutabaga_resource_unref(r, 1);
	free(memory);
	free(flat);
}

int main(int argc, char **argv) {
	int rounds = argc > 1 ? atoi(argv[1]) : 200;
	struct rutabaga_builder builder = { .wsi = RUTABAGA_WSI_SURFACELESS, .fence_cb = no_fence };
	struct rutabaga *r;
	if (rutabaga_init(&builder, &r) != 0) {
		return 1;
	}
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		run(r, &shapes[i], rounds);
	}
	return rutabaga_finish(&r);
}
