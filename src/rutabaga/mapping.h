/* Mappings of blobs into this process, and what keeps late readers safe after the unmap.
 *
 * A VMM that unmaps a blob cannot know that none of its threads (an RCU reader, a DMA map, a vCPU in flight) still
 * uses the address. So an address is never given back at once: the blob's pages are replaced by private zero pages,
 * which cost nothing until written, and the range rests in the morgue until many others have followed. A holder that
 * does count (neep_rutabaga_mapping_ref()) keeps the pages themselves. */
#ifndef NEEP_RUTABAGA_MAPPING_H
#define NEEP_RUTABAGA_MAPPING_H

#include <stdint.h>

#include "rutabaga/api.h"

/* How many dead ranges rest, the oldest goes first. */
#define NEEP_MORGUE_SLOTS 256

struct neep_morgue {
	struct {
		void *ptr;
		size_t size;
	} slots[NEEP_MORGUE_SLOTS];
	size_t next;
};

/* Gives all ranges back. */
void neep_morgue_finish(struct neep_morgue *morgue);

/* Maps `size` bytes (rounded up to pages) of fd, which is borrowed; map_info says with which access. One reference.
 * Returns 0 or a negative errno. */
int neep_mapping_create(int fd, uint64_t size, uint32_t map_info, struct neep_rutabaga_mapping **mapping);

/* Drops the reference of a resource. */
void neep_mapping_retire(struct neep_rutabaga_mapping *mapping, struct neep_morgue *morgue);

#endif
