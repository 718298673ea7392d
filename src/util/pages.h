/* Memory for pixels. Any thread. */
#ifndef NEEP_UTIL_PAGES_H
#define NEEP_UTIL_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* From this size on (bytes) pixels come straight from the kernel: zeroed for free, and given back when freed. */
#define NEEP_PAGES_OWN_MIN ((size_t)128 << 10)

/* What a processor maps with one entry, on x86 and on ARM with small pages; a hint where it is not so. Memory that is as
 * large begins at a multiple of it. */
#define NEEP_PAGES_HUGE ((size_t)2 << 20)

/* Whether neep_pages_alloc() gives `size` bytes whole pages of their own: private, anonymous, nothing else in them. */
static inline bool neep_pages_are_own(size_t size) {
	return size >= NEEP_PAGES_OWN_MIN;
}

/* Zeroed memory of `size` > 0 bytes; NULL when it cannot be had. To be freed with the same size. */
void *neep_pages_alloc(size_t size);
void neep_pages_free(void *pages, size_t size); // NULL is fine

/* Moves the bytes of [start, start + len) to new pages at the same addresses. Whoever holds references to the old pages
 * (a pipe, a socket) keeps them as they are now. The pages around the range move as a whole: all of them are own pages,
 * and no other thread touches them meanwhile. Returns 0, or a negative errno when the old ones stayed. */
int neep_pages_renew(const void *start, size_t len);

#endif
