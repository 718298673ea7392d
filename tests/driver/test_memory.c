#include <errno.h>
#include <string.h>

#include "driver/memory.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define PAGE NEEP_GUEST_PAGE_SIZE

static struct neep_guest_memory *create(uint64_t pages, uint32_t regions, uint64_t gap) {
	struct neep_guest_layout layout = { .size = pages * PAGE, .region_count = regions, .gap = gap };
	struct neep_guest_memory *memory = neep_guest_memory_create(&layout, NULL);
	assert_non_null(memory);
	return memory;
}

static void create_refuses_layouts_that_are_no_whole_pages(void **state) {
	(void)state;
	static const struct neep_guest_layout bad[] = {
		{ .size = 0, .region_count = 1 },
		{ .size = PAGE + 1, .region_count = 1 },
		{ .size = PAGE, .region_count = 0 },
		{ .size = PAGE, .region_count = 2 },
		{ .size = 16 * PAGE, .region_count = NEEP_GUEST_REGIONS_MAX + 1 },
		{ .size = PAGE, .region_count = 1, .guest_addr = 8 },
		{ .size = 2 * PAGE, .region_count = 2, .gap = 1 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct neep_error error = { 0 };
		assert_null(neep_guest_memory_create(&bad[i], &error));
		assert_int_equal(error.code, EINVAL);
	}
}

static void translation_knows_holes_and_ends(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(8, 2, 4 * PAGE);
	const struct neep_guest_region *second = neep_guest_region(memory, 1);
	assert_int_equal(second->guest_addr, 8 * PAGE);
	assert_int_equal(second->fd_offset, 4 * PAGE);
	assert_non_null(neep_guest_to_host(memory, 0, 4 * PAGE));
	assert_null(neep_guest_to_host(memory, 0, 4 * PAGE + 1));
	assert_null(neep_guest_to_host(memory, 4 * PAGE, 1));
	assert_ptr_equal(neep_guest_to_host(memory, 8 * PAGE + 5, 1), (char *)second->host + 5);
	assert_null(neep_guest_to_host(memory, 12 * PAGE, 1));
	assert_null(neep_guest_to_host(memory, UINT64_MAX, 1));
	assert_null(neep_guest_to_host(memory, PAGE, UINT64_MAX));
	neep_guest_memory_destroy(memory);
}

static void alloc_returns_all_that_was_given_back(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(64, 2, PAGE);
	uint64_t before = neep_guest_memory_free_bytes(memory);
	struct neep_guest_buffer buffers[3];
	/* In every order of giving back: runs must join again. */
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 },
		{ 2, 1, 0 } };
	for (size_t i = 0; i < 6; i++) {
		for (int j = 0; j < 3; j++) {
			assert_int_equal(neep_guest_alloc(memory, 10 * PAGE, &buffers[j]), 0);
		}
		for (int j = 0; j < 3; j++) {
			neep_guest_free(memory, &buffers[orders[i][j]]);
		}
		assert_int_equal(neep_guest_memory_free_bytes(memory), before);
		struct neep_guest_buffer whole;
		assert_int_equal(neep_guest_alloc(memory, 32 * PAGE, &whole), 0);
		neep_guest_free(memory, &whole);
	}
	neep_guest_memory_destroy(memory);
}

static void alloc_does_not_cross_regions(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(8, 2, 0);
	struct neep_guest_buffer buffer;
	assert_int_equal(neep_guest_alloc(memory, 5 * PAGE, &buffer), -ENOMEM);
	assert_int_equal(neep_guest_alloc(memory, 4 * PAGE, &buffer), 0);
	struct neep_guest_buffer other;
	assert_int_equal(neep_guest_alloc(memory, 4 * PAGE, &other), 0);
	assert_int_equal(neep_guest_memory_free_bytes(memory), 0);
	struct neep_guest_buffer none;
	assert_int_equal(neep_guest_alloc(memory, 1, &none), -ENOMEM);
	neep_guest_free(memory, &none);
	neep_guest_free(memory, &buffer);
	neep_guest_free(memory, &other);
	neep_guest_memory_destroy(memory);
}

