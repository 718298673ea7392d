/* The host-visible window as a VMM has it: reserved address space into which the back-end's fds are mapped.
 *
 * Refuses what QEMU refuses: overlap, ranges outside the window, length 0, offsets and lengths that are no whole pages,
 * files that are too short, fds that cannot be mapped for reading and writing. Not thread safe. */
#ifndef NEEP_DRIVER_WINDOW_H
#define NEEP_DRIVER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "vhost_user/protocol.h"

/* Where the window lies in guest-physical space: where a VMM may put a 64-bit BAR, above any guest memory here. */
#define NEEP_WINDOW_GUEST_ADDR UINT64_C(0xc000000000)

/* What the back-end has been told of a map as a memory region. */
enum neep_window_echo {
	NEEP_WINDOW_UNTOLD,
	NEEP_WINDOW_TOLD,
	NEEP_WINDOW_GONE, // told, and no longer mapped
};

struct neep_window_map {
	struct neep_list link; // neep_window.maps
	uint64_t offset;       // bytes into the window
	uint64_t len;
	uint64_t fd_offset;
	int fd; // owned; -1 when gone
	enum neep_window_echo echo;
};

struct neep_window {
	uint8_t shmem_id;
	uint64_t size; // 0: no window
	void *host;
	struct neep_list maps; // neep_window_map.link
	size_t live;           // maps that are not gone
};

/* An empty window of no size. */
void neep_window_init(struct neep_window *window);

/* Unmaps everything. */
void neep_window_finish(struct neep_window *window);

/* Reserves `size` bytes of address space. Returns 0 or a negative errno. */
int neep_window_reserve(struct neep_window *window, uint8_t shmem_id, uint64_t size);

/* SHMEM_MAP. Takes owned_fd in every case. Returns 0 or a negative errno. */
int neep_window_map(
	struct neep_window *window, const struct neep_vhost_user_shmem_map *request, int owned_fd);

/* SHMEM_UNMAP of exactly one map. Returns 0 or a negative errno. */
int neep_window_unmap(struct neep_window *window, const struct neep_vhost_user_shmem_map *request);

/* The map that begins at `offset`, or NULL. */
const struct neep_window_map *neep_window_find(const struct neep_window *window, uint64_t offset);

/* Unmaps every map. */
void neep_window_clear(struct neep_window *window);

/* The first map that the back-end must still be told of (untold or gone), or NULL. */
struct neep_window_map *neep_window_pending(struct neep_window *window);

/* The back-end was told: an untold map is told, a gone one is freed. */
void neep_window_told(struct neep_window_map *map);

/* The back-end was replaced by one that knows of nothing. */
void neep_window_forget_echoes(struct neep_window *window);

/* The region that a map is as guest memory. */
struct neep_vhost_user_region neep_window_region(
	const struct neep_window *window, const struct neep_window_map *map);

#endif
