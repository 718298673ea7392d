/* The driver against our own back-end: what QEMU's cannot do. Meson names it in NEEP_TEST_BACKEND. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "driver/display_peer.h"
#include "driver/driver.h"
#include "driver/frontend.h"
#include "driver/gpu.h"
#include "driver/queue.h"
#include "driver/stock_peer.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/macros.h"

#define BIT(n) (UINT64_C(1) << (n))
#define OK     VIRTIO_GPU_RESP_OK_NODATA

struct fixture {
	struct stock_peer peer;
	struct neep_driver *driver;
};

static void open_driver(struct fixture *f, const struct neep_driver_options *options) {
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

static int create(struct neep_driver *driver, uint32_t resource_id) {
	return neep_cmd_create_2d(driver, resource_id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16);
}

static void every_ring_format_works(void **state) {
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct fixture f;
		struct neep_driver_options options = neep_driver_default_options;
		options.features &= ~(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX));
		options.features |= (i & 1) != 0 ? BIT(VIRTIO_F_RING_PACKED) : 0;
		options.features |= (i & 2) != 0 ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
		options.features |= (i & 4) != 0 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
		options.queue_size[NEEP_DRIVER_CONTROLQ] = 16;
		open_driver(&f, &options);
		assert_int_equal(neep_driver_features(f.driver) >> VIRTIO_F_RING_PACKED & 1, i & 1);
		for (uint32_t j = 1; j <= 500; j++) {
			assert_int_equal(create(f.driver, j), OK);
		}
		assert_int_equal(create(f.driver, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		close_driver(&f);
	}
}

static void rings_go_on_after_a_pause(void **state) {
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct fixture f;
		struct neep_driver_options options = neep_driver_default_options;
		options.features |= packed != 0 ? BIT(VIRTIO_F_RING_PACKED) : 0;
		options.has_display = true;
		open_driver(&f, &options);
		assert_int_equal(create(f.driver, 1), OK);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(neep_driver_stop(f.driver), 0);
			assert_int_equal(neep_driver_start(f.driver, NULL), 0);
			assert_int_equal(create(f.driver, 2 + i), OK);
			assert_int_equal(create(f.driver, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		}
		close_driver(&f);
	}
}

static void reset_forgets_resources(void **state) {
	(void)state;
	struct fixture f;
	open_driver(&f, &neep_driver_default_options);
	assert_int_equal(create(f.driver, 1), OK);
	assert_int_equal(neep_driver_reset(f.driver), 0);
	assert_int_equal(neep_driver_start(f.driver, NULL), 0);
	assert_int_equal(create(f.driver, 1), OK);
	close_driver(&f);
}

/* A request that is submitted while the rings are stopped waits for the start. */
static void request_waits_while_the_rings_are_stopped(void **state) {
	(void)state;
	struct fixture f;
	open_driver(&f, &neep_driver_default_options);
	assert_int_equal(neep_driver_stop(f.driver), 0);
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info info = { 0 };
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = &info,
		.reply_len = sizeof(info),
	};
	assert_int_equal(neep_driver_submit(f.driver, &request, 1), 0);
	assert_int_equal(neep_driver_wait_for(f.driver, &request, 50 * NEEP_NS_PER_MS), -ETIMEDOUT);
	assert_false(neep_driver_poll(f.driver, &request));
	assert_int_equal(neep_driver_start(f.driver, NULL), 0);
	assert_int_equal(neep_driver_wait(f.driver, &request), 0);
	assert_int_equal(info.hdr.type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(request.used_len, sizeof(info));
	close_driver(&f);
}

static void abandoned_request_is_done_and_does_no_harm(void **state) {
	(void)state;
	struct fixture f;
	open_driver(&f, &neep_driver_default_options);
	assert_int_equal(neep_driver_stop(f.driver), 0);
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	uint8_t reply[408];
	memset(reply, 0x5a, sizeof(reply));
	struct neep_driver_request request = {
		.cmd = &cmd,
		.cmd_len = sizeof(cmd),
		.reply = reply,
		.reply_len = sizeof(reply),
	};
	assert_int_equal(neep_driver_submit(f.driver, &request, 1), 0);
	neep_driver_abandon(f.driver, &request);
	assert_true(neep_driver_poll(f.driver, &request));
	assert_int_equal(request.result, -ECANCELED);
	assert_int_equal(neep_driver_start(f.driver, NULL), 0);
	assert_int_equal(create(f.driver, 1), OK);
	assert_int_equal(reply[0], 0x5a);
	close_driver(&f);
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	struct neep_driver *driver;
	uint32_t first_id;
	int bad;
};

static void *work(void *data) {
	struct worker *worker = data;
	for (uint32_t i = 0; i < 300; i++) {
		worker->bad += create(worker->driver, worker->first_id + i) != OK;
		worker->bad += neep_cmd_unref(worker->driver, worker->first_id + i) != OK;
	}
	return NULL;
}

