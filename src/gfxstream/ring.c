/* Theory of operation
 *
 * A ring has a consumer in the context's renderer, and when that has died, in its mourner. One without a consumer is failed by
 * neep_asg_fail(): what the guest sends is dropped, and its waiting threads read of a lost device. Guests ping after what
 * they send. But one that looked at the ring before its consumer went, or that sends more than fits, waits without a ping. So
 * for a while after the loss, and after each later ping, the rings of a context are failed again and again. */
#include <errno.h>

#include "asg/bell.h"
#include "asg/ring.h"
#include "gfxstream/gfxstream_internal.h"
#include "util/clock.h"

#define BURIAL_NS          (2 * NEEP_NS_PER_S)
#define BURIAL_INTERVAL_NS (20 * NEEP_NS_PER_MS)
/* In one go: a guest may lose many contexts. */
#define BURIAL_RINGS_MAX 256

static void fail(const struct neep_gfx_attachment *attachment) {
	(void)neep_asg_fail(attachment->resource->blob_fd, neep_gfx_memory_of(attachment->resource)->size,
		NEEP_WORKER_DEVICE_LOST);
}

static void begin_burial(struct neep_gfx_context *context) {
	struct neep_gfx *gfx = context->gfx;
	int64_t now = neep_clock_ns();
	if (neep_list_is_empty(&gfx->dying)) {
		gfx->next_burial_ns = now + BURIAL_INTERVAL_NS;
		neep_worker_pool_set_alarm(gfx->pool, gfx->next_burial_ns);
	}
	if (neep_list_is_empty(&context->dying_link)) {
		neep_list_append(&gfx->dying, &context->dying_link);
	}
	context->dying_until_ns = now + BURIAL_NS;
}

/* Returns how many there are. */
static size_t fail_all(struct neep_gfx_context *context) {
	size_t count = 0;
	neep_idmap_for_each (link, &context->attachments) {
		struct neep_gfx_attachment *attachment =
			neep_container_of(link, struct neep_gfx_attachment, link);
		if (attachment->is_ring && attachment->bell == NULL) {
			fail(attachment);
			count++;
		}
	}
	return count;
}

/* One turn for those that have waited the longest. */
static void bury_some(struct neep_gfx *gfx, int64_t now, struct neep_list *seen) {
	size_t left = BURIAL_RINGS_MAX;
	while (!neep_list_is_empty(&gfx->dying) && left > 0) {
		struct neep_gfx_context *context =
			neep_container_of(gfx->dying.next, struct neep_gfx_context, dying_link);
		size_t count = fail_all(context);
		left -= count < left ? count : left;
		neep_list_remove(&context->dying_link);
		if (now < context->dying_until_ns) {
			neep_list_append(seen, &context->dying_link);
		}
	}
}

void neep_gfx_rings_bury(struct neep_gfx *gfx) {
	int64_t now = neep_clock_ns();
	if (neep_list_is_empty(&gfx->dying) || now < gfx->next_burial_ns) {
		return;
	}
	struct neep_list seen;
	neep_list_init(&seen);
	bury_some(gfx, now, &seen);
	while (!neep_list_is_empty(&seen)) {
		struct neep_list *link = seen.next;
		neep_list_remove(link);
		neep_list_append(&gfx->dying, link);
	}
	gfx->next_burial_ns = neep_list_is_empty(&gfx->dying) ? 0 : now + BURIAL_INTERVAL_NS;
	neep_worker_pool_set_alarm(gfx->pool, gfx->next_burial_ns);
}

static void add(struct neep_gfx_context *context, const struct neep_gfx_attachment *attachment) {
	struct neep_worker_memory memory = {
		.resource_id = attachment->resource->resource_id,
		.size = neep_gfx_memory_of(attachment->resource)->size,
		.fd = attachment->resource->blob_fd,
	};
	neep_worker_ring_add(context->worker, &memory);
}

/* Has the renderer serve the ring. */
static int serve(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment) {
	if (context->ring_count >= NEEP_GFX_RINGS_MAX) {
		return -ENOMEM;
	}
	int rc = neep_gfx_context_ensure_worker(context);
	if (rc < 0) {
		return rc;
	}
	attachment->bell = neep_asg_bell_map(attachment->resource->blob_fd);
	if (attachment->bell == NULL) {
		return -errno;
	}
	context->ring_count++;
	add(context, attachment);
	return 0;
}

int neep_gfx_ring_start(struct neep_gfx_context *context, uint32_t resource_id) {
	struct neep_gfx_attachment *attachment = neep_gfx_attachment_find(context, resource_id);
	if (attachment == NULL) {
		return -ENOENT;
	}
	struct neep_gfx_memory *memory = neep_gfx_memory_of(attachment->resource);
	if (memory == NULL || memory->kind != NEEP_GFX_PLAIN || memory->is_ring) {
		return -EINVAL;
	}
	int rc = neep_asg_prepare(attachment->resource->blob_fd, memory->size);
	if (rc < 0) {
		return rc;
	}
	memory->is_ring = true;
	if (context->known_ring_count >= NEEP_GFX_KNOWN_RINGS_MAX) {
		fail(attachment);
		return -ENOMEM;
	}
	attachment->is_ring = true;
	context->known_ring_count++;
	rc = serve(context, attachment);
	if (rc < 0) {
		fail(attachment);
		begin_burial(context);
	}
	return rc;
}

void neep_gfx_ring_ping(struct neep_gfx_context *context, uint32_t resource_id) {
	struct neep_gfx_attachment *attachment = neep_gfx_attachment_find(context, resource_id);
	if (attachment == NULL || !attachment->is_ring) {
		return;
	}
	if (attachment->bell != NULL) {
		neep_asg_bell_ring(neep_asg_bell_word(attachment->bell, NEEP_ASG_HOST_BELL));
	} else {
		/* There is something new to swallow, or the guest's own set-up has wiped out the answer. */
		fail(attachment);
		begin_burial(context);
	}
}

static void close_bell(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment) {
	if (attachment->bell != NULL) {
		neep_asg_bell_unmap(attachment->bell);
		attachment->bell = NULL;
		context->ring_count--;
	}
}

void neep_gfx_ring_stop(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment) {
	if (attachment->bell != NULL && context->worker != NULL) {
		neep_worker_ring_remove(context->worker, attachment->resource->resource_id);
	}
	close_bell(context, attachment);
	context->known_ring_count -= attachment->is_ring ? 1 : 0;
}

void neep_gfx_rings_hand_over(struct neep_gfx_context *context) {
	neep_idmap_for_each (link, &context->attachments) {
		struct neep_gfx_attachment *attachment =
			neep_container_of(link, struct neep_gfx_attachment, link);
		if (attachment->bell != NULL) {
			add(context, attachment);
		}
	}
}

void neep_gfx_rings_fail(struct neep_gfx_context *context) {
	neep_idmap_for_each (link, &context->attachments) {
		close_bell(context, neep_container_of(link, struct neep_gfx_attachment, link));
	}
	if (fail_all(context) > 0) {
		begin_burial(context);
	}
}
