/* Memory for the decoded form of one packet: allocations are a bump of a pointer, and all end together.
 *
 * The largest block is kept from packet to packet, so that a stream in its stride allocates nothing. One thread. */
#ifndef NEEP_VULKAN_ARENA_H
#define NEEP_VULKAN_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct neep_vk_arena_block;

struct neep_vk_arena {
	struct neep_vk_arena_block *block; // the newest; NULL: none yet
	uint8_t *cur;                      // of the newest block: where the free part starts
	uint8_t *end;
	size_t total; // bytes of all blocks
	size_t limit; // of total
};

/* Where the arena stood. */
struct neep_vk_arena_mark {
	struct neep_vk_arena_block *block;
	uint8_t *cur;
};

/* An empty arena of at most `limit` bytes. */
void neep_vk_arena_init(struct neep_vk_arena *arena, size_t limit);
void neep_vk_arena_finish(struct neep_vk_arena *arena);

/* Memory from a new block, for neep_vk_arena_alloc(). */
void *neep_vk_arena_grow(struct neep_vk_arena *arena, size_t size);

/* `size` bytes, aligned for any type, not zeroed; NULL at the limit or for want of memory. Never NULL for 0. */
static inline void *neep_vk_arena_alloc(struct neep_vk_arena *arena, size_t size) {
	/* Also when there is no block yet, whatever the size. */
	if (size >= (size_t)(arena->end - arena->cur)) {
		return neep_vk_arena_grow(arena, size);
	}
	uint8_t *ptr = arena->cur;
	/* Blocks are a multiple of the alignment, so that the end is never overrun. */
	arena->cur += (size + 15) & ~(size_t)15;
	return ptr;
}

static inline struct neep_vk_arena_mark neep_vk_arena_mark(const struct neep_vk_arena *arena) {
	return (struct neep_vk_arena_mark){ .block = arena->block, .cur = arena->cur };
}

/* Ends what was allocated since the mark. */
void neep_vk_arena_rewind_blocks(struct neep_vk_arena *arena, struct neep_vk_arena_mark mark);
static inline void neep_vk_arena_rewind(struct neep_vk_arena *arena, struct neep_vk_arena_mark mark) {
	if (arena->block == mark.block) {
		arena->cur = mark.cur;
		return;
	}
	neep_vk_arena_rewind_blocks(arena, mark);
}

/* Ends everything. */
void neep_vk_arena_reset(struct neep_vk_arena *arena);

#endif