static void run_threads(bool with_service, int64_t spin_ns) {
	struct fixture f;
	struct neep_driver_options options = neep_driver_default_options;
	options.queue_size[NEEP_DRIVER_CONTROLQ] = 4;
	options.spin_ns = spin_ns;
	open_driver(&f, &options);
	if (with_service) {
		assert_int_equal(neep_driver_start_service(f.driver), 0);
	}
	struct worker workers[8] = { 0 };
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(workers); i++) {
		workers[i].driver = f.driver;
		workers[i].first_id = 1 + i * 1000;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].bad, 0);
	}
	close_driver(&f);
}

static void many_threads_share_a_small_ring(void **state) {
	(void)state;
	run_threads(false, 0);
}

static void many_threads_and_a_service_thread_share_a_ring(void **state) {
	(void)state;
	run_threads(true, 0);
}

static void many_threads_that_spin_share_a_ring(void **state) {
	(void)state;
	run_threads(false, 20 * NEEP_NS_PER_US);
}

static void dispatch_completes_without_a_waiter(void **state) {
	(void)state;
	struct fixture f;
	open_driver(&f, &neep_driver_default_options);
	for (int i = 0; i < 100; i++) {
		struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
		struct virtio_gpu_resp_display_info info;
		struct neep_driver_request request = {
			.cmd = &cmd,
			.cmd_len = sizeof(cmd),
			.reply = &info,
			.reply_len = sizeof(info),
		};
		assert_int_equal(neep_driver_submit(f.driver, &request, 1), 0);
		while (!request.is_done) {
			struct pollfd poller = { .fd = neep_driver_fd(f.driver), .events = POLLIN };
			assert_int_equal(poll(&poller, 1, (int)AWAIT_MS), 1);
			assert_int_equal(neep_driver_dispatch(f.driver), 0);
		}
	}
	close_driver(&f);
}

/* ---- a new back-end in the place of one that was killed ---- */

static int connect_again(struct fixture *f) {
	stock_peer_stop(&f->peer);
	stock_peer_start(&f->peer);
	struct neep_error error = { 0 };
	int fd = neep_frontend_connect(f->peer.socket_path, AWAIT_NS, &error);
	assert_true(fd >= 0);
	return fd;
}

static void driver_goes_on_with_a_new_back_end(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = neep_driver_default_options;
	options.has_display = true;
	open_driver(&f, &options);
	assert_int_equal(create(f.driver, 1), OK);
	int fd = connect_again(&f);
	assert_int_equal(create(f.driver, 2), -EPIPE);
	assert_int_equal(neep_driver_reconnect(f.driver, fd, NULL), 0);
	assert_int_equal(create(f.driver, 1), OK);
	close_driver(&f);
}