static void alloc_refuses_nothing_and_too_much(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(4, 1, 0);
	struct neep_guest_buffer buffer;
	assert_int_equal(neep_guest_alloc(memory, 0, &buffer), -EINVAL);
	assert_int_equal(neep_guest_alloc(memory, UINT64_MAX, &buffer), -ENOMEM);
	assert_int_equal(neep_guest_alloc_scattered(memory, 0, &buffer), -EINVAL);
	assert_int_equal(neep_guest_alloc_scattered(memory, UINT64_MAX, &buffer), -ENOMEM);
	neep_guest_memory_destroy(memory);
}

static void small_objects_are_apart_and_aligned(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(64, 1, 0);
	enum { COUNT = 500 };
	struct neep_guest_buffer buffers[COUNT];
	uint64_t before = neep_guest_memory_free_bytes(memory);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(neep_guest_alloc(memory, 1 + (uint64_t)i % 300, &buffers[i]), 0);
		assert_int_equal(buffers[i].first.guest_addr % 16, 0);
		memset(buffers[i].first.host, i & 0xff, buffers[i].size);
	}
	for (int i = 0; i < COUNT; i++) {
		const uint8_t *bytes = buffers[i].first.host;
		for (uint64_t j = 0; j < buffers[i].size; j++) {
			assert_int_equal(bytes[j], i & 0xff);
		}
		neep_guest_free(memory, &buffers[i]);
	}
	assert_int_equal(neep_guest_memory_free_bytes(memory), before);
	neep_guest_memory_destroy(memory);
}

static void small_objects_fill_all_of_memory(void **state) {
	(void)state;
	enum { PAGES = 256, COUNT = 2 * PAGES };
	struct neep_guest_memory *memory = create(PAGES, 1, 0);
	struct neep_guest_buffer buffers[COUNT], none;
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(neep_guest_alloc(memory, PAGE / 2, &buffers[i]), 0);
	}
	assert_int_equal(neep_guest_alloc(memory, PAGE / 2, &none), -ENOMEM);
	for (int i = 0; i < COUNT; i++) {
		neep_guest_free(memory, &buffers[i]);
	}
	assert_int_equal(neep_guest_memory_free_bytes(memory), PAGES * PAGE);
	neep_guest_memory_destroy(memory);
}

static void scattered_neighbours_are_no_neighbours(void **state) {
	(void)state;
	struct neep_guest_memory *memory = create(512, 1, 0);
	for (uint64_t pages = 1; pages <= 300; pages++) {
		struct neep_guest_buffer buffer;
		assert_int_equal(neep_guest_alloc_scattered(memory, pages * PAGE - 7, &buffer), 0);
		assert_int_equal(buffer.piece_count, pages);
		uint64_t sum = 0;
		uint64_t total = 0;
		for (uint32_t i = 0; i < buffer.piece_count; i++) {
			const struct neep_guest_piece *piece = &neep_guest_pieces(&buffer)[i];
			assert_ptr_equal(
				piece->host, neep_guest_to_host(memory, piece->guest_addr, piece->len));
			sum += piece->guest_addr / PAGE;
			total += piece->len;
			if (i > 0) {
				assert_int_not_equal(piece->guest_addr, piece[-1].guest_addr + PAGE);
			}
		}
		assert_int_equal(total, pages * PAGE - 7);
		assert_int_equal(sum, pages * (pages - 1) / 2); // each page once
		neep_guest_free(memory, &buffer);
	}
	neep_guest_memory_destroy(memory);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(create_refuses_layouts_that_are_no_whole_pages),
		fd_checked_test(translation_knows_holes_and_ends),
		fd_checked_test(alloc_returns_all_that_was_given_back),
		fd_checked_test(alloc_does_not_cross_regions),
		fd_checked_test(alloc_refuses_nothing_and_too_much),
		fd_checked_test(small_objects_are_apart_and_aligned),
		fd_checked_test(small_objects_fill_all_of_memory),
		fd_checked_test(scattered_neighbours_are_no_neighbours),
	};
	return cmocka_run_group_tests_name("guest memory of the driver", tests, NULL, NULL);
}
