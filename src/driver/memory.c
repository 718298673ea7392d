#include "driver/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/fd.h"
#include "util/list.h"

#define SMALL_MIN    UINT64_C(16)
#define SMALL_MAX    (NEEP_GUEST_PAGE_SIZE / 2)
#define SMALL_LEVELS 8 // 16, 32 ... 2048

/* Free whole pages, never adjacent to another run of the same region. */
struct free_run {
	struct neep_list link; // neep_guest_memory.free_runs, by address
	uint64_t guest_addr;
	uint64_t size;
	size_t region;
};

/* Free objects of one size. They are kept here and not in the objects, which the device may write. */
struct small_pool {
	uint64_t *guest_addrs; // of the free ones
	size_t count;
	size_t capacity; // of guest_addrs
	size_t objects;  // free or not
};

struct neep_guest_memory {
	struct neep_guest_region regions[NEEP_GUEST_REGIONS_MAX];
	size_t region_count;
	int fd;
	struct neep_list free_runs; // free_run.link
	struct small_pool small[SMALL_LEVELS];
	uint64_t free_bytes;
};

static int insert_run(struct neep_list *after, uint64_t guest_addr, uint64_t size, size_t region) {
	struct free_run *run = calloc(1, sizeof(*run));
	if (run == NULL) {
		return -ENOMEM;
	}
	*run = (struct free_run){ .guest_addr = guest_addr, .size = size, .region = region };
	neep_list_insert(after, &run->link);
	return 0;
}

static void drop_run(struct free_run *run) {
	neep_list_remove(&run->link);
	free(run);
}

static int map_region(
	struct neep_guest_memory *memory, const struct neep_guest_layout *layout, uint64_t size) {
	size_t index = memory->region_count;
	uint64_t fd_offset = index * size;
	void *host = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory->fd, (off_t)fd_offset);
	if (host == MAP_FAILED) {
		return -errno;
	}
	memory->regions[index] = (struct neep_guest_region){
		.guest_addr = layout->guest_addr + index * (size + layout->gap),
		.size = size,
		.fd_offset = fd_offset,
		.fd = memory->fd,
		.host = host,
	};
	memory->region_count++;
	memory->free_bytes += size;
	return insert_run(memory->free_runs.prev, memory->regions[index].guest_addr, size, index);
}

static bool layout_is_valid(const struct neep_guest_layout *layout) {
	uint64_t unit = layout->region_count * NEEP_GUEST_PAGE_SIZE;
	return layout->region_count >= 1 && layout->region_count <= NEEP_GUEST_REGIONS_MAX &&
	       layout->size > 0 && layout->size % unit == 0 && layout->gap % NEEP_GUEST_PAGE_SIZE == 0 &&
	       layout->guest_addr % NEEP_GUEST_PAGE_SIZE == 0;
}

struct neep_guest_memory *neep_guest_memory_create(
	const struct neep_guest_layout *layout, struct neep_error *error) {
	if (!layout_is_valid(layout)) {
		neep_error_set(error, EINVAL, "guest memory: size, gap and addresses must be whole pages");
		return NULL;
	}
	struct neep_guest_memory *memory = calloc(1, sizeof(*memory));
	if (memory == NULL) {
		neep_error_set(error, ENOMEM, "guest memory");
		return NULL;
	}
	neep_list_init(&memory->free_runs);
	memory->fd = neep_memfd_create("guest-memory", layout->size);
	int result = memory->fd < 0 ? memory->fd : 0;
	while (result == 0 && memory->region_count < layout->region_count) {
		result = map_region(memory, layout, layout->size / layout->region_count);
	}
	if (result < 0) {
		neep_error_set(error, -result, "guest memory of %" PRIu64 " bytes", layout->size);
		neep_guest_memory_destroy(memory);
		return NULL;
	}
	return memory;
}

void neep_guest_memory_destroy(struct neep_guest_memory *memory) {
	if (memory == NULL) {
		return;
	}
	neep_list_for_each_safe (run, &memory->free_runs, struct free_run, link) {
		drop_run(run);
	}
	for (size_t i = 0; i < memory->region_count; i++) {
		munmap(memory->regions[i].host, memory->regions[i].size);
	}
	for (size_t i = 0; i < SMALL_LEVELS; i++) {
		free(memory->small[i].guest_addrs);
	}
	neep_close_fd(&memory->fd);
	free(memory);
}

