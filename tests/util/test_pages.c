#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/pages.h"

static const size_t sizes[] = { 1, 4096, NEEP_PAGES_OWN_MIN - 1, NEEP_PAGES_OWN_MIN, NEEP_PAGES_OWN_MIN + 1,
	NEEP_PAGES_HUGE - 1, NEEP_PAGES_HUGE, NEEP_PAGES_HUGE + 1, (5 << 20) + 12345 };

static void pages_are_zeroed_and_writable_to_the_end(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		uint8_t *pages = neep_pages_alloc(sizes[i]);
		assert_non_null(pages);
		if (sizes[i] >= NEEP_PAGES_HUGE) {
			assert_int_equal((uintptr_t)pages % NEEP_PAGES_HUGE, 0);
		}
		for (size_t at = 0; at < sizes[i]; at++) {
			assert_int_equal(pages[at], 0);
		}
		memset(pages, 0xff, sizes[i]);
		neep_pages_free(pages, sizes[i]);
	}
	neep_pages_free(NULL, 1);
	neep_pages_free(NULL, NEEP_PAGES_HUGE);
}

static bool is_mapped(const uint8_t *page) {
	unsigned char vec;
	return mincore((void *)(uintptr_t)page, 1, &vec) == 0 || errno != ENOMEM;
}

static void large_pages_are_mapped_and_unmapped_exactly(void **state) {
	(void)state;
	size_t size = 2 * NEEP_PAGES_HUGE + 5;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* Neighbours that must stay: what a wrong length would take along. */
	uint8_t *room = mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(room != MAP_FAILED);
	uint8_t *pages = neep_pages_alloc(size);
	assert_true(is_mapped(pages) && is_mapped(pages + size / page * page));
	neep_pages_free(pages, size);
	for (size_t at = 0; at < size; at += page) {
		assert_false(is_mapped(pages + at));
	}
	assert_true(is_mapped(room) && is_mapped(room + (64 << 20) - page));
	munmap(room, 64 << 20);
}

static void impossible_sizes_are_refused(void **state) {
	(void)state;
	assert_null(neep_pages_alloc((size_t)1 << 62));
}

static void renewed_pages_leave_the_old_ones_to_who_refers_to_them(void **state) {
	(void)state;
	size_t size = 3 * NEEP_PAGES_HUGE;
	uint8_t *pages = neep_pages_alloc(size);
	for (size_t at = 0; at < size; at++) {
		pages[at] = (uint8_t)(at % 251);
	}
	size_t at = NEEP_PAGES_HUGE - 777;
	enum { LEN = 20000 };
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct iovec iov = { .iov_base = pages + at, .iov_len = LEN };
	assert_int_equal(vmsplice(ends[1], &iov, 1, 0), LEN);
	assert_int_equal(neep_pages_renew(pages + at, LEN), 0);
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(pages[i], i % 251);
	}
	memset(pages, 0xff, size);
	uint8_t old[LEN];
	assert_int_equal(read(ends[0], old, LEN), LEN);
	for (size_t i = 0; i < LEN; i++) {
		assert_int_equal(old[i], (at + i) % 251);
	}
	neep_close_fd(&ends[0]);
	neep_close_fd(&ends[1]);
	neep_pages_free(pages, size);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(pages_are_zeroed_and_writable_to_the_end),
		fd_checked_test(large_pages_are_mapped_and_unmapped_exactly),
		fd_checked_test(impossible_sizes_are_refused),
		fd_checked_test(renewed_pages_leave_the_old_ones_to_who_refers_to_them),
	};
	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
