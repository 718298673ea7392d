/* Guest memory: a table of fd-backed regions, and the translation of guest addresses to host pointers.
 *
 * A region is mapped when it is first used, because a vhost-user front-end echoes device memory back as regions
 * that nobody ever reads. A mapping that shrinks under us (a truncated file) reads as zeros instead of ending
 * the process. Belongs to one thread. Trusts nothing: sizes, sums, overlaps and file sizes are checked. */
#ifndef NEEP_VIRTIO_MEMORY_H
#define NEEP_VIRTIO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/list.h"

struct neep_memory;

/* All in bytes; the layout of the vhost-user "memory region description". */
struct neep_memory_region_info {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;   // the front-end's address; the key of ring addresses
	uint64_t mmap_offset; // where the region starts in its fd
};

/* Hears of host memory that is about to go away. */
struct neep_memory_listener {
	struct neep_list link; // neep_memory.listeners
	/* [host, host + size) will be unmapped when this returns: nothing may point into it. */
	void (*removed)(struct neep_memory_listener *listener, const void *host, size_t size);
};

/* Returns NULL for want of memory. */
struct neep_memory *neep_memory_create(void);

/* Tells the listeners and unmaps everything. NULL is fine. */
void neep_memory_destroy(struct neep_memory *memory);

void neep_memory_add_listener(struct neep_memory *memory, struct neep_memory_listener *listener);
void neep_memory_remove_listener(struct neep_memory_listener *listener);

/* Adds a region. Refuses: size 0, sums that wrap, overlap in either address space, a file shorter than
 * mmap_offset + size, more than NEEP_MEMORY_REGIONS_MAX regions. Consumes owned_fd in every case.
 * Returns 0 or a negative errno with `error` set. */
#define NEEP_MEMORY_REGIONS_MAX 512
int neep_memory_add(struct neep_memory *memory, const struct neep_memory_region_info *info, int owned_fd,
	struct neep_error *error);

/* Removes the region with this guest_addr, user_addr and size (mmap_offset is not compared: front-ends send 0).
 * Returns 0 or -ENOENT. */
int neep_memory_remove(struct neep_memory *memory, const struct neep_memory_region_info *info);

/* Replaces the whole table. Regions that are the same as before (addresses, size, offset and file identity) keep
 * their mapping, so pointers into them stay valid. owned_fds[i] belongs to infos[i]; all are consumed and set to
 * -1. On failure the old table stays as it was. Returns 0 or a negative errno with `error` set. */
int neep_memory_replace(struct neep_memory *memory, const struct neep_memory_region_info *infos,
	int *owned_fds, size_t count, struct neep_error *error);

/* The file of the region that is [host, host + len), where that was all of its file when it came, in memory that nobody can
 * make shorter (F_SEAL_SHRINK): whoever gets it sees nothing else of the guest. Borrowed until the region is removed; -1:
 * there is none. Should the file grow, that is its owner's doing: VMMs seal theirs. */
int neep_memory_file(const struct neep_memory *memory, const void *host, uint64_t len);

size_t neep_memory_region_count(const struct neep_memory *memory);

/* The host pointer of guest-physical `guest_addr`. *contiguous becomes the number of bytes, at most `len`, that can
 * be used from there (at least 1): a range may go on in the next region. NULL when the address is in no region or
 * the region cannot be mapped, or len is 0. */
void *neep_memory_translate(
	struct neep_memory *memory, uint64_t guest_addr, uint64_t len, uint64_t *contiguous);

/* As above for the front-end's own address space, and the whole range must lie in one region. */
void *neep_memory_translate_user(struct neep_memory *memory, uint64_t user_addr, uint64_t len);

#endif
