#include "virtio/sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

/* A slot is free, then claimed, then it holds the address of a range. */
#define SLOT_FREE    ((uintptr_t)0)
#define SLOT_CLAIMED ((uintptr_t)1)

struct sigbus_range {
	_Atomic uintptr_t start;
	_Atomic uintptr_t end;
	_Atomic uintptr_t page_size;
};

/* File-scope, unlike all other state of the project but logging: the kernel calls the handler with nothing but an
 * address, and there is one handler per process. The ranges are written by their owners' threads and read by the
 * handler; a fault hits a range of the thread that owns it, which is not changing it at that moment. */
static struct sigbus_range ranges[NEEP_SIGBUS_RANGES_MAX];
static _Atomic int ranges_end; // slots at and above it were never used
static struct sigaction previous_action;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;

static struct sigbus_range *range_find(uintptr_t addr) {
	int end = atomic_load_explicit(&ranges_end, memory_order_acquire);
	for (int i = 0; i < end; i++) {
		uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);
		if (start > SLOT_CLAIMED && addr >= start && addr < atomic_load(&ranges[i].end)) {
			return &ranges[i];
		}
	}
	return NULL;
}

static bool plug(uintptr_t start, size_t len) {
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
	return mmap((void *)start, len, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

/* The page alone at first: the pages beside it may be fine. When the kernel has no more mappings to give, the
 * whole range becomes one. */
static bool range_repair(const struct sigbus_range *range, uintptr_t addr) {
	uintptr_t start = atomic_load(&range->start);
	uintptr_t page_size = atomic_load(&range->page_size);
	return plug(addr - (addr - start) % page_size, page_size) ||
	       plug(start, atomic_load(&range->end) - start);
}

static void pass_on(int signal_number, siginfo_t *info, void *context) {
	if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
		previous_action.sa_sigaction(signal_number, info, context);
		return;
	}
	if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
		previous_action.sa_handler(signal_number);
		return;
	}
	/* The faulting instruction runs again and meets the default action; a signal that somebody sent must be
	 * sent again for that. */
	sigaction(SIGBUS, &previous_action, NULL);
	if (info->si_code <= 0) {
		raise(SIGBUS);
	}
}

static void on_sigbus(int signal_number, siginfo_t *info, void *context) {
	int saved = errno;
	uintptr_t addr = (uintptr_t)info->si_addr;
	const struct sigbus_range *range = info->si_code > 0 ? range_find(addr) : NULL;
	if (range == NULL || !range_repair(range, addr)) {
		pass_on(signal_number, info, context);
	}
	errno = saved;
}

static void install(void) {
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, NULL, &previous_action);
	sigaction(SIGBUS, &action, NULL);
}

static void raise_ranges_end(int end) {
	int seen = atomic_load(&ranges_end);
	while (seen < end && !atomic_compare_exchange_weak(&ranges_end, &seen, end)) {
	}
}

int neep_sigbus_guard(void *base, size_t len, size_t page_size) {
	pthread_once(&install_once, install);
	for (int i = 0; i < NEEP_SIGBUS_RANGES_MAX; i++) {
		uintptr_t expected = SLOT_FREE;
		if (!atomic_compare_exchange_strong(&ranges[i].start, &expected, SLOT_CLAIMED)) {
			continue;
		}
		atomic_store(&ranges[i].end, (uintptr_t)base + len);
		atomic_store(&ranges[i].page_size, page_size);
		atomic_store_explicit(&ranges[i].start, (uintptr_t)base, memory_order_release);
		raise_ranges_end(i + 1);
		return i;
	}
	return -ENOSPC;
}

void neep_sigbus_unguard(int slot) {
	if (slot >= 0) {
		atomic_store_explicit(&ranges[slot].start, SLOT_FREE, memory_order_release);
	}
}
