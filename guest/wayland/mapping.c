#include "wayland/mapping.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/macros.h"

/* What the thread copies from. A signal handler has no other way to know. */
static _Thread_local struct neep_wl_mapping *volatile copying;
static struct sigaction previous_action; // written before the handler is installed

/* Files of huge pages are mapped, and unmapped, in such pages only. */
static size_t page_size_of(int fd) {
	struct statfs fs;
	bool is_huge = fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
	return is_huge ? (size_t)fs.f_bsize : (size_t)sysconf(_SC_PAGESIZE);
}

/* What `size` bytes take in the address space; 0: more than there is. */
static size_t mapped_len(const struct neep_wl_mapping *mapping, size_t size) {
	size_t len;
	return neep_add(size, mapping->page_size - 1, &len) ? len - len % mapping->page_size : 0;
}

static bool is_within(const struct neep_wl_mapping *mapping, const void *address) {
	return mapping != NULL &&
	       (uintptr_t)address - (uintptr_t)mapping->data < mapped_len(mapping, mapping->size);
}

/* Puts zeros in place of the file, for good, and lets the copy go on. Anyone else's fault happens again, with the action
 * that was there before us. */
static void on_bus_error(int signal, siginfo_t *info, void *context) {
	(void)context;
	struct neep_wl_mapping *mapping = copying;
	int saved_errno = errno;
	if (!is_within(mapping, info->si_addr) ||
		mmap(mapping->data, mapped_len(mapping, mapping->size), PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		sigaction(signal, &previous_action, NULL);
	} else {
		mapping->is_broken = true;
	}
	errno = saved_errno;
}

/* Asks each time: a library may have put its own in place since. */
static void install_handler(void) {
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction current;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, NULL, &current);
	if (current.sa_sigaction != on_bus_error) {
		previous_action = current;
		sigaction(SIGBUS, &action, NULL);
	}
}

int neep_wl_mapping_init(struct neep_wl_mapping *mapping, int fd, size_t size) {
	install_handler();
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		*mapping = (struct neep_wl_mapping){ 0 };
		return -errno;
	}
	*mapping = (struct neep_wl_mapping){ .data = data, .size = size, .page_size = page_size_of(fd) };
	return 0;
}

void neep_wl_mapping_finish(struct neep_wl_mapping *mapping) {
	if (mapping->data != NULL) {
		munmap(mapping->data, mapped_len(mapping, mapping->size));
	}
	*mapping = (struct neep_wl_mapping){ 0 };
}

int neep_wl_mapping_grow(struct neep_wl_mapping *mapping, size_t size) {
	void *data = mremap(
		mapping->data, mapped_len(mapping, mapping->size), mapped_len(mapping, size), MREMAP_MAYMOVE);
	if (data == MAP_FAILED) {
		return -errno;
	}
	mapping->data = data;
	mapping->size = size;
	return 0;
}

bool neep_wl_mapping_read(struct neep_wl_mapping *mapping, const struct neep_wl_rows *rows) {
	const uint8_t *from = mapping->data + rows->from;
	copying = mapping;
	// The handler sees who copies for as long as somebody does.
	atomic_signal_fence(memory_order_seq_cst);
	if (rows->row_size == rows->stride) {
		memcpy(rows->to, from, rows->stride * rows->count);
	} else {
		for (size_t row = 0; row < rows->count; row++) {
			memcpy(rows->to + row * rows->stride, from + row * rows->stride, rows->row_size);
		}
	}
	atomic_signal_fence(memory_order_seq_cst);
	copying = NULL;
	return !mapping->is_broken;
}
