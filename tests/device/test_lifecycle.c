/* Drivers that come, go and die, and devices that die, checks 135, 138 and 140; and two devices in one process. */
#include "device/harness.h"
#include "device/harness_internal.h"
#include "device/threed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "daemon/daemon.h"
#include "driver/gpu.h"
#include "util/fd.h"
#include "vhost_user/protocol.h"

#define PAGE   UINT64_C(4096)
#define WINDOW (UINT64_C(1) << 20)

/* ---- drivers that come and go ---- */

/* Everything that a driver can leave behind. */
static void leave_things(struct check *check, struct check_fenced fenced[static 2]) {
	const struct neep_rect all = { .width = 64, .height = 64 };
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64, 7);
	struct neep_guest_buffer *image = check_image(check, 1, &picture);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, 64 * 64 * 4);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	assert_int_equal(check_create_blob(check, 2, memory, 64 * 64 * 4), CHECK_OK);
	const struct virtio_gpu_update_cursor cursor = { .hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR,
		.resource_id = 1 };
	check_cursor(check, &cursor);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_host_blob(check, 1, 3, PAGE, 0x11);
	assert_int_equal(check_map(check, 3, 0), CHECK_OK);
	assert_int_equal(check_create_3d(check, 4, 64, 64), CHECK_OK);
	assert_int_equal(check_ctx_attach(check, 1, 4), CHECK_OK);
	check_hold(check, 1, 1, CHECK_ALL_RINGS, true);
	check_hold(check, 1, 0, CHECK_GLOBAL, true);
	check_fenced_stream(check, &fenced[0], 1, CHECK_GLOBAL, 1);
	check_fenced_stream(check, &fenced[1], 1, 4, 2);
	check_fenced_waits(check, &fenced[1]);
	check_picture_free(&picture);
	check_free(check, image);
	check_free(check, memory);
}

/* Mappings go when the front-end has answered, which the reset does not wait for. */
static struct check_counts counts_without_maps(struct check *check) {
	await_turning(check_counts(check).device.maps == 0, check_sleep(check, NEEP_NS_PER_MS));
	return check_counts(check);
}

static void await_pending(struct check *check, uint32_t count) {
	await_turning(check_counts(check).device.pending == count, check_sleep(check, NEEP_NS_PER_MS));
}

static void check_135_device_stays_small_when_drivers_come_and_go_a_thousand_times(void **state) {
	(void)state;
	struct check_options options = check_3d_options(WINDOW);
	struct check *check = check_open(&options);
	uint64_t rss = 0;
	uint32_t fds = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		struct check_fenced fenced[2];
		leave_things(check, fenced);
		check_restart(check);
		for (size_t k = 0; k < NEEP_ARRAY_LEN(fenced); k++) {
			check_forget(check, &fenced[k].request);
			check_release(check, &fenced[k].request);
		}
		struct check_counts counts = counts_without_maps(check);
		assert_int_equal(counts.device.resources, 0);
		assert_int_equal(counts.device.contexts, 0);
		assert_int_equal(counts.device.maps, 0);
		assert_int_equal(counts.device.pending, 0);
		assert_int_equal(counts.fake.blobs + counts.fake.textures + counts.fake.attached, 0);
		check_shows_nothing(check, 0);
		if (i == 100) {
			rss = check_rss(check);
			fds = check_open_fds(check);
		}
	}
	/* A leak would be hundreds; one may be on its way out. */
	assert_in_range(check_open_fds(check), 0, fds + 4);
	assert_in_range(check_rss(check), 0, rss + CHECK_RSS_SLACK);
	check_close(check);
}

