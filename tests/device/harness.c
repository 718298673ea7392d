/* The life of a check: a device process and a driver, from start to a clean end. */
#include "device/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dirent.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "device/device_process.h"
#include "device/harness_internal.h"
#include "support/fd_check.h"
#include "util/fd.h"

/* What a device may write to its log, bytes at once and a second: guest mistakes are logged at a limited rate. */
#define LOG_BURST (64 << 10)
#define LOG_RATE  (8 << 10)

struct tracked_buffer {
	struct neep_list link; // check.buffers
	struct neep_guest_buffer base;
};

static struct neep_list open_checks = { &open_checks, &open_checks };

struct check_options check_options(void) {
	struct check_options options = {
		.driver = neep_driver_default_options,
		.device = { .max_outputs = 2, .xres = 1280, .yres = 800, .quota = neep_device_default_quota },
		.display = "headless",
		.second_width = 1024,
		.second_height = 768,
	};
	const char *ring = getenv("NEEP_TEST_RING");
	if (ring != NULL && strcmp(ring, "packed") == 0) {
		options.driver.features |= CHECK_BIT(VIRTIO_F_RING_PACKED);
	}
	options.driver.queue_size[NEEP_DRIVER_CONTROLQ] = 64;
	options.driver.queue_size[NEEP_DRIVER_CURSORQ] = 16;
	options.driver.memory.size = UINT64_C(256) << 20;
	options.driver.timeout_ns = CHECK_TIMEOUT_NS;
	return options;
}

static void arrange_outputs(struct check *check) {
	const struct check_options *options = &check->options;
	if (options->second_width == 0 || options->device.max_outputs < 2) {
		return;
	}
	if (options->driver.has_display) {
		neep_display_peer_set_mode(
			check_display(check), 1, options->second_width, options->second_height);
	} else if (strcmp(options->display, "headless") == 0) {
		uint32_t events = VIRTIO_GPU_EVENT_DISPLAY;
		check_set_output(check, 1, options->second_width, options->second_height);
		/* A driver starts by asking for the outputs, and then no event is left. */
		struct virtio_gpu_resp_display_info info;
		assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		assert_int_equal(
			neep_driver_write_config(check->driver,
				offsetof(struct virtio_gpu_config, events_clear), &events, sizeof(events)),
			0);
	}
}

struct check *check_open(const struct check_options *options) {
	struct check *check = calloc(1, sizeof(*check));
	assert_non_null(check);
	check->options = options != NULL ? *options : check_options();
	check->options.driver.has_display = strcmp(check->options.display, "qemu") == 0;
	check->options.driver.display_width = check->options.device.xres;
	check->options.driver.display_height = check->options.device.yres;
	check->opened_ns = neep_clock_ns();
	check->pid = -1;
	check->fake_fd = -1;
	check->control_fd = -1;
	check->log_fd = -1;
	neep_list_init(&check->buffers);
	neep_list_append(&open_checks, &check->link);
	snprintf(check->folder, sizeof(check->folder), "/tmp/neep-check-XXXXXX");
	assert_non_null(mkdtemp(check->folder));
	struct neep_error error = { 0 };
	int fd = check_start_device(check);
	check->driver = neep_driver_create(fd, &check->options.driver, &error);
	if (check->driver == NULL || neep_driver_start(check->driver, &error) < 0) {
		fail_msg("no driver: %s", error.text);
	}
	check_control_connect(check);
	arrange_outputs(check);
	return check;
}

static void show_log(struct check *check) {
	char text[4096];
	ssize_t got;
	off_t at = 0;
	while (check->log_fd >= 0 && (got = pread(check->log_fd, text, sizeof(text), at)) > 0) {
		fwrite(text, 1, (size_t)got, stderr);
		at += got;
	}
}

/* Waits for the device process; kills it when it takes too long. Returns its status as waitpid() has it. */
static int reap(struct check *check) {
	int status = -1;
	int64_t deadline = neep_clock_ns() + CHECK_TIMEOUT_NS;
	for (;;) {
		pid_t pid = waitpid(check->pid, &status, WNOHANG);
		if (pid != 0) {
			break;
		}
		if (neep_clock_ns() >= deadline) {
			kill(check->pid, SIGKILL);
			waitpid(check->pid, &status, 0);
			break;
		}
		struct timespec pause = { .tv_nsec = NEEP_NS_PER_MS };
		nanosleep(&pause, NULL);
	}
	check->pid = -1;
	return status;
}

