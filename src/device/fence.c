/* Fences to the guest: one FIFO per timeline.
 *
 * Theory of operation
 *
 * A fenced reply promises that the command and every earlier fenced command of its timeline are complete ("Device
 * Operation: Request header", VIRTIO_GPU_FLAG_FENCE). Timelines are the global one and (ctx_id, ring_idx); they are
 * independent, so ids are never compared. Every fenced command queues here, also a failed one and one with data in its
 * reply; those that succeeded ask rutabaga for a fence. Rutabaga completes fences in the order of their creation on each
 * timeline, so a completion belongs to the first request that still waits for one. What is done leaves from the front. */
#include "device/device_internal.h"

#include <stdlib.h>

#include "util/trace.h"

#define TIMELINE_GLOBAL UINT64_MAX

static uint64_t timeline_key(uint32_t flags, uint32_t ctx_id, uint32_t ring_idx) {
	if ((flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) == 0) {
		return TIMELINE_GLOBAL;
	}
	return (uint64_t)ctx_id << 8 | ring_idx;
}

/* Whether the request's ring exists: not for a refused command that named no context, nor for the CTX_DESTROY that ended
 * it. Such a request is answered in the order of the global timeline. */
static bool has_timeline(const struct neep_device *device, const struct virtio_gpu_ctrl_hdr *hdr) {
	return (hdr->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) == 0 ||
	       (hdr->ring_idx <= NEEP_RING_IDX_MAX && context_exists(device, hdr->ctx_id));
}

static struct neep_timeline *timeline_find(struct neep_device *device, uint64_t key) {
	struct neep_idmap_link *link = neep_idmap_find(&device->timelines, key);
	return link != NULL ? neep_container_of(link, struct neep_timeline, link) : NULL;
}

/* Rings are not announced: a timeline is made when it is first used. At most 64 per context and one. */
static struct neep_timeline *timeline_get(struct neep_device *device, uint64_t key) {
	struct neep_timeline *timeline = timeline_find(device, key);
	if (timeline != NULL) {
		return timeline;
	}
	timeline = calloc(1, sizeof(*timeline));
	if (timeline == NULL) {
		return NULL;
	}
	neep_list_init(&timeline->requests);
	neep_idmap_insert(&device->timelines, key, &timeline->link);
	return timeline;
}

static void timeline_drain(struct neep_device *device, struct neep_timeline *timeline) {
	while (!neep_list_is_empty(&timeline->requests)) {
		struct neep_request *first =
			neep_container_of(timeline->requests.next, struct neep_request, link);
		if (!first->is_done) {
			return;
		}
		neep_list_remove(&first->link);
		device->pending_fences--;
		device->stats.fences++;
		NEEP_TRACE3(
			fence_done, first->cmd.hdr.ctx_id, first->cmd.hdr.ring_idx, first->cmd.hdr.fence_id);
		request_push(device, first);
	}
}

static int create_fence(struct neep_device *device, const struct neep_request *request) {
	const struct virtio_gpu_ctrl_hdr *hdr = &request->cmd.hdr;
	struct rutabaga_fence fence = {
		.flags = hdr->flags,
		.fence_id = hdr->fence_id,
		.ctx_id = hdr->ctx_id,
		.ring_idx = hdr->ring_idx,
	};
	return rutabaga_create_fence(device->rutabaga, &fence);
}

/* The reply says what went wrong with the fence; the command itself has been done. */
static void fail(struct neep_device *device, struct neep_request *request, int ret) {
	device->stats.errors++;
	request->has_fence = false;
	request->is_done = true;
	request->reply_size = sizeof(struct virtio_gpu_ctrl_hdr);
	uint32_t resp = resp_from_errno(ret);
	if (request->long_reply != NULL) {
		request->reply.hdr = *(struct virtio_gpu_ctrl_hdr *)(void *)request->long_reply;
		free(request->long_reply);
		request->long_reply = NULL;
	}
	request->reply.hdr.type = resp;
	request_refuse(device, request, resp, "its fence could not be created");
}

void fence_queue(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_ctrl_hdr *hdr = &request->cmd.hdr;
	NEEP_TRACE3(fence_submit, hdr->ctx_id, hdr->ring_idx, hdr->fence_id);
	bool is_known = has_timeline(device, hdr);
	struct neep_timeline *timeline = timeline_get(
		device, is_known ? timeline_key(hdr->flags, hdr->ctx_id, hdr->ring_idx) : TIMELINE_GLOBAL);
	if (timeline == NULL) {
		request_push(device, request);
		return;
	}
	neep_list_append(&timeline->requests, &request->link);
	device->pending_fences++;
	if (!is_known || request->resp >= VIRTIO_GPU_RESP_ERR_UNSPEC) {
		request->is_done = true;
	} else {
		/* The completion may come before rutabaga_create_fence() returns: then the request is gone already. */
		request->has_fence = true;
		int ret = create_fence(device, request);
		if (ret < 0) {
			fail(device, request, ret);
		}
	}
	timeline_drain(device, timeline);
}

void neep_device_fence_done(struct neep_device *device, const struct rutabaga_fence *fence) {
	struct neep_timeline *timeline =
		timeline_find(device, timeline_key(fence->flags, fence->ctx_id, fence->ring_idx));
	if (timeline == NULL) {
		return;
	}
	neep_list_for_each (request, &timeline->requests, struct neep_request, link) {
		if (request->has_fence && !request->is_done) {
			request->is_done = true;
			break;
		}
	}
	timeline_drain(device, timeline);
}

static void timeline_destroy(struct neep_device *device, struct neep_timeline *timeline) {
	neep_list_for_each (request, &timeline->requests, struct neep_request, link) {
		request->is_done = true;
	}
	timeline_drain(device, timeline);
	free(timeline);
}

void fence_drop_context(struct neep_device *device, uint32_t ctx_id) {
	for (uint32_t ring_idx = 0; ring_idx <= NEEP_RING_IDX_MAX; ring_idx++) {
		struct neep_timeline *timeline =
			timeline_find(device, timeline_key(VIRTIO_GPU_FLAG_INFO_RING_IDX, ctx_id, ring_idx));
		if (timeline != NULL) {
			neep_idmap_remove(&device->timelines, &timeline->link);
			timeline_destroy(device, timeline);
		}
	}
}

void fence_drop_all(struct neep_device *device) {
	struct neep_idmap_link *link = neep_idmap_take_all(&device->timelines);
	while (link != NULL) {
		struct neep_timeline *timeline = neep_container_of(link, struct neep_timeline, link);
		link = link->next;
		timeline_destroy(device, timeline);
	}
}