size_t neep_guest_region_count(const struct neep_guest_memory *memory) {
	return memory->region_count;
}

const struct neep_guest_region *neep_guest_region(const struct neep_guest_memory *memory, size_t index) {
	return &memory->regions[index];
}

void *neep_guest_to_host(const struct neep_guest_memory *memory, uint64_t guest_addr, uint64_t len) {
	for (size_t i = 0; i < memory->region_count; i++) {
		const struct neep_guest_region *region = &memory->regions[i];
		uint64_t offset = guest_addr - region->guest_addr;
		if (guest_addr >= region->guest_addr && offset < region->size &&
			len <= region->size - offset) {
			return (char *)region->host + offset;
		}
	}
	return NULL;
}

uint64_t neep_guest_memory_free_bytes(const struct neep_guest_memory *memory) {
	return memory->free_bytes;
}

static uint64_t round_to_pages(uint64_t size) {
	return (size + NEEP_GUEST_PAGE_SIZE - 1) & ~(NEEP_GUEST_PAGE_SIZE - 1);
}

/* First fit. `size` is whole pages. */
static int take_pages(struct neep_guest_memory *memory, uint64_t size, uint64_t *guest_addr) {
	neep_list_for_each (run, &memory->free_runs, struct free_run, link) {
		if (run->size < size) {
			continue;
		}
		*guest_addr = run->guest_addr;
		run->guest_addr += size;
		run->size -= size;
		memory->free_bytes -= size;
		if (run->size == 0) {
			drop_run(run);
		}
		return 0;
	}
	return -ENOMEM;
}

static size_t region_of(const struct neep_guest_memory *memory, uint64_t guest_addr) {
	size_t index = 0;
	while (guest_addr - memory->regions[index].guest_addr >= memory->regions[index].size) {
		index++;
	}
	return index;
}

static struct free_run *run_at(struct neep_guest_memory *memory, struct neep_list *link) {
	return link == &memory->free_runs ? NULL : neep_container_of(link, struct free_run, link);
}

static void give_pages(struct neep_guest_memory *memory, uint64_t guest_addr, uint64_t size) {
	size_t region = region_of(memory, guest_addr);
	struct neep_list *link = memory->free_runs.next;
	while (link != &memory->free_runs && run_at(memory, link)->guest_addr < guest_addr) {
		link = link->next;
	}
	struct free_run *after = run_at(memory, link);
	struct free_run *before = run_at(memory, link->prev);
	bool joins_before =
		before != NULL && before->region == region && before->guest_addr + before->size == guest_addr;
	bool joins_after = after != NULL && after->region == region && guest_addr + size == after->guest_addr;
	memory->free_bytes += size;
	if (joins_before) {
		before->size += size + (joins_after ? after->size : 0);
		if (joins_after) {
			drop_run(after);
		}
	} else if (joins_after) {
		after->guest_addr = guest_addr;
		after->size += size;
	} else {
		/* For want of a node the pages stay unused, which only wastes them. */
		insert_run(link->prev, guest_addr, size, region);
	}
}

static size_t small_level(uint64_t size) {
	size_t level = 0;
	while (SMALL_MIN << level < size) {
		level++;
	}
	return level;
}

static int pool_reserve(struct small_pool *pool, size_t capacity) {
	if (pool->capacity >= capacity) {
		return 0;
	}
	uint64_t *grown = realloc(pool->guest_addrs, 2 * capacity * sizeof(*grown));
	if (grown == NULL) {
		return -ENOMEM;
	}
	pool->guest_addrs = grown;
	pool->capacity = 2 * capacity;
	return 0;
}

/* Every object of the page can come back at once, so room for all of them is reserved together with the page: giving
 * an object back never fails. */
static int pool_refill(struct neep_guest_memory *memory, size_t level) {
	struct small_pool *pool = &memory->small[level];
	uint64_t step = SMALL_MIN << level;
	size_t objects = NEEP_GUEST_PAGE_SIZE / step;
	uint64_t page;
	if (pool_reserve(pool, pool->objects + objects) < 0 ||
		take_pages(memory, NEEP_GUEST_PAGE_SIZE, &page) < 0) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < objects; i++) {
		pool->guest_addrs[pool->count++] = page + i * step;
	}
	pool->objects += objects;
	memory->free_bytes += NEEP_GUEST_PAGE_SIZE;
	return 0;
}