/* Not a reset: what is out stays out, and is answered after the pause. */
static void check_135_pending_fence_survives_when_the_rings_are_paused(void **state) {
	(void)state;
	struct check_options options = check_3d_options(WINDOW);
	struct check *check = check_open(&options);
	struct neep_driver *driver = check_driver(check);
	struct neep_error error;
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_hold(check, 1, 1, 1, true);
	for (uint32_t i = 0; i < 20; i++) {
		struct virtio_gpu_cmd_submit cmd = { .hdr.type = VIRTIO_GPU_CMD_SUBMIT_3D };
		struct virtio_gpu_ctrl_hdr reply;
		check_fence_set(&cmd.hdr, 1, 1, i);
		struct neep_driver_request request = {
			.cmd = &cmd, .cmd_len = sizeof(cmd), .reply = &reply, .reply_len = sizeof(reply)
		};
		assert_int_equal(neep_driver_submit(driver, &request, 1), 0);
		await_pending(check, 1);
		assert_false(neep_driver_poll(driver, &request));
		assert_int_equal(neep_driver_stop(driver), 0);
		/* Done while the rings stand still. */
		check_fake_complete(check, 1, 1, 1);
		assert_int_equal(neep_driver_start(driver, &error), 0);
		assert_int_equal(neep_driver_wait(driver, &request), 0);
		assert_int_equal(request.used_len, sizeof(reply));
		assert_int_equal(reply.type, CHECK_OK);
		assert_int_equal(reply.fence_id, i);
	}
	check_close(check);
}

/* GET_DISPLAY_INFO waits for a display that does not answer. */
static void ask_hanging_display(struct check *check, struct check_fenced *fenced) {
	struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	check_fence_set(&cmd, 0, CHECK_GLOBAL, 1);
	neep_display_peer_pause(check_display(check), true);
	check_fenced_send(check, fenced, &cmd, sizeof(cmd));
	check_sleep(check, 2 * NEEP_NS_PER_MS);
	assert_false(check_poll(check, &fenced->request));
}

static void cursor_moves_when_the_control_queue_waits_for_a_display_that_hangs(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct check_fenced fenced;
	const struct virtio_gpu_update_cursor move = { .hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR };
	ask_hanging_display(check, &fenced);
	for (uint32_t i = 0; i < 100; i++) {
		check_cursor(check, &move);
	}
	assert_false(check_poll(check, &fenced.request));
	neep_display_peer_pause(check_display(check), false);
	assert_int_equal(check_fenced_finish(check, &fenced), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	check_close(check);
}

static void check_135_device_works_when_the_reset_comes_while_a_display_hangs(void **state) {
	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct check_options options = check_options();
		options.display = "qemu";
		struct check *check = check_open(&options);
		struct check_fenced fenced;
		ask_hanging_display(check, &fenced);
		if (i % 2 == 0) {
			neep_display_peer_pause(check_display(check), false);
		}
		check_reset(check);
		neep_display_peer_pause(check_display(check), false);
		struct neep_error error;
		assert_int_equal(neep_driver_start(check_driver(check), &error), 0);
		check_forget(check, &fenced.request);
		check_release(check, &fenced.request);
		check_close(check);
	}
}

static void works_with_rings_of(uint32_t size, uint64_t without) {
	struct check_options options = check_3d_options(WINDOW);
	options.driver.queue_size[NEEP_DRIVER_CONTROLQ] = size;
	options.driver.queue_size[NEEP_DRIVER_CURSORQ] = size == 2 ? 4 : size / 2;
	options.driver.features &= ~without;
	struct check *check = check_open(&options);
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64, size);
	const struct neep_rect all = { .width = 64, .height = 64 };
	check_image(check, 1, &picture);
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	/* Around the ring a few times, as full as it gets. */
	struct check_request *requests = calloc(3 * size, sizeof(*requests));
	assert_non_null(requests);
	const struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	for (uint32_t i = 0; i < 3 * size; i++) {
		requests[i] = (struct check_request){ .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 408 };
	}
	check_submit_many(check, requests, 3 * size);
	for (uint32_t i = 0; i < 3 * size; i++) {
		check_wait(check, &requests[i]);
		assert_int_equal(check_reply(check, &requests[i]), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		check_release(check, &requests[i]);
	}
	const struct virtio_gpu_update_cursor move = { .hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR };
	for (uint32_t i = 0; i < 2 * size; i++) {
		check_cursor(check, &move);
	}
	free(requests);
	check_picture_free(&picture);
	check_close(check);
}

static bool is_packed(void) {
	return (check_options().driver.features & CHECK_BIT(VIRTIO_F_RING_PACKED)) != 0;
}

static void check_138_device_works_when_rings_have_any_size(void **state) {
	static const uint32_t sizes[] = { 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 };
	static const uint32_t odd_sizes[] = { 3, 5, 7, 63, 100, 1000 };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		works_with_rings_of(sizes[i], 0);
	}
	for (size_t i = 0; is_packed() && i < NEEP_ARRAY_LEN(odd_sizes); i++) {
		works_with_rings_of(odd_sizes[i], 0);
	}
}