static int file_of(uint64_t size) {
	int file = memfd_create("import", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	return file;
}

static int create_blob(
	struct neep_driver *driver, uint32_t resource_id, const struct neep_guest_buffer *backing) {
	struct neep_cmd_blob blob = {
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.size = backing->size,
		.backing = backing,
	};
	return neep_cmd_create_blob(driver, &blob);
}

static void imported_files_are_memory_of_each_back_end(void **state) {
	(void)state;
	struct fixture f;
	struct neep_guest_buffer one, two;
	uint64_t offset = 1;
	struct neep_driver_options options = neep_driver_default_options;
	/* Without blobs there is nothing to be looked at. */
	open_driver(&f, &options);
	if ((neep_driver_features(f.driver) >> VIRTIO_GPU_F_RESOURCE_BLOB & 1) == 0) {
		close_driver(&f);
		skip();
	}
	int file = file_of(12345);
	assert_int_equal(neep_driver_import(f.driver, file, 12345, &one), 0);
	assert_int_equal(neep_driver_import(f.driver, file, 4096, &two), 0);
	assert_int_equal(create_blob(f.driver, 1, &one), OK);
	neep_driver_free(f.driver, &two);
	assert_int_equal(two.size, 0);
	int copy = neep_driver_memory_fd(f.driver, &one, &offset);
	assert_true(copy >= 0);
	assert_int_equal(offset, 0);
	close(copy);
	int fd = connect_again(&f);
	assert_int_equal(create(f.driver, 2), -EPIPE);
	assert_int_equal(neep_driver_reconnect(f.driver, fd, NULL), 0);
	assert_int_equal(create_blob(f.driver, 1, &one), OK);
	assert_int_equal(neep_cmd_unref(f.driver, 1), OK);
	struct neep_guest_buffer gone = one;
	neep_driver_free(f.driver, &one);
	assert_int_equal(create_blob(f.driver, 1, &gone), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	close(file);
	close_driver(&f);
}

static void imports_are_refused_when_they_cannot_be(void **state) {
	(void)state;
	struct fixture f;
	struct neep_guest_buffer buffer;
	struct neep_driver_options options = neep_driver_default_options;
	options.protocol_features &= ~BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	open_driver(&f, &options);
	int file = file_of(4096);
	assert_int_equal(neep_driver_import(f.driver, file, 4096, &buffer), -EOPNOTSUPP);
	close_driver(&f);
	open_driver(&f, &neep_driver_default_options);
	assert_int_equal(neep_driver_import(f.driver, file, 0, &buffer), -EINVAL);
	assert_int_equal(
		neep_driver_import(f.driver, file, NEEP_DRIVER_IMPORT_SIZE_MAX + 1, &buffer), -EINVAL);
	assert_int_equal(neep_driver_import(f.driver, -1, 4096, &buffer), -EBADF);
	/* The device says no: it is not as long. */
	assert_int_equal(neep_driver_import(f.driver, file, 4097, &buffer), -EIO);
	assert_int_equal(buffer.size, 0);
	neep_driver_free(f.driver, &buffer);
	assert_int_equal(neep_driver_import(f.driver, file, 4096, &buffer), 0);
	/* One that is left goes with the driver. */
	close(file);
	close_driver(&f);
}

static void reset_starts_a_fresh_inflight_area(void **state) {
	(void)state;
	struct fixture f;
	struct neep_driver_options options = neep_driver_default_options;
	options.protocol_features |= BIT(NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	open_driver(&f, &options);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(create(f.driver, 1), OK);
		assert_int_equal(neep_driver_reset(f.driver), 0);
		assert_int_equal(neep_driver_start(f.driver, NULL), 0);
	}
	close_driver(&f);
}

/* The device tells of a ring that it gave up, and serves the other one. */
static void broken_ring_is_told_on_its_err_fd(void **state) {
	(void)state;
	struct fixture f;
	open_driver(&f, &neep_driver_default_options);
	struct neep_queue *queue = neep_driver_queue(f.driver, NEEP_DRIVER_CURSORQ);
	neep_queue_raw_publish(queue, 999);
	struct pollfd poller = { .fd = neep_queue_err_fd(queue), .events = POLLIN };
	assert_int_equal(poll(&poller, 1, (int)AWAIT_MS), 1);
	assert_int_equal(create(f.driver, 1), OK);
	close_driver(&f);
}

static void run_inflight(bool is_packed) {
	struct fixture f;
	struct neep_driver_options options = neep_driver_default_options;
	options.protocol_features |= BIT(NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	options.features |= is_packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
	options.has_display = true;
	open_driver(&f, &options);
	if (!neep_frontend_has_protocol(
		    neep_driver_frontend(f.driver), NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) {
		close_driver(&f);
		skip();
	}
	for (uint32_t i = 1; i <= 20; i++) {
		assert_int_equal(create(f.driver, i), OK);
	}
	/* A display that hangs keeps the query, and with it what comes behind it, with the back-end. */
	neep_display_peer_pause(neep_driver_display(f.driver), true);
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info info[4];
	struct neep_driver_request requests[4];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(requests); i++) {
		requests[i] = (struct neep_driver_request){
			.cmd = &cmd,
			.cmd_len = sizeof(cmd),
			.reply = &info[i],
			.reply_len = sizeof(info[i]),
		};
	}
	assert_int_equal(neep_driver_submit(f.driver, requests, NEEP_ARRAY_LEN(requests)), 0);
	assert_int_equal(neep_driver_wait_for(f.driver, &requests[0], 100 * NEEP_NS_PER_MS), -ETIMEDOUT);
	int fd = connect_again(&f);
	neep_display_peer_pause(neep_driver_display(f.driver), false);
	assert_int_equal(neep_driver_wait_for(f.driver, &requests[0], AWAIT_NS), -EPIPE);
	assert_int_equal(neep_driver_reconnect(f.driver, fd, NULL), 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(requests); i++) {
		assert_int_equal(neep_driver_wait(f.driver, &requests[i]), 0);
		assert_int_equal(info[i].hdr.type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	for (uint32_t i = 1; i <= 500; i++) {
		assert_int_equal(create(f.driver, i), OK);
	}
	close_driver(&f);
}

static void split_requests_in_flight_survive_the_back_end(void **state) {
	(void)state;
	run_inflight(false);
}

static void packed_requests_in_flight_survive_the_back_end(void **state) {
	(void)state;
	run_inflight(true);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(every_ring_format_works),
		fd_checked_test(rings_go_on_after_a_pause),
		fd_checked_test(reset_forgets_resources),
		fd_checked_test(request_waits_while_the_rings_are_stopped),
		fd_checked_test(abandoned_request_is_done_and_does_no_harm),
		fd_checked_test(many_threads_share_a_small_ring),
		fd_checked_test(many_threads_and_a_service_thread_share_a_ring),
		fd_checked_test(many_threads_that_spin_share_a_ring),
		fd_checked_test(dispatch_completes_without_a_waiter),
		fd_checked_test(driver_goes_on_with_a_new_back_end),
		fd_checked_test(imported_files_are_memory_of_each_back_end),
		fd_checked_test(imports_are_refused_when_they_cannot_be),
		fd_checked_test(reset_starts_a_fresh_inflight_area),
		fd_checked_test(broken_ring_is_told_on_its_err_fd),
		fd_checked_test(split_requests_in_flight_survive_the_back_end),
		fd_checked_test(packed_requests_in_flight_survive_the_back_end),
	};
	return cmocka_run_group_tests_name("driver over our back-end", tests, NULL, NULL);
}
