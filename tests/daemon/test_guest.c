/* A guest that draws, the device process as installed (sandbox and all), and the neep command that looks. */
#include "support/cmocka.h"

#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "daemon/process.h"
#include "driver/driver.h"
#include "driver/gpu.h"
#include "support/await.h"
#include "support/fd_check.h"

#define WIDTH  320
#define HEIGHT 200

static const struct virtio_gpu_rect whole = { .width = WIDTH, .height = HEIGHT };

static int setup(void **state) {
	folder_enter();
	return fd_check_setup(state);
}

static int teardown(void **state) {
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static struct neep_driver *boot(void) {
	struct neep_error error;
	struct neep_driver *driver = neep_driver_open("s", &neep_driver_default_options, &error);
	if (driver == NULL) {
		fail_msg("%s", error.text);
	}
	return driver;
}

static uint32_t pixel_at(uint32_t x, uint32_t y, uint32_t seed) {
	return (x * 0x10203 + y * 0x70503 + seed) & 0xffffff;
}

static void fill(struct neep_guest_buffer *buffer, uint32_t seed) {
	uint32_t *pixels = buffer->first.host;
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			pixels[y * WIDTH + x] = pixel_at(x, y, seed);
		}
	}
}

/* Shows a picture of its own on scanout 0. */
static void draw(struct neep_driver *driver, struct neep_guest_buffer *buffer, uint32_t seed) {
	assert_int_equal(neep_driver_alloc(driver, WIDTH * HEIGHT * 4, buffer), 0);
	fill(buffer, seed);
	int ok = VIRTIO_GPU_RESP_OK_NODATA;
	uint32_t format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
	assert_int_equal(neep_cmd_create_2d(driver, 1, format, WIDTH, HEIGHT), ok);
	assert_int_equal(neep_cmd_attach_backing(driver, 1, buffer), ok);
	assert_int_equal(neep_cmd_transfer_to_host_2d(driver, 1, &whole, 0), ok);
	assert_int_equal(neep_cmd_set_scanout(driver, 0, 1, &whole), ok);
	assert_int_equal(neep_cmd_flush(driver, 1, &whole), ok);
}

static void assert_picture(const char *path, uint32_t seed) {
	png_image png = { .version = PNG_IMAGE_VERSION };
	assert_int_equal(png_image_begin_read_from_file(&png, path), 1);
	assert_int_equal(png.width, WIDTH);
	assert_int_equal(png.height, HEIGHT);
	png.format = PNG_FORMAT_BGRA;
	uint32_t *pixels = malloc(PNG_IMAGE_SIZE(png));
	assert_int_equal(png_image_finish_read(&png, NULL, pixels, 0, NULL), 1);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			assert_int_equal(pixels[y * WIDTH + x] & 0xffffff, pixel_at(x, y, seed));
		}
	}
	free(pixels);
}

static pid_t start(const char *words) {
	pid_t pid = process_start(daemon_program(), words);
	file_await("s");
	return pid;
}

static void screenshot_shows_what_the_guest_flushed(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = start("--socket-path s --control c --display headless");
	struct neep_driver *driver = boot();
	struct neep_guest_buffer buffer;
	draw(driver, &buffer, 1);
	process_run(cli_program(), "screenshot --control c first.png", &result);
	assert_string_equal(result.err, "");
	assert_int_equal(result.code, 0);
	assert_picture("first.png", 1);
	/* What is drawn but not flushed does not show. */
	fill(&buffer, 2);
	assert_int_equal(neep_cmd_transfer_to_host_2d(driver, 1, &whole, 0), VIRTIO_GPU_RESP_OK_NODATA);
	process_run(cli_program(), "screenshot --control c --scanout 0 -o second.png", &result);
	assert_int_equal(result.code, 0);
	assert_picture("second.png", 1);
	assert_int_equal(neep_cmd_flush(driver, 1, &whole), VIRTIO_GPU_RESP_OK_NODATA);
	process_run(cli_program(), "screenshot --control c second.png", &result);
	assert_picture("second.png", 2);
	process_run(cli_program(), "screenshot --control c no/such/folder.png", &result);
	assert_string_equal(
		result.err, "neep screenshot: cannot write no/such/folder.png: No such file or directory\n");
	assert_int_equal(result.code, 1);
	process_run(cli_program(), "outputs --control c", &result);
	assert_string_equal(
		result.out, "{\"outputs\":[{\"scanout\":0,\"shows\":true,\"width\":320,\"height\":200}]}\n");
	neep_driver_free(driver, &buffer);
	neep_driver_destroy(driver);
	assert_int_equal(process_wait(pid), 0);
}

static void screenshot_is_refused_when_no_pixel_is_kept(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = start("--socket-path s --control c --wsi headless");
	struct neep_driver *driver = boot();
	struct neep_guest_buffer buffer;
	draw(driver, &buffer, 1);
	process_run(cli_program(), "screenshot --control c x.png", &result);
	assert_string_equal(result.err, "neep screenshot: display \"none\" keeps no picture\n");
	assert_int_equal(result.code, 1);
	neep_driver_free(driver, &buffer);
	neep_driver_destroy(driver);
	assert_int_equal(process_wait(pid), 0);
}

static void resize_interrupts_the_guest(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = start("--socket-path s --control c --display headless");
	struct neep_driver *driver = boot();
	struct virtio_gpu_resp_display_info info;
	uint64_t seen = neep_driver_config_changes(driver);
	process_run(cli_program(), "resize --control c 0 1920x1080", &result);
	assert_string_equal(result.err, "");
	assert_int_equal(neep_driver_wait_config_change(driver, seen, AWAIT_NS), 0);
	assert_int_equal(neep_cmd_get_display_info(driver, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1920);
	assert_int_equal(info.pmodes[0].r.height, 1080);
	neep_driver_destroy(driver);
	assert_int_equal(process_wait(pid), 0);
}

static bool has_stats(const char *words) {
	static struct process_result result;
	process_run(cli_program(), "stats --control c", &result);
	return strstr(result.out, words) != NULL;
}

static void next_front_end_finds_a_fresh_device(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = start("--socket-path s --control c --display headless --keep-listening");
	for (uint32_t i = 0; i < 3; i++) {
		struct neep_driver *driver = boot();
		struct neep_guest_buffer buffer;
		draw(driver, &buffer, i); // resource 1 is new every time
		assert_true(has_stats("\"resources\":1,"));
		/* The session ends with everything in use. */
		neep_driver_free(driver, &buffer);
		neep_driver_destroy(driver);
	}
	await_true(has_stats("\"resources\":0,"));
	process_run(cli_program(), "screenshot --control c x.png", &result);
	assert_string_equal(result.err, "neep screenshot: the scanout shows nothing\n");
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(screenshot_shows_what_the_guest_flushed),
		in_folder(screenshot_is_refused_when_no_pixel_is_kept),
		in_folder(resize_interrupts_the_guest),
		in_folder(next_front_end_finds_a_fresh_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
