/* Checks 46 to 55: the guest memory behind a resource. */
#include <stdlib.h>
#include <string.h>

#include "device/harness.h"
#include "util/macros.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define RAM    (UINT64_C(256) << 20) // from address 0

/* Shows resource 1 on output 0 and compares. */
static void assert_image(struct check *check, const struct check_picture *picture) {
	struct neep_rect all = { .width = picture->width, .height = picture->height };
	assert_int_equal(check_set_scanout(check, 0, 1, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1, &all), CHECK_OK);
	check_shows(check, 0, picture, NULL);
}

static void transfer_all(struct check *check, const struct check_picture *picture) {
	struct neep_rect all = { .width = picture->width, .height = picture->height };
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_OK);
}

static void check_046_attach_to_nothing(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	assert_int_equal(check_attach(check, 0, memory), CHECK_BAD_RESOURCE);
	assert_int_equal(check_attach(check, 46, memory), CHECK_BAD_RESOURCE);
	assert_int_equal(check_detach(check, 46), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_047_more_entries_than_can_be(void **state) {
	(void)state;
	static const uint32_t counts[] = { 0xffffffff, 0x80000000, 0x10000000, 0x10000001, 65537, 2 };
	struct check *check = check_open(NULL);
	struct virtio_gpu_mem_entry entry = { .addr = 4096, .length = 16 };
	assert_int_equal(check_create_2d(check, 1, FORMAT, 4, 4), CHECK_OK);
	uint64_t before = check_rss(check);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(counts); i++) {
		assert_int_equal(check_attach_entries(check, 1, counts[i], &entry, 1), CHECK_BAD_PARAMETER);
	}
	assert_true(check_rss(check) < before + CHECK_RSS_SLACK);
	check_close(check);
}

static void check_048_fewer_entries_than_said(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	struct virtio_gpu_mem_entry entries[2] = {
		{ .addr = memory->first.guest_addr, .length = 2048 },
		{ .addr = memory->first.guest_addr + 2048, .length = 2048 },
	};
	struct virtio_gpu_resource_attach_backing cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = 1,
		.nr_entries = 2,
	};
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	for (size_t len = 0; len < sizeof(entries); len++) {
		assert_int_equal(
			check_cmd_payload(check, &cmd, sizeof(cmd), entries, len), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_cmd_payload(check, &cmd, sizeof(cmd), entries, sizeof(entries)), CHECK_OK);
	check_close(check);
}

/* More bytes than the count says are not looked at. */
static void check_048_more_entries_than_said(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	struct virtio_gpu_mem_entry entries[2] = {
		{ .addr = memory->first.guest_addr, .length = 4096 },
		{ .addr = UINT64_MAX, .length = 4096 },
	};
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, 1, entries, 2), CHECK_OK);
	check_close(check);
}