static void check_138_device_works_when_the_driver_takes_few_features(void **state) {
	const uint64_t indirect = CHECK_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	const uint64_t event_idx = CHECK_BIT(VIRTIO_RING_F_EVENT_IDX);
	(void)state;
	/* Three descriptors are the longest chain here. */
	works_with_rings_of(4, indirect);
	works_with_rings_of(256, indirect);
	works_with_rings_of(2, event_idx);
	works_with_rings_of(64, event_idx);
	works_with_rings_of(64, indirect | event_idx);
}

/* ---- a large image ---- */

static double cpu_seconds(pid_t pid) {
	clockid_t clock;
	struct timespec ts;
	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / NEEP_NS_PER_S;
}

/* Of the device's processor time: others have theirs. */
static double transfer_seconds(struct check *check, const struct neep_rect *rect, uint64_t offset) {
	double start = cpu_seconds(check->pid);
	assert_int_equal(check_transfer(check, 1, rect, offset), CHECK_OK);
	return cpu_seconds(check->pid) - start;
}

static void check_140_update_of_a_part_is_quick_when_the_image_is_huge_and_scattered(void **state) {
	const uint32_t side = 8192;
	static const struct neep_rect rects[] = { { .x = 4000, .width = 64, .height = 8192 },
		{ .x = 1, .y = 3, .width = 4096, .height = 8000 } };
	(void)state;
	struct check_options options = check_options();
	options.driver.memory.size = UINT64_C(1) << 30;
	struct check *check = check_open(&options);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, (uint64_t)side * side * 4);
	assert_int_equal(check_create_2d(check, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, side, side), CHECK_OK);
	assert_int_equal(check_attach(check, 1, memory), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rects); i++) {
		uint64_t offset = ((uint64_t)rects[i].y * side + rects[i].x) * 4;
		/* The first time the kernel makes the pages. */
		double cold = transfer_seconds(check, &rects[i], offset);
		double warm = transfer_seconds(check, &rects[i], offset);
		print_message("# %u x %u of 8192 x 8192: %.1f ms, first %.1f ms\n", rects[i].width,
			rects[i].height, warm * 1e3, cold * 1e3);
		assert_true(warm < 1.0);
	}
	check_close(check);
}

/* ---- devices that die ---- */

static void kill_device(struct check *check) {
	int status;
	assert_int_equal(kill(check->pid, SIGKILL), 0);
	assert_int_equal(waitpid(check->pid, &status, 0), check->pid);
	check->pid = -1;
	neep_close_fd(&check->fake_fd);
	neep_close_fd(&check->control_fd);
	neep_close_fd(&check->log_fd);
}

struct outstanding {
	struct neep_driver_request request;
	struct virtio_gpu_ctrl_hdr cmd;
	struct virtio_gpu_cmd_submit submit;
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_resp_display_info info;
	} reply;
};

static void send_submit(struct check *check, struct outstanding *out, int ring, uint64_t fence_id) {
	*out = (struct outstanding){ .submit.hdr.type = VIRTIO_GPU_CMD_SUBMIT_3D };
	check_fence_set(&out->submit.hdr, 1, ring, fence_id);
	out->request = (struct neep_driver_request){
		.cmd = &out->submit, .cmd_len = sizeof(out->submit), .reply = &out->reply, .reply_len = 24
	};
	assert_int_equal(neep_driver_submit(check_driver(check), &out->request, 1), 0);
}

