/* Checks 35 to 45: 2D resources. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "driver/frontend.h"
#include "support/await.h"
#include "util/fd.h"
#include "util/macros.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define MIB    (UINT64_C(1) << 20)

static void check_035_id_zero(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 0, FORMAT, 4, 4), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_036_duplicate_id(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 48, 40, 36);
	struct neep_rect all = { .width = 48, .height = 40 };
	check_image(check, 36, &picture);
	assert_int_equal(check_create_2d(check, 36, FORMAT, 64, 64), CHECK_BAD_RESOURCE);
	assert_int_equal(check_set_scanout(check, 0, 36, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 36, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	check_picture_free(&picture);
	check_close(check);
}

static void check_037_duplicate_of_another_kind(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, 8192);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 4, 4), CHECK_OK);
	assert_int_equal(check_create_blob(check, 1, memory, 8192), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_blob(check, 2, memory, 8192), CHECK_OK);
	assert_int_equal(check_create_2d(check, 2, FORMAT, 4, 4), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 1), CHECK_OK);
	assert_int_equal(check_create_blob(check, 1, memory, 8192), CHECK_OK);
	check_close(check);
}

static void check_038_formats(void **state) {
	(void)state;
	static const uint32_t bad[] = { 0, 5, 66, 69, 120, 122, 133, 135, 0x80000001, 0xffffffff };
	static const uint32_t good[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	struct check *check = check_open(NULL);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_equal(check_create_2d(check, 1, bad[i], 4, 4), CHECK_BAD_PARAMETER);
	}
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(good); i++) {
		assert_int_equal(check_create_2d(check, i + 1, good[i], 4, 4), CHECK_OK);
	}
	check_close(check);
}

static void check_039_no_width_or_height(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 0, 4), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 4, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 0, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 1, 1), CHECK_OK);
	check_close(check);
}

static void check_040_sizes_that_wrap(void **state) {
	(void)state;
	static const uint32_t sizes[][2] = { { 0x40000001, 4 }, { 65536, 65536 }, { 0xffffffff, 0xffffffff },
		{ 0x40000000, 1 }, { 16385, 1 }, { 1, 16385 }, { 16384, 16384 }, { 1, 0xffffffff },
		{ 0x80000000, 0x80000000 } };
	struct check_options options = check_options();
	options.device.quota.resource_bytes = 512 * MIB;
	struct check *check = check_open(&options);
	uint64_t before = check_rss(check);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		uint32_t type = check_create_2d(check, 1, FORMAT, sizes[i][0], sizes[i][1]);
		assert_true(type == CHECK_BAD_PARAMETER || type == CHECK_NO_MEMORY);
	}
	assert_true(check_rss(check) < before + CHECK_RSS_SLACK);
	assert_int_equal(check_counts(check).device.bytes, 0);
	check_close(check);
}

static void check_041_budget(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.device.quota.bytes = 16 * MIB;
	struct check *check = check_open(&options);
	uint32_t id = 1;
	uint32_t type;
	/* 1 MiB each. */
	while ((type = check_create_2d(check, id, FORMAT, 512, 512)) == CHECK_OK) {
		id++;
		assert_in_range(id, 1, 17);
	}
	assert_int_equal(type, CHECK_NO_MEMORY);
	assert_int_equal(id, 17);
	/* The refused one has left nothing. */
	assert_int_equal(check_unref(check, id), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	assert_int_equal(check_create_2d(check, id, FORMAT, 512, 513), CHECK_NO_MEMORY);
	assert_int_equal(check_create_2d(check, id, FORMAT, 512, 512), CHECK_OK);
	check_close(check);
}

static void check_041_budget_of_resources(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.device.quota.resources = 100;
	struct check *check = check_open(&options);
	for (uint32_t id = 1; id <= 100; id++) {
		assert_int_equal(check_create_2d(check, id, FORMAT, 4, 4), CHECK_OK);
	}
	assert_int_equal(check_create_2d(check, 101, FORMAT, 4, 4), CHECK_NO_MEMORY);
	assert_int_equal(check_unref(check, 50), CHECK_OK);
	assert_int_equal(check_create_2d(check, 101, FORMAT, 4, 4), CHECK_OK);
	check_close(check);
}