static int take_small(struct neep_guest_memory *memory, uint64_t size, uint64_t *guest_addr) {
	size_t level = small_level(size);
	struct small_pool *pool = &memory->small[level];
	if (pool->count == 0 && pool_refill(memory, level) < 0) {
		return -ENOMEM;
	}
	*guest_addr = pool->guest_addrs[--pool->count];
	memory->free_bytes -= SMALL_MIN << level;
	return 0;
}

static void give_small(struct neep_guest_memory *memory, uint64_t guest_addr, uint64_t size) {
	size_t level = small_level(size);
	struct small_pool *pool = &memory->small[level];
	pool->guest_addrs[pool->count++] = guest_addr;
	memory->free_bytes += SMALL_MIN << level;
}

int neep_guest_alloc(struct neep_guest_memory *memory, uint64_t size, struct neep_guest_buffer *buffer) {
	*buffer = (struct neep_guest_buffer){ 0 };
	if (size == 0) {
		return -EINVAL;
	}
	if (size > memory->free_bytes) {
		return -ENOMEM;
	}
	uint64_t guest_addr;
	int result = size <= SMALL_MAX ? take_small(memory, size, &guest_addr)
				       : take_pages(memory, round_to_pages(size), &guest_addr);
	if (result < 0) {
		return result;
	}
	*buffer = (struct neep_guest_buffer){
		.size = size,
		.first = { .guest_addr = guest_addr,
			.host = neep_guest_to_host(memory, guest_addr, size),
			.len = size },
		.piece_count = 1,
	};
	return 0;
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
	while (b != 0) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* A step that visits every one of `count` pages and never goes from a page to the one behind it. */
static uint64_t scatter_step(uint64_t count) {
	uint64_t step = count * 5 / 8;
	if (step < 2) {
		step = 2;
	}
	while (greatest_common_divisor(step, count) != 1) {
		step++;
	}
	return step % count == 1 ? count - 1 : step;
}

static void scatter(struct neep_guest_memory *memory, uint64_t guest_addr, struct neep_guest_buffer *buffer) {
	uint64_t count = buffer->piece_count;
	/* Two pages admit one order only: the second one first. */
	uint64_t page = count == 2 ? 1 : 0;
	uint64_t step = count > 2 ? scatter_step(count) : 1;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t left = buffer->size - i * NEEP_GUEST_PAGE_SIZE;
		struct neep_guest_piece *piece = &buffer->pieces[i];
		piece->guest_addr = guest_addr + page * NEEP_GUEST_PAGE_SIZE;
		piece->host = neep_guest_to_host(memory, piece->guest_addr, NEEP_GUEST_PAGE_SIZE);
		piece->len = left < NEEP_GUEST_PAGE_SIZE ? left : NEEP_GUEST_PAGE_SIZE;
		page = (page + step) % count;
	}
}

int neep_guest_alloc_scattered(
	struct neep_guest_memory *memory, uint64_t size, struct neep_guest_buffer *buffer) {
	*buffer = (struct neep_guest_buffer){ 0 };
	if (size == 0) {
		return -EINVAL;
	}
	if (size > memory->free_bytes) {
		return -ENOMEM;
	}
	uint64_t whole = round_to_pages(size);
	struct neep_guest_piece *pieces = calloc(whole / NEEP_GUEST_PAGE_SIZE, sizeof(*pieces));
	uint64_t guest_addr;
	if (pieces == NULL || take_pages(memory, whole, &guest_addr) < 0) {
		free(pieces);
		return -ENOMEM;
	}
	*buffer = (struct neep_guest_buffer){
		.size = size,
		.pieces = pieces,
		.piece_count = (uint32_t)(whole / NEEP_GUEST_PAGE_SIZE),
		.first = { .guest_addr = guest_addr },
	};
	scatter(memory, guest_addr, buffer);
	return 0;
}

void neep_guest_free(struct neep_guest_memory *memory, struct neep_guest_buffer *buffer) {
	if (buffer->size == 0) {
		return;
	}
	if (buffer->pieces != NULL || buffer->size > SMALL_MAX) {
		give_pages(memory, buffer->first.guest_addr, round_to_pages(buffer->size));
	} else {
		give_small(memory, buffer->first.guest_addr, buffer->size);
	}
	free(buffer->pieces);
	*buffer = (struct neep_guest_buffer){ 0 };
}
