#include "virtio/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/fd.h"
#include "util/log.h"
#include "virtio/sigbus.h"

struct memory_region {
	struct neep_memory_region_info info;
	dev_t device; // with `inode`: which file this is
	ino_t inode;
	int fd;        // -1 once mapped, unless is_whole, or when mapping failed
	uint8_t *host; // of guest_addr; NULL while not mapped
	void *mapping; // what was mapped: `host` less the part of its page that lies before the region
	size_t mapping_len;
	int guard;     // slot of the SIGBUS guard, -1 for none
	bool is_whole; // all of a file that cannot become shorter
	bool is_kept;  // by the replace() that is under way
};

/* The regions in the order of their addresses, once for each address space. */
struct region_table {
	size_t count;
	struct memory_region *by_guest[NEEP_MEMORY_REGIONS_MAX];
	struct memory_region *by_user[NEEP_MEMORY_REGIONS_MAX];
};

/* The region of the last hit. size 0 is "none" */
struct memory_window {
	uint64_t start;
	uint64_t size;
	uint8_t *host;
};

struct neep_memory {
	struct memory_window guest_window; // first, since every descriptor passes here
	struct memory_window user_window;
	struct neep_list listeners; // neep_memory_listener.link
	struct region_table table;
};

struct neep_memory *neep_memory_create(void) {
	struct neep_memory *memory = calloc(1, sizeof(*memory));
	if (memory == NULL) {
		return NULL;
	}
	neep_list_init(&memory->listeners);
	return memory;
}

void neep_memory_add_listener(struct neep_memory *memory, struct neep_memory_listener *listener) {
	neep_list_append(&memory->listeners, &listener->link);
}

void neep_memory_remove_listener(struct neep_memory_listener *listener) {
	neep_list_remove(&listener->link);
}

size_t neep_memory_region_count(const struct neep_memory *memory) {
	return memory->table.count;
}

/* ---- Regions ---- */

static int region_check_sums(const struct neep_memory_region_info *info, struct neep_error *error) {
	uint64_t end;
	int64_t file_end;
	if (info->size == 0) {
		return neep_error_set(error, EINVAL, "memory region at 0x%llx is empty",
			(unsigned long long)info->guest_addr);
	}
	if (!neep_add(info->guest_addr, info->size, &end) || !neep_add(info->user_addr, info->size, &end) ||
		!neep_add(info->mmap_offset, info->size, &file_end)) {
		return neep_error_set(error, EINVAL, "memory region at 0x%llx of 0x%llx bytes wraps around",
			(unsigned long long)info->guest_addr, (unsigned long long)info->size);
	}
	return 0;
}

static int region_check_file(
	const struct neep_memory_region_info *info, const struct stat *file, struct neep_error *error) {
	/* Other kinds of memory, such as dma-bufs, do not tell their size here. */
	if (S_ISREG(file->st_mode) &&
		!neep_range_within(info->mmap_offset, info->size, (uint64_t)file->st_size)) {
		return neep_error_set(error, EINVAL, "memory region at 0x%llx goes beyond its file",
			(unsigned long long)info->guest_addr);
	}
	return 0;
}