static void check_042_unref_of_nothing(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_unref(check, 0), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 42), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 0xffffffff), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_2d(check, 42, FORMAT, 4, 4), CHECK_OK);
	assert_int_equal(check_unref(check, 42), CHECK_OK);
	assert_int_equal(check_unref(check, 42), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_043_id_is_free_at_once(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	/* One image of either way that memory is had: small ones are from the heap. */
	static const uint32_t sizes[][2] = { { 60, 44 }, { 640, 480 } };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		struct check_picture picture = check_picture(FORMAT, sizes[i][0], sizes[i][1], 43);
		struct neep_rect all = { .width = sizes[i][0], .height = sizes[i][1] };
		check_image(check, 43, &picture);
		assert_int_equal(check_set_scanout(check, 0, 43, &all), CHECK_OK);
		assert_int_equal(check_flush(check, 43, &all), CHECK_OK);
		check_shows(check, 0, &picture, NULL);
		assert_int_equal(check_unref(check, 43), CHECK_OK);
		assert_int_equal(check_create_2d(check, 43, FORMAT, all.width, all.height), CHECK_OK);
		assert_int_equal(check_set_scanout(check, 0, 43, &all), CHECK_OK);
		assert_int_equal(check_flush(check, 43, &all), CHECK_OK);
		memset(picture.xrgb, 0, (size_t)all.width * all.height * 4);
		check_shows(check, 0, &picture, NULL);
		assert_int_equal(check_unref(check, 43), CHECK_OK);
		check_picture_free(&picture);
	}
	check_close(check);
}

/* Takes a region of guest memory from the device: what still reads it, faults. */
static void remove_region(struct check *check, size_t index) {
	const struct neep_guest_region *region =
		neep_guest_region(neep_driver_memory(check_driver(check)), index);
	struct neep_vhost_user_mem_region payload = {
		.region = { .guest_addr = region->guest_addr,
			.size = region->size,
			.user_addr = (uint64_t)(uintptr_t)region->host },
	};
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_REM_MEM_REG,
		.payload = &payload,
		.payload_len = sizeof(payload),
	};
	assert_int_equal(neep_frontend_tell(neep_driver_frontend(check_driver(check)), &message), 0);
}

static struct check *open_with_two_regions(void) {
	struct check_options options = check_options();
	options.driver.memory = (struct neep_guest_layout){ .size = 64 * MIB, .region_count = 2 };
	return check_open(&options);
}

/* An entry over the start of the second region, where the allocator of the harness does not come. */
static struct virtio_gpu_mem_entry second_region(struct check *check, uint32_t len) {
	const struct neep_guest_region *region =
		neep_guest_region(neep_driver_memory(check_driver(check)), 1);
	return (struct virtio_gpu_mem_entry){ .addr = region->guest_addr, .length = len };
}

static void check_044_unref_lets_go_of_the_backing(void **state) {
	(void)state;
	struct check *check = open_with_two_regions();
	struct virtio_gpu_mem_entry entry = second_region(check, 64 * 64 * 4);
	struct check_picture picture = check_picture(FORMAT, 64, 64, 44);
	struct neep_rect all = { .width = 64, .height = 64 };
	uint8_t *pages = neep_guest_region(neep_driver_memory(check_driver(check)), 1)->host;
	memcpy(pages, picture.bytes, entry.length);
	assert_int_equal(check_create_2d(check, 44, FORMAT, 64, 64), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 44, 1, &entry, 1), CHECK_OK);
	assert_int_equal(check_transfer(check, 44, &all, 0), CHECK_OK);
	assert_int_equal(check_set_scanout(check, 0, 44, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 44, &all), CHECK_OK);
	assert_int_equal(check_unref(check, 44), CHECK_OK);
	memset(pages, 0xee, entry.length);
	check_shows_nothing(check, 0);
	remove_region(check, 1);
	assert_int_equal(check_create_2d(check, 44, FORMAT, 64, 64), CHECK_OK);
	assert_int_equal(check_transfer(check, 44, &all, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_set_scanout(check, 0, 44, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 44, &all), CHECK_OK);
	memset(picture.xrgb, 0, 64 * 64 * 4);
	check_shows(check, 0, &picture, NULL);
	check_picture_free(&picture);
	check_close(check);
}

/* The same with the backing still attached: the device lets go of what the front-end takes away. */
static void check_044_memory_goes_while_attached(void **state) {
	(void)state;
	struct check *check = open_with_two_regions();
	struct virtio_gpu_mem_entry entry = second_region(check, 64 * 64 * 4);
	struct neep_rect all = { .width = 64, .height = 64 };
	assert_int_equal(check_create_2d(check, 44, FORMAT, 64, 64), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 44, 1, &entry, 1), CHECK_OK);
	remove_region(check, 1);
	assert_int_equal(check_transfer(check, 44, &all, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_attach_entries(check, 44, 1, &entry, 1), CHECK_BAD_PARAMETER);
	struct neep_guest_buffer *other = check_alloc(check, entry.length);
	assert_int_equal(check_attach(check, 44, other), CHECK_OK);
	assert_int_equal(check_transfer(check, 44, &all, 0), CHECK_OK);
	check_close(check);
}

/* ---- 45: many cycles, straight on the ring ---- */

#define BATCH 20 // cycles that are in the ring at once

struct cycle {
	struct virtio_gpu_resource_create_2d create;
	struct virtio_gpu_resource_attach_backing attach;
	struct virtio_gpu_mem_entry entry;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_ctrl_hdr replies[3];
};

