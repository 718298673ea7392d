/* Guest memory as a front-end has it: memfd regions at guest-physical addresses, and an allocator over them.
 *
 * The allocator hands out physically contiguous runs (page granular from a first-fit list of free runs, small objects
 * from power-of-two slabs) or scattered pages, which are never adjacent to each other in guest-physical space.
 * Not thread safe: the driver's lock guards it. */
#ifndef NEEP_DRIVER_MEMORY_H
#define NEEP_DRIVER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/error.h"

#define NEEP_GUEST_PAGE_SIZE   UINT64_C(4096)
#define NEEP_GUEST_REGIONS_MAX 8

struct neep_guest_memory;

struct neep_guest_region {
	uint64_t guest_addr;
	uint64_t size;      // bytes, a page multiple
	uint64_t fd_offset; // where the region starts in fd
	int fd;             // borrowed
	void *host;         // its mapping in this process; the user address of vhost-user
};

/* Where memory lies. Regions of equal size. */
struct neep_guest_layout {
	uint64_t size;         // bytes over all regions, a page multiple
	uint32_t region_count; // 1..NEEP_GUEST_REGIONS_MAX
	uint64_t gap;          // bytes of guest-physical hole between regions, a page multiple
	uint64_t guest_addr;   // of the first region
};

/* A physically contiguous part of a buffer. */
struct neep_guest_piece {
	uint64_t guest_addr;
	void *host;
	uint64_t len;
};

/* An allocation. Zero-initialised: holds nothing. */
struct neep_guest_buffer {
	uint64_t size;
	struct neep_guest_piece first;   // of a contiguous one, the only
	struct neep_guest_piece *pieces; // NULL for a contiguous one: read through neep_guest_pieces()
	uint32_t piece_count;
};

/* Returns NULL with `error` set. */
struct neep_guest_memory *neep_guest_memory_create(
	const struct neep_guest_layout *layout, struct neep_error *error);

/* Unmaps; every buffer must be out of use. NULL is fine. */
void neep_guest_memory_destroy(struct neep_guest_memory *memory);

size_t neep_guest_region_count(const struct neep_guest_memory *memory);
const struct neep_guest_region *neep_guest_region(const struct neep_guest_memory *memory, size_t index);

/* The host pointer of [guest_addr, guest_addr + len), which must lie in one region; NULL otherwise. */
void *neep_guest_to_host(const struct neep_guest_memory *memory, uint64_t guest_addr, uint64_t len);

/* `size` contiguous bytes; up to half a page: aligned to 16 and possibly sharing a page, above: whole pages. Content
 * is undefined. Returns 0, -EINVAL for size 0 or -ENOMEM. */
int neep_guest_alloc(struct neep_guest_memory *memory, uint64_t size, struct neep_guest_buffer *buffer);

/* `size` bytes in single pages, of which no two neighbours are neighbours in guest memory. Returns 0, -EINVAL or
 * -ENOMEM. */
int neep_guest_alloc_scattered(
	struct neep_guest_memory *memory, uint64_t size, struct neep_guest_buffer *buffer);

/* Gives the buffer back and zeroes it; one that holds nothing is fine. */
void neep_guest_free(struct neep_guest_memory *memory, struct neep_guest_buffer *buffer);

/* The pieces of a buffer, piece_count of them. */
static inline const struct neep_guest_piece *neep_guest_pieces(const struct neep_guest_buffer *buffer) {
	return buffer->pieces != NULL ? buffer->pieces : &buffer->first;
}

/* Bytes that are not handed out. */
uint64_t neep_guest_memory_free_bytes(const struct neep_guest_memory *memory);

#endif
