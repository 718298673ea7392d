/* For the caller tests: an object whose last byte is the last byte before a page that must not be touched. */
#ifndef NEEP_TESTS_RUTABAGA_GUARDED_H
#define NEEP_TESTS_RUTABAGA_GUARDED_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_PAGE 65536

/* A copy of [from, from + size), or NULL. Lives until the process ends. */
static inline void *guarded_copy(const void *from, size_t size) {
	char *pages = mmap(NULL, 2 * GUARD_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || mprotect(pages + GUARD_PAGE, GUARD_PAGE, PROT_NONE) < 0) {
		return NULL;
	}
	return memcpy(pages + GUARD_PAGE - size, from, size);
}

#endif
