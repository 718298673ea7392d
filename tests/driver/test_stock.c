/* The driver against a real back-end: QEMU's vhost-user-gpu. Skipped where that is not installed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "driver/display_peer.h"
#include "driver/driver.h"
#include "driver/gpu.h"
#include "driver/stock_peer.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"

struct fixture {
	struct stock_peer peer;
	struct neep_driver *driver;
};

static void open_driver(struct fixture *f, const struct neep_driver_options *options) {
	if (!stock_peer_exists()) {
		skip();
	}
	stock_peer_start(&f->peer);
	struct neep_error error = { 0 };
	f->driver = neep_driver_open(f->peer.socket_path, options, &error);
	if (f->driver == NULL) {
		print_message("%s\n", error.text);
	}
	assert_non_null(f->driver);
}

static void close_driver(struct fixture *f) {
	neep_driver_destroy(f->driver);
	stock_peer_stop(&f->peer);
}

static struct neep_driver_options with_display(void) {
	struct neep_driver_options options = neep_driver_default_options;
	options.has_display = true;
	return options;
}

static void driver_gets_the_display_info_of_its_display(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	open_driver(&f, &options);
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(neep_cmd_get_display_info(f.driver, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1280);
	assert_int_equal(info.pmodes[0].r.height, 800);
	assert_int_equal(info.pmodes[0].enabled, 1);
	assert_int_equal(info.pmodes[1].enabled, 0);
	close_driver(&f);
}

static void driver_reads_config_space(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	open_driver(&f, &options);
	struct virtio_gpu_config config;
	assert_int_equal(neep_driver_read_config(f.driver, 0, &config, 16), 0);
	/* This back-end leaves the number of outputs to QEMU. */
	assert_int_equal(config.events_read, 0);
	assert_int_equal(config.num_capsets, 0);
	close_driver(&f);
}

#define WIDTH  64u
#define HEIGHT 48u

static void fill(struct neep_guest_buffer *buffer) {
	const struct neep_guest_piece *pieces = neep_guest_pieces(buffer);
	uint32_t value = 0;
	for (uint32_t i = 0; i < buffer->piece_count; i++) {
		uint32_t *words = pieces[i].host;
		for (uint64_t j = 0; j < pieces[i].len / 4; j++) {
			words[j] = value++;
		}
	}
}

