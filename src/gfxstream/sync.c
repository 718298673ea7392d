/* Fences of the guest that wait for Vulkan.
 *
 * Ring 0 of a context is in order: a fence on it is complete when all syncs that were asked for before are done, in whatever
 * order that happens. So a fence hangs on the youngest sync that is pending when it is created; a sync that is done while an
 * older one is pending hands its fences down to that one. */
#include <errno.h>
#include <stdlib.h>

#include "gfxstream/gfxstream_internal.h"

/* What 0xa000 and its fences are on; others mark the order of commands and are complete when created. */
#define SYNC_RING 0

struct neep_gfx_sync {
	struct neep_idmap_link id_link; // neep_gfx_context.sync_ids
	struct neep_list link;          // neep_gfx_context.syncs
	struct neep_list fences;        // neep_fence.component_link
};

static struct neep_gfx_sync *sync_from_link(struct neep_list *link) {
	return neep_container_of(link, struct neep_gfx_sync, link);
}

int neep_gfx_sync_start(struct neep_gfx_context *context, uint64_t device, uint64_t fence) {
	if (context->worker == NULL) {
		/* Without a ring there is no Vulkan to wait for. */
		return context->is_lost ? -EIO : 0;
	}
	if (context->sync_ids.count >= NEEP_GFX_SYNCS_MAX) {
		return -ENOMEM;
	}
	struct neep_gfx_sync *sync = calloc(1, sizeof(*sync));
	if (sync == NULL) {
		return -ENOMEM;
	}
	neep_list_init(&sync->fences);
	neep_list_append(&context->syncs, &sync->link);
	neep_idmap_insert(&context->sync_ids, ++context->next_sync_id, &sync->id_link);
	neep_worker_sync(context->worker, context->next_sync_id, device, fence);
	return 0;
}

static void move_fences(struct neep_list *to, struct neep_list *from) {
	neep_list_for_each_safe (fence, from, struct neep_fence, component_link) {
		neep_list_remove(&fence->component_link);
		neep_list_append(to, &fence->component_link);
	}
}

static void signal_fences(struct neep_list *fences) {
	while (!neep_list_is_empty(fences)) {
		neep_fence_signal(neep_container_of(fences->next, struct neep_fence, component_link));
	}
}

static void finish(struct neep_gfx_context *context, struct neep_gfx_sync *sync) {
	if (sync->link.prev == &context->syncs) {
		signal_fences(&sync->fences);
	} else {
		move_fences(&sync_from_link(sync->link.prev)->fences, &sync->fences);
	}
	neep_list_remove(&sync->link);
	neep_idmap_remove(&context->sync_ids, &sync->id_link);
	free(sync);
}

int neep_gfx_sync_done(struct neep_gfx_context *context, uint64_t sync_id) {
	struct neep_idmap_link *link = neep_idmap_find(&context->sync_ids, sync_id);
	if (link == NULL) {
		return -EPROTO;
	}
	finish(context, neep_container_of(link, struct neep_gfx_sync, id_link));
	return 0;
}

void neep_gfx_syncs_finish(struct neep_gfx_context *context) {
	while (!neep_list_is_empty(&context->syncs)) {
		finish(context, sync_from_link(context->syncs.next));
	}
}

int neep_gfx_create_fence(struct neep_context *base, struct neep_fence *fence) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	if (fence->data.ring_idx != SYNC_RING || neep_list_is_empty(&context->syncs)) {
		neep_fence_signal(fence);
	} else {
		neep_list_append(&sync_from_link(context->syncs.prev)->fences, &fence->component_link);
	}
	return 0;
}
