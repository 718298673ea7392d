#include "wayland/pool.h"

#include <linux/dma-buf.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/fd.h"
#include "wayland/client.h"
#include "wayland/shm.h"

struct neep_wl_pool *neep_wl_pool_create(struct neep_wl_shm *shm) {
	struct neep_wl_pool *pool = shm->pool_count < NEEP_WL_POOLS_MAX ? calloc(1, sizeof(*pool)) : NULL;
	if (pool != NULL) {
		*pool = (struct neep_wl_pool){ .refs = 1, .shm = shm, .fd = -1 };
		shm->pool_count++;
	}
	return pool;
}

static void stop_waiting(struct neep_wl_pool *pool) {
	neep_source_remove(&pool->source);
	neep_timer_cancel(&pool->limit);
}

struct neep_wl_pool *neep_wl_pool_ref(struct neep_wl_pool *pool) {
	pool->refs++;
	return pool;
}

void neep_wl_pool_unref(struct neep_wl_pool *pool) {
	if (--pool->refs == 0) {
		pool->shm->pool_count--;
		stop_waiting(pool);
		neep_wl_mapping_finish(&pool->mapping);
		neep_close_fd(&pool->fd);
		free(pool);
	}
}

/* ---- dma-bufs ---- */

/* Kernels map blobs of a virtio-gpu whole or not at all; those that programs share are not to be mapped here, but known to the host. */
static bool take_memory(struct neep_wl_pool *pool, int fd) {
	struct neep_wl_host *host = pool->shm->mirrors.client->host;
	off_t size = lseek(fd, 0, SEEK_END);
	if (size <= 0) {
		return false;
	}
	pool->size = (size_t)size;
	bool is_passed = host->blobs_are_memory && neep_wl_host_can_pass(host, fd);
	return is_passed || neep_wl_mapping_init(&pool->mapping, fd, pool->size) == 0;
}

struct neep_wl_pool *neep_wl_pool_create_dmabuf(struct neep_wl_shm *shm, int *owned_fd) {
	struct neep_wl_pool *pool = neep_wl_pool_create(shm);
	if (pool == NULL) {
		return NULL;
	}
	if (!take_memory(pool, *owned_fd)) {
		neep_wl_pool_unref(pool);
		return NULL;
	}
	pool->fd = neep_steal_fd(owned_fd);
	return pool;
}

static void resume(struct neep_wl_pool *pool) {
	stop_waiting(pool);
	neep_wl_client_resume(pool->shm->mirrors.client);
}

static void on_drawn(struct neep_source *source, uint32_t events) {
	(void)events;
	resume(neep_container_of(source, struct neep_wl_pool, source));
}

static void on_limit(struct neep_timer *timer) {
	struct neep_wl_pool *pool = neep_container_of(timer, struct neep_wl_pool, limit);
	pool->is_late = true;
	resume(pool);
}

/* Returns false where it cannot be watched: then it has no fences. */
static bool start_waiting(struct neep_wl_pool *pool) {
	struct neep_loop *loop = pool->shm->mirrors.client->loop;
	if (pool->source.loop != NULL) {
		return true;
	}
	pool->source = (struct neep_source){ .fd = pool->fd, .ready = on_drawn };
	pool->limit.fire = on_limit;
	if (neep_source_add(loop, &pool->source, EPOLLIN) < 0) {
		return false;
	}
	neep_timer_arm(loop, &pool->limit, NEEP_WL_DRAWN_NS);
	return true;
}

bool neep_wl_pool_is_drawn(struct neep_wl_pool *pool) {
	struct pollfd poller = { .fd = pool->fd, .events = POLLIN };
	bool is_late = pool->is_late;
	pool->is_late = false;
	return !neep_wl_pool_is_dmabuf(pool) || is_late || poll(&poller, 1, 0) != 0 || !start_waiting(pool);
}

/* Nothing hangs on the answer: where the call is unknown, there are no caches to see to. */
static void tell(const struct neep_wl_pool *pool, uint64_t flags) {
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_READ };
	if (neep_wl_pool_is_dmabuf(pool)) {
		(void)ioctl(pool->fd, DMA_BUF_IOCTL_SYNC, &sync);
	}
}

bool neep_wl_pool_read(struct neep_wl_pool *pool, const struct neep_wl_rows *rows) {
	tell(pool, DMA_BUF_SYNC_START);
	bool is_good = neep_wl_mapping_read(&pool->mapping, rows);
	tell(pool, DMA_BUF_SYNC_END);
	return is_good;
}
