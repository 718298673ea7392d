#include "util/pages.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void) {
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void *map(size_t size) {
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pages == MAP_FAILED ? NULL : pages;
}

/* A frame is written and read from end to end: huge pages save a fault and a reference for every 4 KiB of it. What is
 * mapped ends where the pixels do, so a part of a huge page at the end is not made one. */
static void *map_huge(size_t size) {
	size_t used = (size + page_size() - 1) & ~(page_size() - 1);
	uint8_t *start = map(used + NEEP_PAGES_HUGE);
	if (start == NULL) {
		return NULL;
	}
	size_t before = -(uintptr_t)start % NEEP_PAGES_HUGE;
	if (before > 0) {
		munmap(start, before);
	}
	munmap(start + before + used, NEEP_PAGES_HUGE - before);
	(void)madvise(start + before, used, MADV_HUGEPAGE);
	return start + before;
}

void *neep_pages_alloc(size_t size) {
	if (!neep_pages_are_own(size)) {
		return calloc(1, size);
	}
	return size < NEEP_PAGES_HUGE ? map(size) : map_huge(size);
}

void neep_pages_free(void *pages, size_t size) {
	if (!neep_pages_are_own(size)) {
		free(pages);
	} else if (pages != NULL) {
		munmap(pages, size);
	}
}

int neep_pages_renew(const void *start, size_t len) {
	uintptr_t mask = page_size() - 1;
	uint8_t *from = (uint8_t *)((uintptr_t)start & ~mask);
	size_t size = (((uintptr_t)start & mask) + len + mask) & ~mask;
	uint8_t *saved = malloc(size);
	if (saved == NULL) {
		return -ENOMEM;
	}
	memcpy(saved, from, size);
	int result = madvise(from, size, MADV_DONTNEED) < 0 ? -errno : 0;
	if (result == 0) {
		memcpy(from, saved, size);
	}
	free(saved);
	return result;
}
