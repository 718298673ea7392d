#include "vulkan/arena.h"

#include <stdlib.h>

#include "util/checked.h"

/* A block holds a packet of everyday size whole. */
#define FIRST_BLOCK (64u << 10)
/* What may stay allocated between two packets. */
#define KEEP_BYTES (4u << 20)

struct neep_vk_arena_block {
	struct neep_vk_arena_block *older;
	size_t size; // of data
	_Alignas(16) uint8_t data[];
};

void neep_vk_arena_init(struct neep_vk_arena *arena, size_t limit) {
	*arena = (struct neep_vk_arena){ .limit = limit };
}

static void use_block(struct neep_vk_arena *arena, struct neep_vk_arena_block *block, uint8_t *cur) {
	arena->block = block;
	arena->cur = cur;
	arena->end = block == NULL ? NULL : block->data + block->size;
}

static void drop_newest(struct neep_vk_arena *arena) {
	struct neep_vk_arena_block *block = arena->block;
	arena->total -= block->size;
	use_block(arena, block->older, NULL);
	free(block);
}

void neep_vk_arena_finish(struct neep_vk_arena *arena) {
	while (arena->block != NULL) {
		drop_newest(arena);
	}
}

/* Each block is at least as large as all before it, so that few are needed. */
static size_t block_size(const struct neep_vk_arena *arena, size_t size) {
	size_t wanted = arena->total > FIRST_BLOCK ? arena->total : FIRST_BLOCK;
	size_t left = arena->limit - arena->total;
	if (wanted > left) {
		wanted = left & ~(size_t)15;
	}
	return wanted > size ? wanted : size;
}

void *neep_vk_arena_grow(struct neep_vk_arena *arena, size_t size) {
	size_t rounded;
	if (!neep_add(size, (size_t)15, &rounded)) {
		return NULL;
	}
	rounded &= ~(size_t)15;
	if (rounded == 0) {
		rounded = 16;
	}
	size_t data_size = block_size(arena, rounded);
	size_t bytes;
	if (data_size > arena->limit - arena->total || !neep_add(data_size, sizeof(*arena->block), &bytes)) {
		return NULL;
	}
	struct neep_vk_arena_block *block = malloc(bytes);
	if (block == NULL) {
		return NULL;
	}
	block->older = arena->block;
	block->size = data_size;
	arena->total += data_size;
	use_block(arena, block, block->data + rounded);
	return block->data;
}

void neep_vk_arena_rewind_blocks(struct neep_vk_arena *arena, struct neep_vk_arena_mark mark) {
	if (mark.block == NULL) {
		neep_vk_arena_reset(arena);
		return;
	}
	while (arena->block != mark.block) {
		drop_newest(arena);
	}
	arena->cur = mark.cur;
}

void neep_vk_arena_reset(struct neep_vk_arena *arena) {
	struct neep_vk_arena_block *newest = arena->block;
	if (newest == NULL) {
		return;
	}
	/* The newest is the largest. */
	while (newest->older != NULL) {
		struct neep_vk_arena_block *older = newest->older;
		newest->older = older->older;
		arena->total -= older->size;
		free(older);
	}
	use_block(arena, newest, newest->data);
	if (newest->size > KEEP_BYTES) {
		drop_newest(arena);
	}
}