static bool region_is_whole(const struct neep_memory_region_info *info, int fd, const struct stat *file) {
	int seals = fcntl(fd, F_GET_SEALS);
	return info->mmap_offset == 0 && S_ISREG(file->st_mode) && info->size == (uint64_t)file->st_size &&
	       seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

/* Takes owned_fd in every case. */
static struct memory_region *region_create(
	const struct neep_memory_region_info *info, int owned_fd, struct neep_error *error) {
	neep_autoclose int fd = owned_fd;
	struct stat file;
	if (region_check_sums(info, error) < 0) {
		return NULL;
	}
	if (fstat(fd, &file) < 0) {
		neep_error_set(error, errno, "memory region at 0x%llx has no usable file",
			(unsigned long long)info->guest_addr);
		return NULL;
	}
	if (region_check_file(info, &file, error) < 0) {
		return NULL;
	}
	struct memory_region *region = malloc(sizeof(*region));
	if (region == NULL) {
		neep_error_set(error, ENOMEM, "no memory for a memory region");
		return NULL;
	}
	*region = (struct memory_region){
		.info = *info,
		.device = file.st_dev,
		.inode = file.st_ino,
		.guard = -1,
		.is_whole = region_is_whole(info, fd, &file),
	};
	region->fd = neep_steal_fd(&fd);
	return region;
}

static void region_destroy(struct memory_region *region) {
	if (region->mapping != NULL) {
		neep_sigbus_unguard(region->guard);
		munmap(region->mapping, region->mapping_len);
	}
	neep_close_fd(&region->fd);
	free(region);
}

static size_t fd_page_size(int fd) {
	struct statfs fs;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
		return (size_t)fs.f_bsize;
	}
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The kernel maps whole pages only: the mapping starts `slack` bytes before the region. */
static bool region_do_map(struct memory_region *region) {
	size_t page_size = fd_page_size(region->fd);
	uint64_t slack = region->info.mmap_offset % page_size;
	uint64_t len;
	if (!neep_add(region->info.size, slack + page_size - 1, &len)) {
		return false;
	}
	len -= len % page_size;
	void *mapping = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, region->fd,
		(off_t)(region->info.mmap_offset - slack));
	if (mapping == MAP_FAILED) {
		return false;
	}
	madvise(mapping, len, MADV_DONTDUMP);
	region->guard = neep_sigbus_guard(mapping, len, page_size);
	region->mapping = mapping;
	region->mapping_len = len;
	region->host = (uint8_t *)mapping + slack;
	return true;
}

/* Maps the region at its first use. One try: the fd is given up either way, since the mapping keeps the file; but for one
 * that neep_memory_file() may be asked for. */
static bool region_map(struct memory_region *region) {
	if (region->host != NULL) {
		return true;
	}
	if (region->fd < 0) {
		return false;
	}
	if (!region_do_map(region)) {
		neep_log("virtio", NEEP_LOG_ERROR, "cannot map the memory region at 0x%llx: %s",
			(unsigned long long)region->info.guest_addr, strerror(errno));
	}
	if (region->host == NULL || !region->is_whole) {
		neep_close_fd(&region->fd);
	}
	return region->host != NULL;
}

static bool region_is_same(const struct memory_region *a, const struct memory_region *b) {
	bool is_usable = a->host != NULL || a->fd >= 0;
	return is_usable && a->info.guest_addr == b->info.guest_addr && a->info.size == b->info.size &&
	       a->info.user_addr == b->info.user_addr && a->info.mmap_offset == b->info.mmap_offset &&
	       a->device == b->device && a->inode == b->inode;
}

/* ---- The table ---- */

static uint64_t region_start(const struct memory_region *region, bool is_user) {
	return is_user ? region->info.user_addr : region->info.guest_addr;
}

/* The number of regions that start at or below `addr`. */
static size_t order_rank(struct memory_region *const *order, size_t count, uint64_t addr, bool is_user) {
	size_t low = 0;
	while (low < count) {
		size_t middle = low + (count - low) / 2;
		if (region_start(order[middle], is_user) <= addr) {
			low = middle + 1;
		} else {
			count = middle;
		}
	}
	return low;
}

static struct memory_region *order_find(
	struct memory_region *const *order, size_t count, uint64_t addr, bool is_user) {
	size_t rank = order_rank(order, count, addr, is_user);
	if (rank == 0 || addr - region_start(order[rank - 1], is_user) >= order[rank - 1]->info.size) {
		return NULL;
	}
	return order[rank - 1];
}

static bool order_is_free(
	struct memory_region *const *order, size_t count, const struct memory_region *region, bool is_user) {
	uint64_t start = region_start(region, is_user);
	size_t rank = order_rank(order, count, start, is_user);
	if (rank > 0 && start - region_start(order[rank - 1], is_user) < order[rank - 1]->info.size) {
		return false;
	}
	return rank == count || region_start(order[rank], is_user) - start >= region->info.size;
}