static void show(struct neep_driver *driver, struct neep_guest_buffer *buffer) {
	struct virtio_gpu_rect all = { .width = WIDTH, .height = HEIGHT };
	fill(buffer);
	assert_int_equal(neep_cmd_create_2d(driver, 7, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT),
		VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(neep_cmd_attach_backing(driver, 7, buffer), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(neep_cmd_transfer_to_host_2d(driver, 7, &all, 0), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(neep_cmd_set_scanout(driver, 0, 7, &all), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(neep_cmd_flush(driver, 7, &all), VIRTIO_GPU_RESP_OK_NODATA);
}

static void check_shown(struct neep_driver *driver) {
	struct neep_display_peer *display = neep_driver_display(driver);
	assert_int_equal(neep_display_peer_wait_updates(display, 1, 5 * NEEP_NS_PER_S), 0);
	uint32_t width;
	uint32_t height;
	neep_display_peer_surface_size(display, 0, &width, &height);
	assert_int_equal(width, WIDTH);
	assert_int_equal(height, HEIGHT);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		uint32_t pixel = neep_display_peer_pixel(display, 0, i % WIDTH, i / WIDTH);
		assert_int_equal(pixel & 0xffffff, i);
	}
	assert_int_equal(neep_display_peer_stats(display).errors, 0);
}

static void pixels_reach_the_display_from_contiguous_memory(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	open_driver(&f, &options);
	struct neep_guest_buffer buffer;
	assert_int_equal(neep_driver_alloc(f.driver, WIDTH * HEIGHT * 4, &buffer), 0);
	show(f.driver, &buffer);
	check_shown(f.driver);
	neep_driver_free(f.driver, &buffer);
	close_driver(&f);
}

static void pixels_reach_the_display_from_scattered_pages(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	options.memory.region_count = 2;
	options.memory.gap = UINT64_C(1) << 30;
	open_driver(&f, &options);
	struct neep_guest_buffer buffer;
	assert_int_equal(neep_driver_alloc_scattered(f.driver, WIDTH * HEIGHT * 4, &buffer), 0);
	show(f.driver, &buffer);
	check_shown(f.driver);
	neep_driver_free(f.driver, &buffer);
	close_driver(&f);
}

static void cursor_reaches_the_display(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	open_driver(&f, &options);
	struct neep_guest_buffer buffer;
	assert_int_equal(neep_driver_alloc(f.driver, 64 * 64 * 4, &buffer), 0);
	memset(buffer.first.host, 0xff, buffer.size);
	struct virtio_gpu_rect all = { .width = 64, .height = 64 };
	neep_cmd_create_2d(f.driver, 3, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);
	neep_cmd_attach_backing(f.driver, 3, &buffer);
	neep_cmd_transfer_to_host_2d(f.driver, 3, &all, 0);
	struct virtio_gpu_update_cursor cursor = {
		.pos = { .x = 10, .y = 20 }, .resource_id = 3, .hot_x = 1
	};
	assert_int_equal(neep_cmd_update_cursor(f.driver, &cursor), 0);
	struct virtio_gpu_resp_display_info info;
	neep_cmd_get_display_info(f.driver, &info); // answered on the same socket, behind the cursor
	struct neep_display_peer_cursor *shown = malloc(sizeof(*shown));
	neep_display_peer_get_cursor(neep_driver_display(f.driver), shown);
	assert_true(shown->is_visible);
	assert_int_equal(shown->x, 10);
	assert_int_equal(shown->hot_x, 1);
	assert_int_equal(shown->argb[64 * 64 - 1], 0xffffffff);
	free(shown);
	close_driver(&f);
}

static void requests_in_flight_all_complete_in_order(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	options.queue_size[NEEP_DRIVER_CONTROLQ] = 16;
	open_driver(&f, &options);
	enum { COUNT = 200 };
	struct virtio_gpu_resource_create_2d cmd[COUNT];
	struct virtio_gpu_ctrl_hdr reply[COUNT];
	struct neep_driver_request request[COUNT];
	for (uint32_t i = 0; i < COUNT; i++) {
		cmd[i] = (struct virtio_gpu_resource_create_2d){
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
			.resource_id = i + 1,
			.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
			.width = 1,
			.height = 1,
		};
		request[i] = (struct neep_driver_request){
			.cmd = &cmd[i],
			.cmd_len = sizeof(cmd[i]),
			.reply = &reply[i],
			.reply_len = sizeof(reply[i]),
		};
	}
	assert_int_equal(neep_driver_submit(f.driver, request, COUNT), 0);
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_int_equal(neep_driver_wait(f.driver, &request[i]), 0);
		assert_int_equal(reply[i].type, VIRTIO_GPU_RESP_OK_NODATA);
		assert_int_equal(request[i].used_len, sizeof(reply[i]));
		assert_int_equal(request[i].sequence, i + 1);
	}
	close_driver(&f);
}

static void death_of_the_back_end_ends_a_wait(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	open_driver(&f, &options);
	stock_peer_stop(&f.peer);
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(neep_cmd_get_display_info(f.driver, &info), -EPIPE);
	assert_true(neep_driver_is_dead(f.driver));
	neep_driver_destroy(f.driver);
}

static void rings_without_indirect_and_event_idx_work(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = with_display();
	options.features &=
		~(UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
	open_driver(&f, &options);
	for (uint32_t i = 1; i <= 300; i++) {
		assert_int_equal(neep_cmd_create_2d(f.driver, i, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1, 1),
			VIRTIO_GPU_RESP_OK_NODATA);
	}
	close_driver(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(driver_gets_the_display_info_of_its_display),
		fd_checked_test(driver_reads_config_space),
		fd_checked_test(pixels_reach_the_display_from_contiguous_memory),
		fd_checked_test(pixels_reach_the_display_from_scattered_pages),
		fd_checked_test(cursor_reaches_the_display),
		fd_checked_test(requests_in_flight_all_complete_in_order),
		fd_checked_test(death_of_the_back_end_ends_a_wait),
		fd_checked_test(rings_without_indirect_and_event_idx_work),
	};
	return cmocka_run_group_tests_name("driver over a stock back-end", tests, NULL, NULL);
}