static void check_048_no_entries(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 4, 4), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, 0, NULL, 0), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_049_entries_outside_memory(void **state) {
	(void)state;
	static const struct virtio_gpu_mem_entry bad[] = {
		{ .addr = UINT64_MAX, .length = 2 },
		{ .addr = UINT64_MAX - 15, .length = 16 },
		{ .addr = UINT64_MAX - 16, .length = 0xffffffff },
		{ .addr = RAM, .length = 4096 },
		{ .addr = UINT64_C(1) << 52, .length = 4096 },
		{ .addr = RAM - 4096, .length = 4097 },
		{ .addr = RAM - 1, .length = 2 },
		{ .addr = 0, .length = 0xffffffff },
	};
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 32, 32, 49);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	struct neep_rect all = { .width = 32, .height = 32 };
	check_write(memory, 0, picture.bytes, 4096);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		/* Alone, and behind one that is right. */
		struct virtio_gpu_mem_entry entries[2] = {
			{ .addr = memory->first.guest_addr, .length = 4096 }, bad[i]
		};
		assert_int_equal(check_attach_entries(check, 1, 1, &bad[i], 1), CHECK_BAD_PARAMETER);
		assert_int_equal(check_attach_entries(check, 1, 2, entries, 2), CHECK_BAD_PARAMETER);
		assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_attach(check, 1, memory), CHECK_OK);
	transfer_all(check, &picture);
	assert_image(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

/* Two regions that are neighbours for the guest and not for the device. */
static void check_049_entry_over_two_regions(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.driver.memory = (struct neep_guest_layout){ .size = UINT64_C(64) << 20, .region_count = 2 };
	struct check *check = check_open(&options);
	struct check_picture picture = check_picture(FORMAT, 64, 64, 49);
	struct neep_guest_memory *memory = neep_driver_memory(check_driver(check));
	uint64_t border = neep_guest_region(memory, 1)->guest_addr;
	struct virtio_gpu_mem_entry entry = { .addr = border - 8192, .length = 64 * 64 * 4 };
	memcpy(neep_guest_to_host(memory, border - 8192, 8192), picture.bytes, 8192);
	memcpy(neep_guest_to_host(memory, border, 8192), picture.bytes + 8192, 8192);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 64, 64), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, 1, &entry, 1), CHECK_OK);
	transfer_all(check, &picture);
	assert_image(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_050_second_attach(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture first = check_picture(FORMAT, 32, 32, 1),
			     second = check_picture(FORMAT, 32, 32, 2);
	struct neep_guest_buffer *one = check_alloc(check, 4096), *two = check_alloc(check, 4096);
	check_write(one, 0, first.bytes, 4096);
	check_write(two, 0, second.bytes, 4096);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	assert_int_equal(check_attach(check, 1, one), CHECK_OK);
	assert_int_equal(check_attach(check, 1, two), CHECK_BAD_PARAMETER);
	transfer_all(check, &first);
	assert_image(check, &first);
	check_picture_free(&first);
	check_picture_free(&second);
	check_close(check);
}

/* 8192 x 8192 pixels in pages that are nowhere neighbours: 1024 pages take turns, so that it is not 256 MiB. */
static void check_051_many_scattered_pages(void **state) {
	(void)state;
	enum { ENTRIES = 65536, PAGES = 1024, ROWS = 64, WIDTH = 8192 };
	static const uint32_t tops[] = { 0, 4093, WIDTH - ROWS };
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 1024, PAGES, 51);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, PAGES * NEEP_GUEST_PAGE_SIZE);
	check_write(memory, 0, picture.bytes, PAGES * NEEP_GUEST_PAGE_SIZE);
	size_t count;
	struct virtio_gpu_mem_entry *pages = check_entries(memory, &count);
	struct virtio_gpu_mem_entry *entries = calloc(ENTRIES, sizeof(*entries));
	uint32_t *band = malloc((size_t)WIDTH * ROWS * 4);
	assert_int_equal(count, PAGES);
	assert_non_null(entries);
	assert_non_null(band);
	for (size_t i = 0; i < ENTRIES; i++) {
		entries[i] = pages[i * 389 % PAGES];
	}
	assert_int_equal(check_create_2d(check, 1, FORMAT, WIDTH, WIDTH), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, ENTRIES, entries, ENTRIES), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(tops); i++) {
		struct neep_rect rect = { .y = tops[i], .width = WIDTH, .height = ROWS };
		assert_int_equal(check_transfer(check, 1, &rect, (uint64_t)tops[i] * WIDTH * 4), CHECK_OK);
		assert_int_equal(check_set_scanout(check, 0, 1, &rect), CHECK_OK);
		assert_int_equal(check_flush(check, 1, &rect), CHECK_OK);
		for (size_t page = 0; page < (size_t)WIDTH * ROWS / 1024; page++) {
			size_t entry = (size_t)tops[i] * WIDTH / 1024 + page;
			memcpy(band + page * 1024, picture.xrgb + entry * 389 % PAGES * 1024, 4096);
		}
		check_shows_pixels(check, 0, band, WIDTH, ROWS);
	}
	free(band);
	free(pages);
	free(entries);
	check_picture_free(&picture);
	check_close(check);
}

static void check_051_more_entries_than_the_quota(void **state) {
	(void)state;
	enum { PAGES = 64 };
	struct check_options options = check_options();
	options.device.quota.backing_entries = PAGES - 1;
	struct check *check = check_open(&options);
	struct neep_guest_buffer *scattered = check_alloc_scattered(check, PAGES * NEEP_GUEST_PAGE_SIZE);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 256, 256), CHECK_OK);
	assert_int_equal(check_attach(check, 1, scattered), CHECK_NO_MEMORY);
	/* Neighbours count as one. */
	struct neep_guest_buffer *whole = check_alloc(check, PAGES * NEEP_GUEST_PAGE_SIZE);
	struct virtio_gpu_mem_entry entries[PAGES];
	for (uint32_t i = 0; i < PAGES; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){ .addr = whole->first.guest_addr +
								    i * NEEP_GUEST_PAGE_SIZE,
			.length = NEEP_GUEST_PAGE_SIZE };
	}
	assert_int_equal(check_attach_entries(check, 1, PAGES, entries, PAGES), CHECK_OK);
	check_close(check);
}

/* Reading them takes its time, whatever becomes of them. */
static void check_051_more_entries_than_all_resources_may_have(void **state) {
	(void)state;
	enum { ENTRIES = 64 };
	struct check_options options = check_options();
	options.device.quota.total_backing_entries = ENTRIES - 1;
	struct check *check = check_open(&options);
	struct neep_guest_buffer *memory = check_alloc(check, NEEP_GUEST_PAGE_SIZE);
	struct virtio_gpu_mem_entry entries[ENTRIES];
	for (uint32_t i = 0; i < ENTRIES; i++) {
		entries[i] =
			(struct virtio_gpu_mem_entry){ .addr = memory->first.guest_addr + i, .length = 1 };
	}
	assert_int_equal(check_create_2d(check, 1, FORMAT, 4, 4), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, ENTRIES, entries, ENTRIES), CHECK_NO_MEMORY);
	assert_int_equal(check_attach_entries(check, 1, ENTRIES - 1, entries, ENTRIES - 1), CHECK_OK);
	check_close(check);
}

