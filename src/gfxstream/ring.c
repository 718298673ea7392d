#include <errno.h>

#include "asg/ring.h"
#include "gfxstream/gfxstream_internal.h"

static void fail(const struct neep_gfx_attachment *attachment) {
	(void)neep_asg_fail(attachment->resource->blob_fd, neep_gfx_memory_of(attachment->resource)->size);
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
	attachment->wake_fd = neep_eventfd_create();
	if (attachment->wake_fd < 0) {
		rc = attachment->wake_fd;
		attachment->wake_fd = -1;
		return rc;
	}
	context->ring_count++;
	struct neep_worker_memory memory = {
		.resource_id = attachment->resource->resource_id,
		.size = neep_gfx_memory_of(attachment->resource)->size,
		.fd = attachment->resource->blob_fd,
	};
	neep_worker_ring_add(context->worker, &memory, attachment->wake_fd);
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
	attachment->is_ring = true;
	rc = serve(context, attachment);
	if (rc < 0) {
		fail(attachment);
	}
	return rc;
}

void neep_gfx_ring_ping(struct neep_gfx_context *context, uint32_t resource_id) {
	struct neep_gfx_attachment *attachment = neep_gfx_attachment_find(context, resource_id);
	if (attachment == NULL || !attachment->is_ring) {
		return;
	}
	if (attachment->wake_fd >= 0) {
		neep_eventfd_signal(attachment->wake_fd);
	} else {
		/* The guest's own set-up may have wiped out the byte that shows the error. */
		fail(attachment);
	}
}

static void close_wake(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment) {
	if (attachment->wake_fd >= 0) {
		neep_close_fd(&attachment->wake_fd);
		context->ring_count--;
	}
}

void neep_gfx_ring_stop(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment) {
	if (attachment->wake_fd >= 0 && context->worker != NULL) {
		neep_worker_ring_remove(context->worker, attachment->resource->resource_id);
	}
	close_wake(context, attachment);
}

void neep_gfx_rings_fail(struct neep_gfx_context *context) {
	neep_idmap_for_each (link, &context->attachments) {
		struct neep_gfx_attachment *attachment =
			neep_container_of(link, struct neep_gfx_attachment, link);
		if (attachment->is_ring) {
			close_wake(context, attachment);
			fail(attachment);
		}
	}
}