static void order_insert(
	struct memory_region **order, size_t count, struct memory_region *region, bool is_user) {
	size_t rank = order_rank(order, count, region_start(region, is_user), is_user);
	memmove(&order[rank + 1], &order[rank], (count - rank) * sizeof(*order));
	order[rank] = region;
}

static void order_remove(struct memory_region **order, size_t count, const struct memory_region *region) {
	size_t i = 0;
	while (order[i] != region) {
		i++;
	}
	memmove(&order[i], &order[i + 1], (count - i - 1) * sizeof(*order));
}

static int table_insert(struct region_table *table, struct memory_region *region, struct neep_error *error) {
	if (table->count == NEEP_MEMORY_REGIONS_MAX) {
		return neep_error_set(error, ENOSPC, "more than %d memory regions", NEEP_MEMORY_REGIONS_MAX);
	}
	if (!order_is_free(table->by_guest, table->count, region, false) ||
		!order_is_free(table->by_user, table->count, region, true)) {
		return neep_error_set(error, EEXIST, "memory region at 0x%llx overlaps another",
			(unsigned long long)region->info.guest_addr);
	}
	order_insert(table->by_guest, table->count, region, false);
	order_insert(table->by_user, table->count, region, true);
	table->count++;
	return 0;
}

static void forget_windows(struct neep_memory *memory) {
	memory->guest_window = (struct memory_window){ 0 };
	memory->user_window = (struct memory_window){ 0 };
}

/* The region is in no table any more, so that nobody who is told can find it again. */
static void retire(struct neep_memory *memory, struct memory_region *region) {
	if (region->host != NULL) {
		neep_list_for_each_safe (listener, &memory->listeners, struct neep_memory_listener, link) {
			listener->removed(listener, region->host, region->info.size);
		}
	}
	region_destroy(region);
}

void neep_memory_destroy(struct neep_memory *memory) {
	if (memory == NULL) {
		return;
	}
	size_t count = memory->table.count;
	memory->table.count = 0;
	forget_windows(memory);
	for (size_t i = 0; i < count; i++) {
		retire(memory, memory->table.by_guest[i]);
	}
	free(memory);
}

int neep_memory_add(struct neep_memory *memory, const struct neep_memory_region_info *info, int owned_fd,
	struct neep_error *error) {
	struct neep_error local = { 0 };
	struct memory_region *region = region_create(info, owned_fd, &local);
	int result = region != NULL ? table_insert(&memory->table, region, &local) : -local.code;
	if (result < 0) {
		if (region != NULL) {
			region_destroy(region);
		}
		if (error != NULL) {
			*error = local;
		}
	}
	return result;
}

int neep_memory_remove(struct neep_memory *memory, const struct neep_memory_region_info *info) {
	struct region_table *table = &memory->table;
	struct memory_region *region = order_find(table->by_guest, table->count, info->guest_addr, false);
	if (region == NULL || region->info.guest_addr != info->guest_addr ||
		region->info.user_addr != info->user_addr || region->info.size != info->size) {
		return -ENOENT;
	}
	order_remove(table->by_guest, table->count, region);
	order_remove(table->by_user, table->count, region);
	table->count--;
	forget_windows(memory);
	retire(memory, region);
	return 0;
}

/* ---- Replacing the table ---- */

/* The old region that `fresh` stands for again, with `fresh` disposed of; or `fresh`. */
static struct memory_region *region_reuse(const struct region_table *old, struct memory_region *fresh) {
	struct memory_region *match = order_find(old->by_guest, old->count, fresh->info.guest_addr, false);
	if (match == NULL || match->is_kept || !region_is_same(match, fresh)) {
		return fresh;
	}
	match->is_kept = true;
	region_destroy(fresh);
	return match;
}

/* `error` must not be NULL. */
static int table_build(struct region_table *table, const struct region_table *old,
	const struct neep_memory_region_info *info, int owned_fd, struct neep_error *error) {
	struct memory_region *region = region_create(info, owned_fd, error);
	if (region == NULL) {
		return -error->code;
	}
	region = region_reuse(old, region);
	int result = table_insert(table, region, error);
	if (result < 0 && !region->is_kept) {
		region_destroy(region);
	}
	return result;
}

