#include "renderer/syncs.h"

#include <errno.h>
#include <stdlib.h>

#include "util/fd.h"

struct sync {
	struct neep_list link; // neep_renderer_syncs.queue
	uint64_t sync_id;
	uint64_t device;
	uint64_t fence;
};

void neep_renderer_syncs_init(struct neep_renderer_syncs *syncs, struct neep_vk_context *vk, int socket) {
	*syncs = (struct neep_renderer_syncs){ .vk = vk, .socket = socket };
	pthread_mutex_init(&syncs->lock, NULL);
	pthread_cond_init(&syncs->changed, NULL);
	neep_list_init(&syncs->queue);
}

/* The oldest, or NULL when it is time to end. */
static struct sync *next_sync(struct neep_renderer_syncs *syncs) {
	struct sync *sync = NULL;
	pthread_mutex_lock(&syncs->lock);
	while (neep_list_is_empty(&syncs->queue) && !syncs->is_stopped) {
		pthread_cond_wait(&syncs->changed, &syncs->lock);
	}
	if (!syncs->is_stopped) {
		sync = neep_container_of(syncs->queue.next, struct sync, link);
		neep_list_remove(&sync->link);
	}
	pthread_mutex_unlock(&syncs->lock);
	return sync;
}

static void *wait_for_all(void *data) {
	struct neep_renderer_syncs *syncs = data;
	struct sync *sync;
	while ((sync = next_sync(syncs)) != NULL) {
		neep_vk_wait_fence(syncs->vk, sync->device, sync->fence);
		struct neep_worker_sync_done done = {
			.header = { .type = NEEP_WORKER_SYNC_DONE, .size = sizeof(done) },
			.sync_id = sync->sync_id,
		};
		struct neep_send send = { .buf = &done, .len = sizeof(done) };
		/* A device process that is gone is seen by the main thread. */
		neep_send_all(syncs->socket, &send);
		free(sync);
	}
	return NULL;
}

int neep_renderer_syncs_add(struct neep_renderer_syncs *syncs, const struct neep_worker_sync *message) {
	struct sync *sync = calloc(1, sizeof(*sync));
	if (sync == NULL) {
		return -ENOMEM;
	}
	sync->sync_id = message->sync_id;
	sync->device = message->device;
	sync->fence = message->fence;
	pthread_mutex_lock(&syncs->lock);
	neep_list_append(&syncs->queue, &sync->link);
	pthread_cond_signal(&syncs->changed);
	pthread_mutex_unlock(&syncs->lock);
	return syncs->thread.stack != NULL
		       ? 0
		       : neep_renderer_thread_start(&syncs->thread, "fences", wait_for_all, syncs);
}

void neep_renderer_syncs_finish(struct neep_renderer_syncs *syncs) {
	pthread_mutex_lock(&syncs->lock);
	syncs->is_stopped = true;
	pthread_cond_signal(&syncs->changed);
	pthread_mutex_unlock(&syncs->lock);
	neep_renderer_thread_join(&syncs->thread);
	neep_list_for_each_safe (sync, &syncs->queue, struct sync, link) {
		free(sync);
	}
	pthread_cond_destroy(&syncs->changed);
	pthread_mutex_destroy(&syncs->lock);
}