static void send_info(struct check *check, struct outstanding *out, uint64_t fence_id) {
	*out = (struct outstanding){ .cmd.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	check_fence_set(&out->cmd, 0, CHECK_GLOBAL, fence_id);
	out->request = (struct neep_driver_request){
		.cmd = &out->cmd, .cmd_len = sizeof(out->cmd), .reply = &out->reply, .reply_len = 408
	};
	assert_int_equal(neep_driver_submit(check_driver(check), &out->request, 1), 0);
}

static void assert_answer(struct check *check, struct outstanding *out, uint32_t type, uint64_t fence_id) {
	assert_int_equal(neep_driver_wait(check_driver(check), &out->request), 0);
	assert_int_equal(out->request.used_len, type == VIRTIO_GPU_RESP_OK_DISPLAY_INFO ? 408 : 24);
	assert_int_equal(out->reply.hdr.type, type);
	assert_int_equal(out->reply.hdr.flags & VIRTIO_GPU_FLAG_FENCE, VIRTIO_GPU_FLAG_FENCE);
	assert_int_equal(out->reply.hdr.fence_id, fence_id);
}

static void revive_device(struct check *check) {
	struct neep_error error = { .code = 0 };
	int fd = check_start_device(check);
	if (neep_driver_reconnect(check_driver(check), fd, &error) < 0) {
		fail_msg("no connection to the new device: %s", error.text);
	}
	check_control_connect(check);
}

static void device_answers_what_its_predecessor_left_when_that_was_killed(void **state) {
	(void)state;
	struct check_options options = check_3d_options(WINDOW);
	options.driver.protocol_features |= CHECK_BIT(NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	struct check *check = check_open(&options);
	for (uint32_t round = 0; round < 5; round++) {
		struct outstanding submits[20], infos[4];
		assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
		check_host_blob(check, 1, 3, PAGE, 0x11);
		/* What the predecessor mapped is still there: the new one knows nothing of it. */
		assert_int_equal(check_map(check, 3, round * PAGE), CHECK_OK);
		check_hold(check, 1, 1, CHECK_ALL_RINGS, true);
		check_hold(check, 1, 0, CHECK_GLOBAL, true);
		for (size_t i = 0; i < NEEP_ARRAY_LEN(submits); i++) {
			send_submit(check, &submits[i], (int)i % 3, 100 + i);
		}
		for (size_t i = 0; i < NEEP_ARRAY_LEN(infos); i++) {
			send_info(check, &infos[i], 200 + i);
		}
		assert_int_equal(
			neep_driver_wait_for(check_driver(check), &infos[3].request, 2 * NEEP_NS_PER_MS),
			-ETIMEDOUT);
		/* Some are answered already, out of their order. */
		check_fake_complete(check, 1, 2, 2);
		assert_answer(check, &submits[2], CHECK_OK, 102);
		assert_answer(check, &submits[5], CHECK_OK, 105);
		kill_device(check);
		revive_device(check);
		for (size_t i = 0; i < NEEP_ARRAY_LEN(submits); i++) {
			if (i != 2 && i != 5) {
				assert_answer(check, &submits[i], CHECK_BAD_CONTEXT, 100 + i);
			}
		}
		for (size_t i = 0; i < NEEP_ARRAY_LEN(infos); i++) {
			assert_answer(check, &infos[i], VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 200 + i);
		}
		assert_int_equal(check_unref(check, 3), CHECK_BAD_RESOURCE);
		assert_int_equal(check_create_2d(check, 9, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
		assert_int_equal(check_unref(check, 9), CHECK_OK);
	}
	check_close(check);
}

static void outstanding_requests_fail_when_the_device_was_killed_and_nothing_recorded_them(void **state) {
	(void)state;
	struct check_options options = check_3d_options(0);
	struct check *check = check_open(&options);
	struct outstanding out;
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_hold(check, 1, 1, 1, true);
	send_submit(check, &out, 1, 1);
	await_pending(check, 1);
	assert_false(neep_driver_poll(check_driver(check), &out.request));
	kill_device(check);
	assert_int_equal(neep_driver_wait(check_driver(check), &out.request), -EPIPE);
	revive_device(check);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_close(check);
}

/* ---- devices without the harness: served over the other ends of `fds`, one thread each ---- */

struct server {
	pthread_t thread;
	struct neep_options options;
	struct neep_daemon *daemon;
	int result;
};

static void *serve(void *data) {
	struct server *server = data;
	server->result = neep_daemon_run(server->daemon);
	return NULL;
}

static int serve_all(const int *fds, size_t count, const char *display) {
	static const struct neep_component_impl *const extra[] = { &neep_fake_impl };
	struct server servers[2] = { 0 };
	struct neep_error error;
	int result = 0;
	neep_log_set_level(NEEP_LOG_ERROR);
	for (size_t i = 0; i < count; i++) {
		servers[i].options = (struct neep_options){
			.fd = fds[i],
			.display = display,
			.capset_mask = NEEP_FAKE_CAPSET_MASK,
			.device = { .max_outputs = 1,
				.xres = 640,
				.yres = 480,
				.hostmem = WINDOW,
				.quota = neep_device_default_quota },
			.has_mem_slots = true,
		};
		servers[i].daemon = neep_daemon_create_with(&servers[i].options, extra, 1, &error);
		if (servers[i].daemon == NULL ||
			pthread_create(&servers[i].thread, NULL, serve, &servers[i]) != 0) {
			return EXIT_FAILURE;
		}
	}
	for (size_t i = 0; i < count; i++) {
		pthread_join(servers[i].thread, NULL);
		neep_daemon_destroy(servers[i].daemon);
		result |= servers[i].result;
	}
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Forks a process with `count` devices; fds become the front-ends' ends. */
static pid_t fork_devices(int *fds, size_t count, const char *display) {
	int back_ends[2];
	for (size_t i = 0; i < count; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		fds[i] = pair[0];
		back_ends[i] = pair[1];
	}
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (size_t i = 0; i < count; i++) {
			close(fds[i]);
		}
		exit(serve_all(back_ends, count, display));
	}
	for (size_t i = 0; i < count; i++) {
		close(back_ends[i]);
	}
	return pid;
}

/* The exit status, or -1 when there is none in time. */
static int exit_status(pid_t pid) {
	int status;
	for (int64_t end = neep_clock_ns() + CHECK_TIMEOUT_NS; neep_clock_ns() < end;) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		struct timespec pause = { .tv_nsec = NEEP_NS_PER_MS };
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static struct neep_driver *drive(int owned_fd, const char *display) {
	struct neep_driver_options options = check_options().driver;
	struct neep_error error;
	options.has_display = strcmp(display, "qemu") == 0;
	struct neep_driver *driver = neep_driver_create(owned_fd, &options, &error);
	if (driver == NULL || neep_driver_start(driver, &error) < 0) {
		neep_driver_destroy(driver);
		return NULL;
	}
	return driver;
}

/* Draws a picture of the seed into resource 1 and shows it. */
static void draw(struct neep_driver *driver, uint32_t seed) {
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 48, seed);
	const struct virtio_gpu_rect all = { .width = 64, .height = 48 };
	struct neep_guest_buffer memory;
	assert_int_equal(neep_driver_alloc(driver, 64 * 48 * 4, &memory), 0);
	check_write(&memory, 0, picture.bytes, 64 * 48 * 4);
	assert_int_equal(neep_cmd_create_2d(driver, 1, picture.format, 64, 48), CHECK_OK);
	assert_int_equal(neep_cmd_attach_backing(driver, 1, &memory), CHECK_OK);
	assert_int_equal(neep_cmd_transfer_to_host_2d(driver, 1, &all, 0), CHECK_OK);
	assert_int_equal(neep_cmd_set_scanout(driver, 0, 1, &all), CHECK_OK);
	assert_int_equal(neep_cmd_flush(driver, 1, &all), CHECK_OK);
	assert_int_equal(neep_display_peer_wait_updates(neep_driver_display(driver), 1, CHECK_TIMEOUT_NS), 0);
	for (uint32_t i = 0; i < 64 * 48; i++) {
		uint32_t pixel = neep_display_peer_pixel(neep_driver_display(driver), 0, i % 64, i / 64);
		assert_int_equal(pixel & 0xffffff, picture.xrgb[i]);
	}
	check_picture_free(&picture);
}

/* A host blob full of `fill` in the window. No assertions: also for a process of its own. */
static bool map(struct neep_driver *driver, uint8_t fill) {
	struct neep_fake_stream stream = { .count = 0 };
	const struct neep_cmd_blob blob = {
		.ctx_id = 1,
		.resource_id = 2,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = 7,
		.size = PAGE,
	};
	uint32_t map_info;
	neep_fake_stream_blob(&stream, 7, PAGE, 1, fill);
	return neep_cmd_ctx_create(driver, 1, NEEP_FAKE_CAPSET, NULL) == CHECK_OK &&
	       neep_cmd_submit_3d(driver, 1, stream.words, (uint32_t)neep_fake_stream_size(&stream)) ==
		       CHECK_OK &&
	       neep_cmd_create_blob(driver, &blob) == CHECK_OK &&
	       neep_cmd_map_blob(driver, 2, 0, &map_info) == VIRTIO_GPU_RESP_OK_MAP_INFO;
}

static uint8_t first_of_window(struct neep_driver *driver) {
	uint64_t size;
	return *(volatile uint8_t *)neep_driver_window(driver, &size);
}

static void devices_share_nothing_when_two_are_in_one_process(void **state) {
	int fds[2];
	(void)state;
	pid_t pid = fork_devices(fds, 2, "qemu");
	struct neep_driver *drivers[2] = { drive(fds[0], "qemu"), drive(fds[1], "qemu") };
	assert_non_null(drivers[0]);
	assert_non_null(drivers[1]);
	for (uint32_t i = 0; i < 2; i++) {
		draw(drivers[i], i + 1);
		assert_true(map(drivers[i], (uint8_t)(i + 1)));
		assert_int_equal(first_of_window(drivers[i]), i + 1);
	}
	/* The end of the one is nothing to the other. */
	assert_int_equal(neep_driver_reset(drivers[0]), 0);
	assert_int_equal(first_of_window(drivers[1]), 2);
	neep_driver_destroy(drivers[0]);
	assert_int_equal(neep_cmd_unmap_blob(drivers[1], 2), CHECK_OK);
	assert_int_equal(neep_cmd_ctx_destroy(drivers[1], 1), CHECK_OK);
	assert_int_equal(neep_cmd_unref(drivers[1], 1), CHECK_OK);
	neep_driver_destroy(drivers[1]);
	assert_int_equal(exit_status(pid), 0);
}

/* A guest at work, until somebody kills it. */
static void work_for_ever(int fd, int started_fd, const char *display) {
	struct neep_driver *driver = drive(fd, display);
	struct neep_guest_buffer memory;
	const struct virtio_gpu_rect all = { .width = 1024, .height = 1024 };
	uint32_t map_info;
	if (driver == NULL || neep_driver_alloc_scattered(driver, 1024 * 1024 * 4, &memory) < 0) {
		return;
	}
	neep_cmd_create_2d(driver, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1024, 1024);
	neep_cmd_attach_backing(driver, 1, &memory);
	neep_cmd_set_scanout(driver, 0, 1, &all);
	if (!map(driver, 1) || write(started_fd, "", 1) != 1) {
		return;
	}
	for (;;) {
		neep_cmd_transfer_to_host_2d(driver, 1, &all, 0);
		neep_cmd_flush(driver, 1, &all);
		neep_cmd_unmap_blob(driver, 2);
		neep_cmd_map_blob(driver, 2, 0, &map_info);
	}
}

static void kill_guest(const char *display, int64_t after_ns) {
	int fd, started[2];
	char byte;
	pid_t device = fork_devices(&fd, 1, display);
	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	pid_t guest = fork();
	assert_true(guest >= 0);
	if (guest == 0) {
		work_for_ever(fd, started[1], display);
		_exit(EXIT_FAILURE);
	}
	close(fd);
	close(started[1]);
	assert_int_equal(read(started[0], &byte, 1), 1);
	close(started[0]);
	struct timespec pause = { .tv_nsec = after_ns };
	nanosleep(&pause, NULL);
	assert_int_equal(kill(guest, SIGKILL), 0);
	assert_int_equal(waitpid(guest, NULL, 0), guest);
	assert_int_equal(exit_status(device), 0);
}

static void device_ends_well_when_the_front_end_is_killed_at_work(void **state) {
	(void)state;
	for (int64_t i = 0; i < 30; i++) {
		kill_guest(i % 2 == 0 ? "headless" : "qemu", i * 217000);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(check_135_device_stays_small_when_drivers_come_and_go_a_thousand_times),
		device_check(check_135_pending_fence_survives_when_the_rings_are_paused),
		device_check(cursor_moves_when_the_control_queue_waits_for_a_display_that_hangs),
		device_check(check_135_device_works_when_the_reset_comes_while_a_display_hangs),
		device_check(check_138_device_works_when_rings_have_any_size),
		device_check(check_138_device_works_when_the_driver_takes_few_features),
		device_check(check_140_update_of_a_part_is_quick_when_the_image_is_huge_and_scattered),
		device_check(device_answers_what_its_predecessor_left_when_that_was_killed),
		device_check(outstanding_requests_fail_when_the_device_was_killed_and_nothing_recorded_them),
		device_check(devices_share_nothing_when_two_are_in_one_process),
		device_check(device_ends_well_when_the_front_end_is_killed_at_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