static void table_drop_fresh(struct region_table *table) {
	for (size_t i = 0; i < table->count; i++) {
		if (!table->by_guest[i]->is_kept) {
			region_destroy(table->by_guest[i]);
		}
	}
}

static void table_clear_kept(struct region_table *table) {
	for (size_t i = 0; i < table->count; i++) {
		table->by_guest[i]->is_kept = false;
	}
}

/* Moves the regions of `old` that are not kept to `gone` and returns their number. */
static size_t table_take_gone(const struct region_table *old, struct memory_region **gone) {
	size_t count = 0;
	for (size_t i = 0; i < old->count; i++) {
		if (!old->by_guest[i]->is_kept) {
			gone[count++] = old->by_guest[i];
		}
	}
	return count;
}

/* Makes `fresh` the table of `memory`. `gone` is scratch space for all old regions. */
static void memory_install(
	struct neep_memory *memory, const struct region_table *fresh, struct memory_region **gone) {
	size_t gone_count = table_take_gone(&memory->table, gone);
	memory->table = *fresh;
	table_clear_kept(&memory->table);
	forget_windows(memory);
	for (size_t i = 0; i < gone_count; i++) {
		retire(memory, gone[i]);
	}
}

int neep_memory_replace(struct neep_memory *memory, const struct neep_memory_region_info *infos,
	int *owned_fds, size_t count, struct neep_error *error) {
	struct neep_error local = { 0 };
	int result = 0;
	struct memory_region *gone[NEEP_MEMORY_REGIONS_MAX];
	struct region_table *fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL) {
		result = neep_error_set(&local, ENOMEM, "no memory for a memory table");
	}
	for (size_t i = 0; i < count; i++) {
		if (result == 0) {
			result = table_build(
				fresh, &memory->table, &infos[i], neep_steal_fd(&owned_fds[i]), &local);
		}
		neep_close_fd(&owned_fds[i]);
	}
	if (result == 0) {
		memory_install(memory, fresh, gone);
	} else if (fresh != NULL) {
		table_drop_fresh(fresh);
		table_clear_kept(&memory->table);
	}
	free(fresh);
	if (result < 0 && error != NULL) {
		*error = local;
	}
	return result;
}

/* ---- Translation ---- */

/* Makes `window` the region that holds `addr`. */
static bool window_seek(
	struct neep_memory *memory, struct memory_window *window, uint64_t addr, bool is_user) {
	const struct region_table *table = &memory->table;
	struct memory_region *const *order = is_user ? table->by_user : table->by_guest;
	struct memory_region *region = order_find(order, table->count, addr, is_user);
	if (region == NULL || !region_map(region)) {
		return false;
	}
	*window = (struct memory_window){
		.start = region_start(region, is_user), .size = region->info.size, .host = region->host
	};
	return true;
}

void *neep_memory_translate(
	struct neep_memory *memory, uint64_t guest_addr, uint64_t len, uint64_t *contiguous) {
	struct memory_window *window = &memory->guest_window;
	if (guest_addr - window->start >= window->size && !window_seek(memory, window, guest_addr, false)) {
		return NULL;
	}
	uint64_t offset = guest_addr - window->start;
	uint64_t left = window->size - offset;
	*contiguous = len < left ? len : left;
	return len > 0 ? window->host + offset : NULL;
}

int neep_memory_file(const struct neep_memory *memory, const void *host, uint64_t len) {
	const struct region_table *table = &memory->table;
	for (size_t i = 0; i < table->count; i++) {
		const struct memory_region *region = table->by_guest[i];
		if (region->host == host && host != NULL) {
			return region->is_whole && region->info.size == len ? region->fd : -1;
		}
	}
	return -1;
}

void *neep_memory_translate_user(struct neep_memory *memory, uint64_t user_addr, uint64_t len) {
	struct memory_window *window = &memory->user_window;
	if (user_addr - window->start >= window->size && !window_seek(memory, window, user_addr, true)) {
		return NULL;
	}
	uint64_t offset = user_addr - window->start;
	if (len == 0 || len > window->size - offset) {
		return NULL;
	}
	return window->host + offset;
}
