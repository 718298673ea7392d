#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "display/picture.h"
#include "display/png_writer.h"
#include "support/fd_check.h"

static uint32_t word_at(uint32_t x, uint32_t y) {
	return (x * 0x010203 + y * 0x3f1105) ^ 0xff000000;
}

static struct neep_image *create_pattern(uint32_t width, uint32_t height) {
	struct neep_image *image = neep_image_create(width, height, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			struct neep_rect pixel = { x, y, 1, 1 };
			picture_fill(image, &pixel, word_at(x, y));
		}
	}
	return image;
}

static int write_all(struct neep_image *image, int fd, int *steps) {
	struct neep_png *png = neep_png_begin(image, fd);
	assert_non_null(png);
	int result;
	*steps = 0;
	do {
		result = neep_png_step(png);
		++*steps;
	} while (result > 0);
	neep_png_end(png);
	return result;
}

static void assert_round_trip(uint32_t width, uint32_t height, int expected_steps) {
	int steps;
	int fd = memfd_create("png", MFD_CLOEXEC);
	struct neep_image *image = create_pattern(width, height);
	assert_int_equal(write_all(image, fd, &steps), 0);
	assert_int_equal(steps, expected_steps);
	neep_image_unref(image);
	lseek(fd, 0, SEEK_SET);
	FILE *file = fdopen(fd, "r");
	png_image read = { .version = PNG_IMAGE_VERSION };
	assert_int_equal(png_image_begin_read_from_stdio(&read, file), 1);
	assert_int_equal(read.width, width);
	assert_int_equal(read.height, height);
	assert_int_equal(read.format, PNG_FORMAT_RGB);
	uint8_t *rgb = malloc(PNG_IMAGE_SIZE(read));
	assert_int_equal(png_image_finish_read(&read, NULL, rgb, 0, NULL), 1);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			const uint8_t *p = rgb + ((size_t)y * width + x) * 3;
			uint32_t got = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
			assert_int_equal(got, word_at(x, y) & 0xffffff);
		}
	}
	free(rgb);
	fclose(file);
}

static void png_reads_back_as_written(void **state) {
	(void)state;
	assert_round_trip(1, 1, 1);
	assert_round_trip(33, 7, 1);
}

static void png_is_written_in_slices(void **state) {
	(void)state;
	/* 320 x 4 bytes a row: 205 rows a slice. */
	assert_round_trip(320, 205, 1);
	assert_round_trip(320, 206, 2);
	assert_round_trip(320, 1000, 5);
}

static void png_fails_when_the_file_is_full(void **state) {
	(void)state;
	int steps;
	struct neep_image *image = create_pattern(400, 400);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write_all(image, full, &steps), -ENOSPC);
	close(full);
	int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(write_all(image, reading, &steps), -EBADF);
	close(reading);
	neep_image_unref(image);
}

static void png_can_be_given_up(void **state) {
	(void)state;
	int fd = memfd_create("png", MFD_CLOEXEC);
	struct neep_image *image = create_pattern(400, 400);
	struct neep_png *png = neep_png_begin(image, fd);
	neep_image_unref(image);
	assert_int_equal(neep_png_step(png), 1);
	neep_png_end(png);
	neep_png_end(NULL);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(png_reads_back_as_written),
		fd_checked_test(png_is_written_in_slices),
		fd_checked_test(png_fails_when_the_file_is_full),
		fd_checked_test(png_can_be_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
