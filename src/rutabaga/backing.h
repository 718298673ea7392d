/* Scattered memory behind a resource: guest pages, seen as one run of bytes, and copies of rows out of and into it.
 *
 * The memory is the guest's: it may change during a copy, which tears pixels and nothing else. */
#ifndef NEEP_RUTABAGA_BACKING_H
#define NEEP_RUTABAGA_BACKING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct neep_backing {
	const struct iovec *segments; // none is empty, no two neighbours touch
	const uint64_t *starts;       // position of each segment in the run
	size_t count;
	uint64_t size; // bytes
};

/* Copies the array `iov`, joins neighbours and skips empty ones; the memory stays borrowed. 0 entries are fine.
 * -EINVAL: a piece at NULL or around the end of the address space; -EOVERFLOW: the sum; -ENOMEM: more than
 * max_count segments, or no memory. */
int neep_backing_init(struct neep_backing *backing, const struct iovec *iov, size_t count, size_t max_count);

/* Frees the arrays. A zeroed struct is fine. */
void neep_backing_finish(struct neep_backing *backing);

/* A backing that is one buffer; nothing to finish, and not to be moved. */
struct neep_backing_buffer {
	struct neep_backing backing;
	struct iovec segment;
	uint64_t start;
};
void neep_backing_buffer_init(struct neep_backing_buffer *buffer, const struct iovec *iov);

/* `count` rows of `len` bytes: in an image at image, image + image_stride..., and in a backing at offset,
 * offset + stride... */
struct neep_rows {
	uint8_t *image;
	size_t image_stride;
	size_t len;
	size_t count;
	uint64_t offset;
	uint64_t stride;
};

/* Copy all rows, or nothing: -EINVAL when a byte of them is outside the backing, or when rows overlap there (stride
 * below len). O(rows + segments). */
int neep_backing_read(const struct neep_backing *backing, const struct neep_rows *rows);
int neep_backing_write(const struct neep_backing *backing, const struct neep_rows *rows);

#endif
