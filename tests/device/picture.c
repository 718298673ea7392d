/* Pictures, and looking at what the outputs show. */
#include <stdlib.h>
#include <string.h>

#include "device/harness_internal.h"

#define COLOUR UINT32_C(0x00ffffff)

/* Where the bytes of red, green and blue are in a pixel: the names of the formats list bytes from the lowest address. */
struct format_bytes {
	uint32_t format;
	uint8_t red, green, blue;
};

static const struct format_bytes formats[] = {
	{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0 },
	{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0 },
	{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3 },
	{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3 },
	{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2 },
	{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1 },
	{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1 },
	{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2 },
};

static const struct format_bytes *find_format(uint32_t format) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		if (formats[i].format == format) {
			return &formats[i];
		}
	}
	fail_msg("not a format: %u", format);
	return NULL;
}

/* A bijection, so that neighbours differ. */
static uint32_t mix(uint32_t x) {
	x ^= x >> 16;
	x *= UINT32_C(0x7feb352d);
	x ^= x >> 15;
	x *= UINT32_C(0x846ca68b);
	return x ^ x >> 16;
}

struct check_picture check_picture(uint32_t format, uint32_t width, uint32_t height, uint32_t seed) {
	size_t count = (size_t)width * height;
	struct check_picture picture = {
		.width = width,
		.height = height,
		.format = format,
		.bytes = malloc(count * 4),
		.xrgb = malloc(count * 4),
	};
	const struct format_bytes *bytes = find_format(format);
	assert_non_null(picture.bytes);
	assert_non_null(picture.xrgb);
	for (size_t i = 0; i < count; i++) {
		uint32_t value = mix((uint32_t)i + seed * UINT32_C(0x9e3779b9));
		uint8_t *pixel = picture.bytes + i * 4;
		memcpy(pixel, &value, sizeof(value));
		picture.xrgb[i] = (uint32_t)pixel[bytes->red] << 16 | (uint32_t)pixel[bytes->green] << 8 |
				  pixel[bytes->blue];
	}
	return picture;
}

void check_picture_free(struct check_picture *picture) {
	free(picture->bytes);
	free(picture->xrgb);
}

struct neep_guest_buffer *check_image(
	struct check *check, uint32_t resource_id, const struct check_picture *picture) {
	size_t size = (size_t)picture->width * picture->height * 4;
	struct neep_rect all = { .width = picture->width, .height = picture->height };
	struct neep_guest_buffer *backing = check_alloc(check, size);
	check_write(backing, 0, picture->bytes, size);
	assert_int_equal(
		check_create_2d(check, resource_id, picture->format, picture->width, picture->height),
		CHECK_OK);
	assert_int_equal(check_attach(check, resource_id, backing), CHECK_OK);
	assert_int_equal(check_transfer(check, resource_id, &all, 0), CHECK_OK);
	return backing;
}

/* ---- looking ---- */

/* What an output shows now; the pixels are the caller's, NULL when it is off. */
static uint32_t *look(struct check *check, uint32_t scanout_id, uint32_t *width, uint32_t *height) {
	struct neep_display_peer *peer = check_display(check);
	if (peer == NULL) {
		return check_screenshot(check, scanout_id, false, width, height);
	}
	neep_display_peer_surface_size(peer, scanout_id, width, height);
	size_t size = (size_t)*width * *height * 4;
	uint32_t *pixels = malloc(size + 1);
	assert_non_null(pixels);
	if (neep_display_peer_read(peer, scanout_id, pixels, size) != (int64_t)size || size == 0) {
		*width = 0;
		*height = 0;
		free(pixels);
		return NULL;
	}
	return pixels;
}

/* The first pixel that differs, or width * height. */
static size_t first_difference(const uint32_t *a, const uint32_t *b, size_t count) {
	size_t i = 0;
	while (i < count && ((a[i] ^ b[i]) & COLOUR) == 0) {
		i++;
	}
	return i;
}

static bool is_shown(struct check *check, uint32_t scanout_id, const uint32_t *xrgb, uint32_t width,
	uint32_t height, bool is_last) {
	uint32_t w, h;
	uint32_t *pixels = look(check, scanout_id, &w, &h);
	size_t count = (size_t)width * height;
	size_t at = 0;
	bool is_same = pixels != NULL && w == width && h == height &&
		       (at = first_difference(pixels, xrgb, count)) == count;
	uint32_t seen = pixels != NULL && at < (size_t)w * h ? pixels[at] & COLOUR : 0;
	free(pixels);
	if (!is_same && is_last) {
		fail_msg("scanout %u shows %u x %u, not %u x %u; at %zu,%zu: %06x, not %06x", scanout_id, w,
			h, width, height, at % width, at / width, seen, xrgb[at] & COLOUR);
	}
	return is_same;
}

void check_shows_pixels(
	struct check *check, uint32_t scanout_id, const uint32_t *xrgb, uint32_t width, uint32_t height) {
	/* A screenshot is of this moment; the display peer has its own pace. */
	if (check_display(check) != NULL) {
		int64_t deadline = neep_clock_ns() + CHECK_TIMEOUT_NS;
		while (neep_clock_ns() < deadline) {
			if (is_shown(check, scanout_id, xrgb, width, height, false)) {
				return;
			}
			check_sleep(check, NEEP_NS_PER_MS);
		}
	}
	is_shown(check, scanout_id, xrgb, width, height, true);
}

void check_shows(struct check *check, uint32_t scanout_id, const struct check_picture *picture,
	const struct neep_rect *part) {
	struct neep_rect all = { .width = picture->width, .height = picture->height };
	const struct neep_rect *rect = part != NULL ? part : &all;
	uint32_t *expected = malloc((size_t)rect->width * rect->height * 4);
	assert_non_null(expected);
	for (uint32_t y = 0; y < rect->height; y++) {
		memcpy(expected + (size_t)y * rect->width,
			picture->xrgb + (size_t)(rect->y + y) * picture->width + rect->x,
			(size_t)rect->width * 4);
	}
	check_shows_pixels(check, scanout_id, expected, rect->width, rect->height);
	free(expected);
}

void check_shows_nothing(struct check *check, uint32_t scanout_id) {
	uint32_t width, height;
	int64_t deadline = neep_clock_ns() + CHECK_TIMEOUT_NS;
	do {
		free(look(check, scanout_id, &width, &height));
		if (width == 0 || check_display(check) == NULL) {
			break;
		}
		check_sleep(check, NEEP_NS_PER_MS);
	} while (neep_clock_ns() < deadline);
	assert_int_equal(width, 0);
	assert_int_equal(height, 0);
}

void check_settle_display(struct check *check) {
	struct virtio_gpu_resp_display_info info;
	/* The answer comes from the display, behind all that was written before; the first one may overtake an update that
	 * waits for the one being written. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
}
