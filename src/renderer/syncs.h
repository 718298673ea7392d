/* The fences that the device process waits for. Room-internal.
 *
 * They are all of one timeline, which completes in order whatever the order in which they are signalled: so one thread waits for
 * one after the other, however many there are. It starts with the first. */
#ifndef NEEP_RENDERER_SYNCS_H
#define NEEP_RENDERER_SYNCS_H

#include <stdbool.h>

#include "renderer/thread.h"
#include "util/list.h"
#include "vulkan/vulkan.h"
#include "worker/protocol.h"

struct neep_renderer_syncs {
	struct neep_vk_context *vk; // borrowed
	int socket;                 // borrowed
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct neep_list queue; // struct sync.link, guarded by lock
	bool is_stopped;        // guarded by lock
	struct neep_renderer_thread thread;
};

void neep_renderer_syncs_init(struct neep_renderer_syncs *syncs, struct neep_vk_context *vk, int socket);

/* Answers with SYNC_DONE in its turn. Returns 0 or a negative errno. */
int neep_renderer_syncs_add(struct neep_renderer_syncs *syncs, const struct neep_worker_sync *sync);

/* Ends the thread; the context must have been stopped, so that it does not wait for a fence. What was not answered never is. */
void neep_renderer_syncs_finish(struct neep_renderer_syncs *syncs);

#endif