static void destroy(struct check *check) {
	if (check->pid > 0) {
		kill(check->pid, SIGKILL);
		reap(check);
	}
	neep_driver_destroy(check->driver);
	neep_list_for_each_safe (buffer, &check->buffers, struct tracked_buffer, link) {
		free(buffer->base.pieces);
		free(buffer);
	}
	neep_close_fd(&check->fake_fd);
	neep_close_fd(&check->control_fd);
	neep_close_fd(&check->log_fd);
	char control_path[sizeof(check->folder) + sizeof("/control")];
	snprintf(control_path, sizeof(control_path), "%s/control", check->folder);
	unlink(control_path);
	rmdir(check->folder);
	neep_list_remove(&check->link);
	free(check);
}

static void free_buffers(struct check *check) {
	neep_list_for_each_safe (buffer, &check->buffers, struct tracked_buffer, link) {
		check_free(check, &buffer->base);
	}
}

void check_close(struct check *check) {
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		struct neep_queue *queue = neep_driver_queue(check->driver, (enum neep_driver_queue)i);
		assert_int_equal(neep_queue_outstanding(queue), 0);
		assert_false(neep_queue_is_broken(queue));
	}
	free_buffers(check);
	neep_driver_destroy(check->driver);
	check->driver = NULL;
	struct stat log = { 0 };
	int status = reap(check);
	if (check->log_fd >= 0) {
		fstat(check->log_fd, &log);
	}
	if (status != 0) {
		show_log(check);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	int64_t seconds = (neep_clock_ns() - check->opened_ns) / NEEP_NS_PER_S;
	assert_in_range(log.st_size, 0, LOG_BURST + seconds * LOG_RATE);
	destroy(check);
}

static int fds_before;

int check_setup(void **state) {
	(void)state;
	fds_before = fd_check_count();
	return 0;
}

int check_teardown(void **state) {
	(void)state;
	bool had_failed = !neep_list_is_empty(&open_checks);
	neep_list_for_each_safe (check, &open_checks, struct check, link) {
		show_log(check);
		destroy(check);
	}
	/* What a failed case leaves open is not the device's doing. */
	return had_failed || fd_check_count() == fds_before ? 0 : -1;
}

struct neep_driver *check_driver(struct check *check) {
	return check->driver;
}

struct neep_display_peer *check_display(struct check *check) {
	return neep_driver_display(check->driver);
}

pid_t check_pid(const struct check *check) {
	return check->pid;
}

uint32_t check_open_fds(const struct check *check) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", check->pid);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	uint32_t count = 0;
	while (readdir(folder) != NULL) {
		count++;
	}
	closedir(folder);
	return count - 2; // . and ..
}