struct cycles {
	struct neep_queue *queue;
	struct neep_guest_buffer *memory;
	struct cycle *cycles; // BATCH of them, in guest memory
	struct neep_queue_buffer buffers[BATCH][3];
	struct neep_guest_piece pieces[BATCH][3][2];
};

static struct neep_guest_piece piece_of(const struct cycles *c, void *host, size_t len) {
	return (struct neep_guest_piece){
		.guest_addr = c->memory->first.guest_addr + (uint64_t)((char *)host - (char *)c->cycles),
		.host = host,
		.len = len,
	};
}

static void prepare(struct cycles *c, size_t i) {
	struct cycle *cycle = &c->cycles[i];
	*cycle = (struct cycle){
		.create = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
			.format = FORMAT,
			.width = 16,
			.height = 16 },
		.attach = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, .nr_entries = 1 },
		.entry = { .addr = c->memory->first.guest_addr, .length = 1024 },
		.unref.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
	};
	c->pieces[i][0][0] = piece_of(c, &cycle->create, sizeof(cycle->create));
	c->pieces[i][1][0] = piece_of(c, &cycle->attach, sizeof(cycle->attach) + sizeof(cycle->entry));
	c->pieces[i][2][0] = piece_of(c, &cycle->unref, sizeof(cycle->unref));
	for (size_t k = 0; k < 3; k++) {
		c->pieces[i][k][1] = piece_of(c, &cycle->replies[k], sizeof(cycle->replies[k]));
		c->buffers[i][k] = (struct neep_queue_buffer){
			.pieces = c->pieces[i][k], .readable_count = 1, .writable_count = 1
		};
	}
}

static void collect_batch(struct cycles *c) {
	size_t left = (size_t)BATCH * 3;
	int64_t deadline = await_end_ns();
	while (left > 0) {
		if (neep_queue_get(c->queue) != NULL) {
			left--;
			continue;
		}
		if (neep_queue_arm(c->queue)) {
			continue;
		}
		struct pollfd call = { .fd = neep_queue_call_fd(c->queue), .events = POLLIN };
		assert_int_equal(poll(&call, 1, (int)AWAIT_MS), 1);
		assert_true(neep_clock_ns() < deadline);
		neep_eventfd_drain(call.fd);
	}
}

static void run_batch(struct cycles *c, uint32_t first_id) {
	for (uint32_t i = 0; i < BATCH; i++) {
		struct cycle *cycle = &c->cycles[i];
		cycle->create.resource_id = first_id + i;
		cycle->attach.resource_id = first_id + i;
		cycle->unref.resource_id = first_id + i;
		memset(cycle->replies, CHECK_SENTINEL, sizeof(cycle->replies));
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(neep_queue_add(c->queue, &c->buffers[i][k]), 0);
		}
	}
	neep_queue_kick(c->queue);
	collect_batch(c);
	for (size_t i = 0; i < BATCH; i++) {
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(c->cycles[i].replies[k].type, CHECK_OK);
		}
	}
}

static void check_045_many_cycles(void **state) {
	(void)state;
	bool is_short = CHECK_HAS_ASAN && getenv("NEEP_TEST_LONG") == NULL;
	uint32_t count = is_short ? 100000 : 1000000;
	struct check *check = check_open(NULL);
	struct cycles *c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->queue = neep_driver_queue(check_driver(check), NEEP_DRIVER_CONTROLQ);
	c->memory = check_alloc(check, BATCH * sizeof(struct cycle));
	c->cycles = c->memory->first.host;
	for (size_t i = 0; i < BATCH; i++) {
		prepare(c, i);
	}
	uint64_t rss = 0;
	uint32_t fds = 0;
	for (uint32_t done = 0; done < count; done += BATCH) {
		run_batch(c, done + 1);
		if (done == 1000) {
			rss = check_rss(check);
			fds = check_open_fds(check);
		}
	}
	assert_int_equal(check_open_fds(check), fds);
	assert_true(check_rss(check) < rss + CHECK_RSS_SLACK);
	assert_int_equal(check_counts(check).device.resources, 0);
	free(c);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_035_id_zero),
	device_check(check_036_duplicate_id),
	device_check(check_037_duplicate_of_another_kind),
	device_check(check_038_formats),
	device_check(check_039_no_width_or_height),
	device_check(check_040_sizes_that_wrap),
	device_check(check_041_budget),
	device_check(check_041_budget_of_resources),
	device_check(check_042_unref_of_nothing),
	device_check(check_043_id_is_free_at_once),
	device_check(check_044_unref_lets_go_of_the_backing),
	device_check(check_044_memory_goes_while_attached),
	device_check(check_045_many_cycles),
};

int main(void) {
	return cmocka_run_group_tests_name("device 2d resources", tests, NULL, NULL);
}