/* 1 + 3 + 5 + ... + 63 bytes are 16 x 16 pixels; every piece has a byte of nobody behind it. */
static void check_052_odd_lengths(void **state) {
	(void)state;
	enum { PIECES = 32 };
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 16, 16, 52);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	struct virtio_gpu_mem_entry entries[PIECES];
	uint64_t from = 0, to = 0;
	memset(memory->first.host, CHECK_SENTINEL, 4096);
	for (uint32_t i = 0; i < PIECES; i++) {
		uint32_t len = 2 * i + 1;
		entries[i] =
			(struct virtio_gpu_mem_entry){ .addr = memory->first.guest_addr + to, .length = len };
		check_write(memory, to, picture.bytes + from, len);
		from += len;
		to += len + 1;
	}
	assert_int_equal(from, 16 * 16 * 4);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 16, 16), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 1, PIECES, entries, PIECES), CHECK_OK);
	transfer_all(check, &picture);
	assert_image(check, &picture);
	/* A part of it begins and ends within pieces. */
	struct neep_rect part = { .x = 5, .y = 3, .width = 6, .height = 9 };
	assert_int_equal(check_transfer(check, 1, &part, (3 * 16 + 5) * 4), CHECK_OK);
	assert_image(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_053_entries_of_no_length(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture picture = check_picture(FORMAT, 32, 32, 53);
	struct neep_guest_buffer *memory = check_alloc(check, 8192);
	struct virtio_gpu_mem_entry entries[] = {
		{ .addr = 0, .length = 0 },
		{ .addr = memory->first.guest_addr, .length = 2048 },
		{ .addr = UINT64_MAX, .length = 0 },
		{ .addr = RAM, .length = 0 },
		{ .addr = memory->first.guest_addr + 4096, .length = 2048 },
		{ .addr = memory->first.guest_addr, .length = 0 },
	};
	check_write(memory, 0, picture.bytes, 2048);
	check_write(memory, 4096, picture.bytes + 2048, 2048);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	assert_int_equal(
		check_attach_entries(check, 1, NEEP_ARRAY_LEN(entries), entries, NEEP_ARRAY_LEN(entries)),
		CHECK_OK);
	transfer_all(check, &picture);
	assert_image(check, &picture);
	check_picture_free(&picture);
	check_close(check);
}

static void check_054_detach_and_attach_elsewhere(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture first = check_picture(FORMAT, 32, 32, 1),
			     second = check_picture(FORMAT, 32, 32, 2);
	struct neep_guest_buffer *other = check_alloc(check, 4096);
	struct neep_rect all = { .width = 32, .height = 32 };
	struct neep_guest_buffer *memory = check_image(check, 1, &first);
	check_write(other, 0, second.bytes, 4096);
	assert_int_equal(check_detach(check, 1), CHECK_OK);
	memset(memory->first.host, 0xee, 4096);
	assert_int_equal(check_transfer(check, 1, &all, 0), CHECK_BAD_PARAMETER);
	assert_image(check, &first);
	assert_int_equal(check_attach(check, 1, other), CHECK_OK);
	transfer_all(check, &second);
	assert_image(check, &second);
	check_picture_free(&first);
	check_picture_free(&second);
	check_close(check);
}

static void check_055_detach_of_nothing(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(check_create_2d(check, 1, FORMAT, 32, 32), CHECK_OK);
	assert_int_equal(check_detach(check, 1), CHECK_BAD_PARAMETER);
	struct neep_guest_buffer *memory = check_alloc(check, 4096);
	assert_int_equal(check_attach(check, 1, memory), CHECK_OK);
	assert_int_equal(check_detach(check, 1), CHECK_OK);
	assert_int_equal(check_detach(check, 1), CHECK_BAD_PARAMETER);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_046_attach_to_nothing),
	device_check(check_047_more_entries_than_can_be),
	device_check(check_048_fewer_entries_than_said),
	device_check(check_048_more_entries_than_said),
	device_check(check_048_no_entries),
	device_check(check_049_entries_outside_memory),
	device_check(check_049_entry_over_two_regions),
	device_check(check_050_second_attach),
	device_check(check_051_many_scattered_pages),
	device_check(check_051_more_entries_than_the_quota),
	device_check(check_051_more_entries_than_all_resources_may_have),
	device_check(check_052_odd_lengths),
	device_check(check_053_entries_of_no_length),
	device_check(check_054_detach_and_attach_elsewhere),
	device_check(check_055_detach_of_nothing),
};

int main(void) {
	return cmocka_run_group_tests_name("device backing", tests, NULL, NULL);
}
