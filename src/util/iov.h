/* Copies between flat buffers and scattered memory. Offsets and lengths are bytes; no iovecs may be NULL. */
#ifndef NEEP_UTIL_IOV_H
#define NEEP_UTIL_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* Sum of all lengths; saturates at SIZE_MAX. */
size_t neep_iov_size(const struct iovec *iov, size_t count);

/* Copies up to `len` bytes that start `offset` bytes into the iovecs. Returns the bytes copied: fewer than
 * `len` where the iovecs end. */
size_t neep_iov_read(const struct iovec *iov, size_t count, size_t offset, void *out, size_t len);
size_t neep_iov_write(const struct iovec *iov, size_t count, size_t offset, const void *in, size_t len);

/* A place in scattered memory that only moves forward: many reads at growing offsets cost one walk in all. */
struct neep_iov_cursor {
	const struct iovec *iov;
	const struct iovec *end;
	size_t start; // offset of *iov
};

/* `iov` is borrowed and must not change. */
void neep_iov_cursor_init(struct neep_iov_cursor *cursor, const struct iovec *iov, size_t count);

/* As neep_iov_read(). Reading before what was read earlier yields nothing. */
size_t neep_iov_cursor_read_at(struct neep_iov_cursor *cursor, size_t offset, void *out, size_t len);

#endif
