/* What the main thread and the ring threads share. Room-internal. */
#ifndef NEEP_RENDERER_RENDERER_INTERNAL_H
#define NEEP_RENDERER_RENDERER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "renderer/options.h"
#include "renderer/resources.h"
#include "renderer/syncs.h"
#include "util/fd.h"
#include "util/idmap.h"
#include "util/list.h"
#include "util/loop.h"
#include "vulkan/vulkan.h"
#include "worker/protocol.h"

struct neep_renderer {
	struct neep_vk_host host;
	const struct neep_renderer_options *options;
	struct neep_vk_context *vk;
	struct neep_loop *loop;
	struct neep_source socket; // the device process; written to by any thread
	struct neep_source events; // an eventfd: ended_rings, is_lost
	struct neep_idmap rings;   // neep_renderer_ring.link: those that are served; main thread
	size_t ring_count;         // threads, also of rings that are being stopped; main thread
	bool is_ending;            // main thread
	struct neep_renderer_resources resources;
	struct neep_renderer_syncs syncs;
	pthread_mutex_t lock;
	struct neep_list ended_rings;         // neep_renderer_ring.ended, guarded by lock
	bool is_lost;                         // guarded by lock
	char reason[NEEP_WORKER_REASON_SIZE]; // guarded by lock
};

/* The context cannot go on: the main thread tells why, and ends the process. The first reason counts. Any thread. */
void neep_renderer_lose(struct neep_renderer *renderer, const char *reason);

/* host.c: what the Vulkan context wants. */
extern const struct neep_vk_host_impl neep_renderer_host_impl;

/* rings.c. Main thread. */

/* Serves the ring on a thread of its own. One that cannot be served loses the context, so that its guest thread does not wait. */
void neep_renderer_ring_add(
	struct neep_renderer *renderer, const struct neep_worker_ring_add *add, int owned_memory_fd);

/* Has the ring's thread end, which may take its time: the ring is freed by neep_renderer_rings_reap(). */
void neep_renderer_ring_remove(struct neep_renderer *renderer, uint32_t resource_id);
void neep_renderer_rings_stop(struct neep_renderer *renderer);

/* Joins the threads that have ended. */
void neep_renderer_rings_reap(struct neep_renderer *renderer);

#endif
