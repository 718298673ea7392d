#include "rutabaga/mapping.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/macros.h"

struct mapping {
	struct neep_rutabaga_mapping base;
	_Atomic uint32_t refs; // atomic: any holder
};

static struct mapping *from_base(struct neep_rutabaga_mapping *base) {
	return neep_container_of(base, struct mapping, base);
}

static int protection(uint32_t map_info) {
	switch (map_info & RUTABAGA_MAP_ACCESS_MASK) {
	case RUTABAGA_MAP_ACCESS_READ:
		return PROT_READ;
	case RUTABAGA_MAP_ACCESS_WRITE:
		return PROT_WRITE;
	default:
		return PROT_READ | PROT_WRITE;
	}
}

static bool round_to_pages(uint64_t size, size_t *rounded) {
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (!neep_add(size, page - 1, rounded)) {
		return false;
	}
	*rounded &= ~(page - 1);
	return true;
}

int neep_mapping_create(int fd, uint64_t size, uint32_t map_info, struct neep_rutabaga_mapping **out) {
	size_t len;
	if (!round_to_pages(size, &len)) {
		return -EOVERFLOW;
	}
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	if (mapping == NULL) {
		return -ENOMEM;
	}
	void *ptr = mmap(NULL, len, protection(map_info), MAP_SHARED, fd, 0);
	if (ptr == MAP_FAILED) {
		int rc = -errno;
		free(mapping);
		return rc;
	}
	mapping->base = (struct neep_rutabaga_mapping){ .ptr = ptr, .size = len };
	atomic_init(&mapping->refs, 1);
	*out = &mapping->base;
	return 0;
}

struct neep_rutabaga_mapping *neep_rutabaga_mapping_ref(struct neep_rutabaga_mapping *mapping) {
	if (mapping != NULL) {
		atomic_fetch_add_explicit(&from_base(mapping)->refs, 1, memory_order_relaxed);
	}
	return mapping;
}

static bool drop(struct neep_rutabaga_mapping *mapping) {
	return atomic_fetch_sub_explicit(&from_base(mapping)->refs, 1, memory_order_acq_rel) == 1;
}

void neep_rutabaga_mapping_unref(struct neep_rutabaga_mapping *mapping) {
	if (mapping != NULL && drop(mapping)) {
		munmap(mapping->ptr, mapping->size);
		free(from_base(mapping));
	}
}

static void bury(struct neep_morgue *morgue, void *ptr, size_t size) {
	/* When the kernel has no room for one more range, the blob's own pages rest instead. */
	(void)mmap(ptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		-1, 0);
	size_t slot = morgue->next++ % NEEP_MORGUE_SLOTS;
	if (morgue->slots[slot].ptr != NULL) {
		munmap(morgue->slots[slot].ptr, morgue->slots[slot].size);
	}
	morgue->slots[slot].ptr = ptr;
	morgue->slots[slot].size = size;
}

void neep_mapping_retire(struct neep_rutabaga_mapping *mapping, struct neep_morgue *morgue) {
	if (drop(mapping)) {
		bury(morgue, mapping->ptr, mapping->size);
		free(from_base(mapping));
	}
}

void neep_morgue_finish(struct neep_morgue *morgue) {
	for (size_t i = 0; i < NEEP_MORGUE_SLOTS; i++) {
		if (morgue->slots[i].ptr != NULL) {
			munmap(morgue->slots[i].ptr, morgue->slots[i].size);
		}
	}
	*morgue = (struct neep_morgue){ .next = 0 };
}
