/* dma-bufs of memory files, by the kernel's /dev/udmabuf (CONFIG_UDMABUF): the same pages, for whoever takes dma-bufs alone.
 *
 * The pages stay in memory as long as the dma-buf lives, and who has it can write to them. */
#ifndef NEEP_UTIL_UDMABUF_H
#define NEEP_UTIL_UDMABUF_H

#include <stdint.h>

/* Opens the kernel's device, which a sandbox that opens no files any more may keep. Returns an fd or a negative errno. */
int neep_udmabuf_open(void);

/* A dma-buf of the first `size` bytes, whole pages, of a memory file that is sealed against shrinking and not against writing.
 * `device` is of neep_udmabuf_open(). Returns an fd or a negative errno, among them -EINVAL for a file or a size that is not so,
 * or more than the module's size_limit_mb, and -EBADFD for a file that is not in memory. */
int neep_udmabuf_create(int device, int memfd, uint64_t size);

#endif
