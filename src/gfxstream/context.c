#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfxstream/gfxstream_internal.h"

static const struct neep_context_impl context_impl;

struct neep_gfx_context *neep_gfx_context_from_base(struct neep_context *base) {
	neep_assert(base->impl == &context_impl);
	return neep_container_of(base, struct neep_gfx_context, base);
}

static struct neep_gfx_context *context_from_owner(struct neep_worker_owner *owner) {
	return neep_container_of(owner, struct neep_gfx_context, owner);
}

static struct neep_gfx_attachment *attachment_from_link(struct neep_idmap_link *link) {
	return neep_container_of(link, struct neep_gfx_attachment, link);
}

struct neep_gfx_attachment *neep_gfx_attachment_find(
	const struct neep_gfx_context *context, uint32_t resource_id) {
	struct neep_idmap_link *link = neep_idmap_find(&context->attachments, resource_id);
	return link == NULL ? NULL : attachment_from_link(link);
}

/* What the renderer says */

static int owner_blob(struct neep_worker_owner *owner, const struct neep_worker_blob *blob, int owned_fd) {
	return neep_gfx_publish(context_from_owner(owner), blob, owned_fd);
}

static int owner_sync_done(struct neep_worker_owner *owner, uint64_t sync_id) {
	return neep_gfx_sync_done(context_from_owner(owner), sync_id);
}

static void owner_lost(struct neep_worker_owner *owner) {
	struct neep_gfx_context *context = context_from_owner(owner);
	context->is_lost = true;
	neep_gfx_syncs_finish(context);
	neep_gfx_drop_published(context);
}

static int start_worker(struct neep_gfx_context *context) {
	struct neep_worker_params params = {
		.owner = &context->owner,
		.ctx_id = context->ctx_id,
		.name = context->name,
		.is_lost = context->is_lost,
	};
	int rc = neep_worker_start(context->gfx->pool, &params, &context->worker);
	if (rc < 0) {
		context->worker = NULL;
	}
	return rc;
}

/* Not before: two processes would serve the same rings. */
static void owner_ended(struct neep_worker_owner *owner) {
	struct neep_gfx_context *context = context_from_owner(owner);
	context->worker = NULL;
	if (!context->has_mourner && start_worker(context) == 0) {
		context->has_mourner = true;
		neep_gfx_rings_hand_over(context);
	} else {
		neep_gfx_rings_fail(context);
	}
}

static const struct neep_worker_owner_impl owner_impl = {
	.blob = owner_blob,
	.sync_done = owner_sync_done,
	.lost = owner_lost,
	.ended = owner_ended,
};

/* Resources of others */

static void share(struct neep_gfx_context *context, const struct neep_gfx_attachment *attachment) {
	const struct neep_resource *resource = attachment->resource;
	const struct neep_gfx_memory *memory = neep_gfx_memory_of(resource);
	if (attachment->is_shared && context->worker != NULL) {
		struct neep_worker_memory message = {
			.resource_id = resource->resource_id,
			.size = memory != NULL ? memory->size : resource->size,
			.fd = resource->blob_fd,
		};
		neep_worker_resource_add(context->worker, &message);
	}
}

/* Its own memory the renderer knows, unless it was made here; memory of the guest is not for it. */
static bool is_shared(const struct neep_gfx_context *context, const struct neep_resource *resource) {
	const struct neep_gfx_memory *memory = neep_gfx_memory_of(resource);
	return resource->blob_fd >= 0 && resource->handle_type == RUTABAGA_HANDLE_TYPE_MEM_SHM &&
	       resource->blob.blob_mem != RUTABAGA_BLOB_MEM_GUEST &&
	       (memory == NULL || memory->kind == NEEP_GFX_EXPORTABLE || memory->maker != context->serial);
}

static int context_attach(struct neep_context *base, struct neep_resource *resource) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	struct neep_gfx_attachment *attachment = calloc(1, sizeof(*attachment));
	if (attachment == NULL) {
		return -ENOMEM;
	}
	attachment->resource = resource;
	attachment->is_shared = is_shared(context, resource);
	neep_idmap_insert(&context->attachments, resource->resource_id, &attachment->link);
	share(context, attachment);
	return 0;
}

static void context_detach(struct neep_context *base, struct neep_resource *resource) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	struct neep_gfx_attachment *attachment = neep_gfx_attachment_find(context, resource->resource_id);
	if (attachment == NULL) {
		return;
	}
	neep_gfx_ring_stop(context, attachment);
	if (attachment->is_shared && context->worker != NULL) {
		neep_worker_resource_remove(context->worker, resource->resource_id);
	}
	neep_idmap_remove(&context->attachments, &attachment->link);
	free(attachment);
}

int neep_gfx_context_ensure_worker(struct neep_gfx_context *context) {
	if (context->worker != NULL) {
		return 0;
	}
	if (context->is_lost) {
		return -EIO;
	}
	int rc = start_worker(context);
	if (rc < 0) {
		return rc;
	}
	neep_idmap_for_each (link, &context->attachments) {
		share(context, attachment_from_link(link));
	}
	return 0;
}

/* Life */

static void context_free(struct neep_gfx_context *context) {
	neep_idmap_finish(&context->attachments);
	neep_idmap_finish(&context->published);
	neep_idmap_finish(&context->sync_ids);
	free(context);
}

static void context_destroy(struct neep_context *base) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	if (context->worker != NULL) {
		neep_worker_close(context->worker);
	}
	neep_gfx_syncs_finish(context);
	neep_gfx_drop_published(context);
	neep_list_remove(&context->dying_link);
	context_free(context);
}

static void context_describe(struct neep_context *base, struct neep_rutabaga_context_info *info) {
	const struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	info->renderer = context->is_lost          ? NEEP_RUTABAGA_RENDERER_LOST
			 : context->worker != NULL ? NEEP_RUTABAGA_RENDERER_RUNNING
						   : NEEP_RUTABAGA_RENDERER_NONE;
	info->rings = (uint32_t)context->ring_count;
	info->pending_syncs = (uint32_t)context->sync_ids.count;
}

static const struct neep_context_impl context_impl = {
	.destroy = context_destroy,
	.submit = neep_gfx_submit,
	.create_blob = neep_gfx_create_blob,
	.attach = context_attach,
	.detach = context_detach,
	.create_fence = neep_gfx_create_fence,
	.describe = context_describe,
};

int neep_gfx_context_create(
	struct neep_gfx *gfx, const struct neep_context_params *params, struct neep_context **out) {
	struct neep_gfx_context *context = calloc(1, sizeof(*context));
	if (context == NULL) {
		return -ENOMEM;
	}
	if (neep_idmap_init(&context->attachments) < 0 || neep_idmap_init(&context->published) < 0 ||
		neep_idmap_init(&context->sync_ids) < 0) {
		context_free(context);
		return -ENOMEM;
	}
	context->base.impl = &context_impl;
	context->owner.impl = &owner_impl;
	context->gfx = gfx;
	context->ctx_id = params->ctx_id;
	context->serial = gfx->next_serial++;
	snprintf(context->name, sizeof(context->name), "%s", params->name);
	neep_list_init(&context->syncs);
	neep_list_init(&context->dying_link);
	*out = &context->base;
	return 0;
}
