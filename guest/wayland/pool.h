/* A client's memory with pixels in it: what a wl_shm pool is made of, or a dma-buf. */
#ifndef NEEP_WAYLAND_POOL_H
#define NEEP_WAYLAND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"
#include "wayland/mapping.h"

struct neep_wl_shm;

/* Mappings of one client: a process has 65,530, for all clients. */
#define NEEP_WL_POOLS_MAX 4096

/* Counted: by its object, and by its buffers. */
struct neep_wl_pool {
	uint32_t refs;
	struct neep_wl_shm *shm;
	struct neep_wl_mapping mapping; // none: the compositor can be given the fd
	int fd;                         // a dma-buf; -1: of wl_shm
	size_t size;                    // of the dma-buf
	struct neep_source source;      // while a commit waits for what is drawn to the dma-buf
	struct neep_timer limit;        // of that
	bool is_late;                   // it has been waited for long enough
};

/* What takes longer to be drawn is shown as it is: kernels give hung GPUs up earlier, but programs can make files that are never ready. */
#define NEEP_WL_DRAWN_NS INT64_C(30000000000)

/* Of wl_shm, with nothing mapped yet. NULL: too many, or no memory. */
struct neep_wl_pool *neep_wl_pool_create(struct neep_wl_shm *shm);

/* Of a dma-buf, which stays the caller's if it fails: NULL also for what has no size or cannot be read. */
struct neep_wl_pool *neep_wl_pool_create_dmabuf(struct neep_wl_shm *shm, int *owned_fd);

struct neep_wl_pool *neep_wl_pool_ref(struct neep_wl_pool *pool);
void neep_wl_pool_unref(struct neep_wl_pool *pool);

static inline bool neep_wl_pool_is_dmabuf(const struct neep_wl_pool *pool) {
	return pool->fd >= 0;
}

/* Whether all that is drawn to it is drawn: always, for wl_shm. Else the client is resumed when it is (neep_wl_client_resume()). */
bool neep_wl_pool_is_drawn(struct neep_wl_pool *pool);

/* neep_wl_mapping_read(), with the dma-buf told of it. For pools with a mapping. */
bool neep_wl_pool_read(struct neep_wl_pool *pool, const struct neep_wl_rows *rows);

#endif
