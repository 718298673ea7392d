/* Copies between flat buffers and scattered memory. Offsets and lengths are bytes. */
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

#endif