uint64_t check_rss(const struct check *check) {
	char path[64];
	unsigned long long size, resident;
	snprintf(path, sizeof(path), "/proc/%d/statm", check->pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the fake component ---- */

static struct neep_fake_counts order_fake(struct check *check, const struct fake_order *order) {
	struct neep_fake_counts counts;
	assert_int_equal(write(check->fake_fd, order, sizeof(*order)), sizeof(*order));
	assert_int_equal(read(check->fake_fd, &counts, sizeof(counts)), sizeof(counts));
	return counts;
}

void check_fake_hold(struct check *check, uint32_t ctx_id, uint32_t ring, bool on) {
	order_fake(check, &(struct fake_order){ FAKE_ORDER_HOLD, ctx_id, ring, on });
}

void check_fake_complete(struct check *check, uint32_t ctx_id, uint32_t ring, uint32_t count) {
	order_fake(check, &(struct fake_order){ FAKE_ORDER_COMPLETE, ctx_id, ring, count });
}

void check_fake_complete_last(struct check *check, uint32_t ctx_id, uint32_t ring) {
	order_fake(check, &(struct fake_order){ FAKE_ORDER_COMPLETE_LAST, ctx_id, ring, 0 });
}

void check_fake_refuse(struct check *check, enum neep_fake_call what, int error, uint32_t count) {
	order_fake(check, &(struct fake_order){ FAKE_ORDER_REFUSE, (uint32_t)what, (uint32_t)error, count });
}

/* ---- what the control socket knows ---- */

int check_set_output(struct check *check, uint32_t scanout_id, uint32_t width, uint32_t height) {
	char line[64], reply[256];
	snprintf(line, sizeof(line), "resize %u %ux%u", scanout_id, width, height);
	check_control(check, -1, line, reply, sizeof(reply));
	return strcmp(reply, "ok") == 0 ? 0 : -EINVAL;
}

static uint64_t number_of(const char *json, const char *name) {
	char key[32];
	snprintf(key, sizeof(key), "\"%s\":", name);
	const char *at = strstr(json, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

struct check_counts check_counts(struct check *check) {
	char json[512];
	check_control(check, -1, "stats", json, sizeof(json));
	return (struct check_counts){
		.device = {
			.commands = number_of(json, "commands"),
			.errors = number_of(json, "errors"),
			.fences = number_of(json, "fences"),
			.resources = (uint32_t)number_of(json, "resources"),
			.contexts = (uint32_t)number_of(json, "contexts"),
			.maps = (uint32_t)number_of(json, "maps"),
			.bytes = number_of(json, "bytes"),
			.pending = (uint32_t)number_of(json, "pending"),
		},
		.fake = order_fake(check, &(struct fake_order){ .what = FAKE_ORDER_COUNTS }),
	};
}

/* ---- guest memory ---- */

static struct tracked_buffer *track(struct check *check) {
	struct tracked_buffer *buffer = calloc(1, sizeof(*buffer));
	assert_non_null(buffer);
	neep_list_append(&check->buffers, &buffer->link);
	return buffer;
}

struct neep_guest_buffer *check_alloc(struct check *check, uint64_t size) {
	struct tracked_buffer *buffer = track(check);
	assert_int_equal(neep_driver_alloc(check->driver, size, &buffer->base), 0);
	return &buffer->base;
}

struct neep_guest_buffer *check_alloc_scattered(struct check *check, uint64_t size) {
	struct tracked_buffer *buffer = track(check);
	assert_int_equal(neep_driver_alloc_scattered(check->driver, size, &buffer->base), 0);
	return &buffer->base;
}

void check_free(struct check *check, struct neep_guest_buffer *base) {
	struct tracked_buffer *buffer = neep_container_of(base, struct tracked_buffer, base);
	neep_driver_free(check->driver, base);
	neep_list_remove(&buffer->link);
	free(buffer);
}

static uint32_t piece_count(const struct neep_guest_buffer *buffer) {
	return buffer->pieces != NULL ? buffer->piece_count : 1;
}

void check_write(const struct neep_guest_buffer *buffer, uint64_t offset, const void *from, size_t len) {
	const struct neep_guest_piece *pieces = neep_guest_pieces(buffer);
	const uint8_t *bytes = from;
	for (uint32_t i = 0; i < piece_count(buffer) && len > 0; i++) {
		if (offset >= pieces[i].len) {
			offset -= pieces[i].len;
			continue;
		}
		size_t part = pieces[i].len - offset < len ? (size_t)(pieces[i].len - offset) : len;
		memcpy((uint8_t *)pieces[i].host + offset, bytes, part);
		bytes += part;
		len -= part;
		offset = 0;
	}
	assert_int_equal(len, 0);
}

struct virtio_gpu_mem_entry *check_entries(const struct neep_guest_buffer *buffer, size_t *count) {
	const struct neep_guest_piece *pieces = neep_guest_pieces(buffer);
	*count = piece_count(buffer);
	struct virtio_gpu_mem_entry *entries = calloc(*count, sizeof(*entries));
	assert_non_null(entries);
	for (size_t i = 0; i < *count; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){ .addr = pieces[i].guest_addr,
			.length = (uint32_t)pieces[i].len };
	}
	return entries;
}
