/* The device process's half of renderers: starts `neep-renderer` (the spawner), has it fork a renderer per context, speaks
 * worker/protocol.h with both, and says how they ended.
 *
 * Nothing here waits for any of them. What is sent and does not fit into a socket queues up to a limit; a renderer that reaches
 * it, breaks the protocol or ends has lost its context: its owner is told, once, from neep_worker_pool_dispatch(), and once more
 * when the process is gone. One that does not end when its context did is killed.
 *
 * One thread at a time. Renderers are not trusted, the spawner is. */
#ifndef NEEP_WORKER_WORKER_H
#define NEEP_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/log.h"
#include "worker/protocol.h"

struct neep_worker;
struct neep_worker_pool;

/* Renderers of one pool, ending ones included. */
#define NEEP_WORKERS_MAX 1024

/* Whom the messages of a renderer are for. */
struct neep_worker_owner;
struct neep_worker_owner_impl {
	/* From dispatch or neep_worker_drain(). A negative errno ends the renderer: -ENOSPC for a blob too many, others where it
	 * broke the rules. owned_fd is sealed memory of at least blob->size bytes, and blob->map_info is one of
	 * RUTABAGA_MAP_CACHE_*. */
	int (*blob)(struct neep_worker_owner *owner, const struct neep_worker_blob *blob, int owned_fd);
	int (*sync_done)(struct neep_worker_owner *owner, uint64_t sync_id);
	/* The renderer does no more work, though its process may live for a while. From dispatch only. */
	void (*lost)(struct neep_worker_owner *owner);
	/* After that: its process is gone, and the struct neep_worker with it. From dispatch only. */
	void (*ended)(struct neep_worker_owner *owner);
};
struct neep_worker_owner {
	const struct neep_worker_owner_impl *impl;
};

/* Where lines for people go. */
struct neep_worker_speaker;
struct neep_worker_speaker_impl {
	void (*say)(struct neep_worker_speaker *speaker, enum neep_log_level level, const char *text);
};
struct neep_worker_speaker {
	const struct neep_worker_speaker_impl *impl;
};

/* Strings are copied. */
struct neep_worker_pool_options {
	const char *path;                    // of neep-renderer; NULL: it is searched for
	const char *const *arguments;        // for it, up to a NULL; may be NULL
	struct neep_worker_speaker *speaker; // borrowed, outlives the pool
};

/* Starts the spawner. It is `path`, or what the environment variable NEEP_RENDERER names, or neep-renderer beside this
 * program, or in the place where it was to be installed. NULL with `error` set. */
struct neep_worker_pool *neep_worker_pool_create(
	const struct neep_worker_pool_options *options, struct neep_error *error);

/* Ends all renderers without telling owners, and the spawner; waits a bounded time for the latter. NULL is fine. */
void neep_worker_pool_destroy(struct neep_worker_pool *pool);

/* Polls readable when dispatch has work. Borrowed. */
int neep_worker_pool_fd(const struct neep_worker_pool *pool);

/* The fd is readable at `at_ns` (neep_clock_ns()), too, for what its owner has to do then; 0: no more. */
void neep_worker_pool_set_alarm(struct neep_worker_pool *pool, int64_t at_ns);

/* Does what there is to do; never waits. */
void neep_worker_pool_dispatch(struct neep_worker_pool *pool);

/* Renderers that are alive, ending ones included. */
size_t neep_worker_pool_count(const struct neep_worker_pool *pool);

struct neep_worker_params {
	struct neep_worker_owner *owner; // borrowed until `ended` or neep_worker_close()
	uint32_t ctx_id;
	const char *name; // printable
	bool is_lost;     // as in struct neep_worker_spawn; nobody hears of its end but the owner
};

/* Has a renderer started, and the spawner before where it died. -EAGAIN: too soon after that; -ENOSPC: NEEP_WORKERS_MAX; or
 * what the system says. */
int neep_worker_start(
	struct neep_worker_pool *pool, const struct neep_worker_params *params, struct neep_worker **worker);

/* The context ends: closes the socket, and has the renderer killed if it does not end by itself. The owner hears no more. */
void neep_worker_close(struct neep_worker *worker);

/* Delivers what the renderer has sent so far. */
void neep_worker_drain(struct neep_worker *worker);

/* The messages of the protocol. fds are borrowed. What cannot be sent is noticed at the next dispatch. */
struct neep_worker_memory {
	uint32_t resource_id;
	uint64_t size;
	int fd;
};
void neep_worker_ring_add(struct neep_worker *worker, const struct neep_worker_memory *memory);
void neep_worker_ring_remove(struct neep_worker *worker, uint32_t resource_id);
void neep_worker_resource_add(struct neep_worker *worker, const struct neep_worker_memory *memory);
void neep_worker_resource_remove(struct neep_worker *worker, uint32_t resource_id);
void neep_worker_sync(struct neep_worker *worker, uint64_t sync_id, uint64_t device, uint64_t fence);

#endif
