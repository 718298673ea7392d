/* Theory of operation: a timeline is a queue of fences in creation order. A component signals fences in any order; a
 * fence retires, and is told, when it and all before it on its timeline are signalled. Positions decide, ids are the
 * guest's and never compared. A fence has one reference from its timeline, which passes to rutabaga.done and ends with
 * the callback, and one from the component from hand-over to signal: so a context may go away with fences retired
 * by force, and a late signal finds a fence that is merely retired. */
#include <errno.h>
#include <stdlib.h>

#include "rutabaga/context.h"

void neep_timeline_init(struct neep_timeline *timeline) {
	neep_list_init(&timeline->pending);
}

static void retire(struct neep_fence *fence) {
	neep_list_remove(&fence->link);
	fence->is_retired = true;
	fence->rutabaga->usage.pending_fences--;
	neep_list_append(&fence->rutabaga->done, &fence->link);
}

static void retire_signalled(struct neep_timeline *timeline) {
	while (!neep_list_is_empty(&timeline->pending)) {
		struct neep_fence *first = neep_container_of(timeline->pending.next, struct neep_fence, link);
		if (!first->is_signalled) {
			return;
		}
		retire(first);
	}
}

void neep_timeline_finish(struct neep_timeline *timeline) {
	neep_list_for_each_safe (fence, &timeline->pending, struct neep_fence, link) {
		retire(fence);
	}
}

void neep_fence_unref(struct neep_fence *fence) {
	if (--fence->refs == 0) {
		free(fence);
	}
}

void neep_fence_signal(struct neep_fence *fence) {
	neep_list_remove(&fence->component_link);
	fence->is_signalled = true;
	if (!fence->is_retired) {
		retire_signalled(fence->timeline);
	}
	neep_fence_unref(fence);
}

/* The timeline that `data` names, and what runs on it. */
static int find_timeline(struct rutabaga *rutabaga, const struct rutabaga_fence *data,
	struct neep_timeline **timeline, struct neep_context **context) {
	*context = NULL;
	if ((data->flags & RUTABAGA_FLAG_INFO_RING_IDX) == 0) {
		*timeline = &rutabaga->global;
		return 0;
	}
	if (data->ring_idx >= NEEP_CONTEXT_RINGS) {
		return -EINVAL;
	}
	struct neep_context_slot *slot = neep_context_find(rutabaga, data->ctx_id);
	if (slot == NULL) {
		return -ESRCH;
	}
	*timeline = &slot->rings[data->ring_idx];
	*context = slot->context;
	return 0;
}

/* Gives the fence to whoever knows when its work is done; without anybody it is done now. On the global timeline that
 * is the first component which cares: none but virgl's does, and there is one of those. */
static int hand_over(struct neep_fence *fence, struct neep_context *context) {
	if (context != NULL) {
		if (context->impl->create_fence != NULL) {
			return context->impl->create_fence(context, fence);
		}
		neep_fence_signal(fence);
		return 0;
	}
	struct rutabaga *rutabaga = fence->rutabaga;
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		struct neep_component *component = rutabaga->components[i];
		if (component->impl->create_fence != NULL) {
			return component->impl->create_fence(component, fence);
		}
	}
	neep_fence_signal(fence);
	return 0;
}

int neep_fence_create(struct rutabaga *rutabaga, const struct rutabaga_fence *data) {
	struct neep_timeline *timeline;
	struct neep_context *context;
	int rc = find_timeline(rutabaga, data, &timeline, &context);
	if (rc < 0) {
		return rc;
	}
	if (rutabaga->usage.pending_fences >= rutabaga->limits.pending_fences) {
		return -ENOMEM;
	}
	rc = neep_core_ensure_progress(rutabaga);
	if (rc < 0) {
		return rc;
	}
	struct neep_fence *fence = calloc(1, sizeof(*fence));
	if (fence == NULL) {
		return -ENOMEM;
	}
	*fence = (struct neep_fence){ .data = *data, .rutabaga = rutabaga, .timeline = timeline, .refs = 2 };
	neep_list_init(&fence->component_link);
	neep_list_append(&timeline->pending, &fence->link);
	rutabaga->usage.pending_fences++;
	rc = hand_over(fence, context);
	if (rc < 0) {
		neep_list_remove(&fence->link);
		rutabaga->usage.pending_fences--;
		free(fence);
	}
	return rc;
}
