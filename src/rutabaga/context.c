#include "rutabaga/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rutabaga/resource.h"

/* context_init: virtio-gpu, VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK; the rest is reserved. */
#define CAPSET_ID_MASK UINT32_C(0xff)

struct neep_context_slot *neep_context_find(struct rutabaga *rutabaga, uint32_t ctx_id) {
	struct neep_idmap_link *link = neep_idmap_find(&rutabaga->contexts, ctx_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_context_slot, link);
}

/* A guest without CONTEXT_INIT means virgl; where there is none, any context is better than an error. */
static const struct neep_capset *default_capset(const struct rutabaga *rutabaga) {
	const struct neep_capset *capset = neep_capset_find(rutabaga, RUTABAGA_CAPSET_VIRGL2);
	if (capset == NULL) {
		capset = neep_capset_find(rutabaga, RUTABAGA_CAPSET_VIRGL);
	}
	for (size_t i = 0; capset == NULL && i < rutabaga->capset_count; i++) {
		if (rutabaga->capsets[i].component->impl->create_context != NULL) {
			capset = &rutabaga->capsets[i];
		}
	}
	return capset;
}

/* At most NEEP_CONTEXT_NAME_MAX bytes, up to a NUL, unprintable ones as '?'. */
static void copy_name(char *name, const char *from, uint32_t len) {
	size_t i = 0;
	for (; from != NULL && i < len && i < NEEP_CONTEXT_NAME_MAX && from[i] != '\0'; i++) {
		name[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	}
	name[i] = '\0';
}

static int create_check(struct rutabaga *rutabaga, const struct neep_context_request *request,
	const struct neep_capset **capset) {
	if (request->ctx_id == 0 || (request->context_init & ~CAPSET_ID_MASK) != 0) {
		return -EINVAL;
	}
	*capset = request->context_init == 0 ? default_capset(rutabaga)
					     : neep_capset_find(rutabaga, request->context_init);
	if (*capset == NULL || (*capset)->component->impl->create_context == NULL) {
		return -ENOTSUP;
	}
	return neep_core_ensure_progress(rutabaga);
}

/* The published API has no reset, and QEMU's device forgets its contexts in one without a word (it does unreference the
 * resources). The rebooted guest takes the same ids: what has such an id is of a life before. A caller that dispatches by
 * itself knows neep_rutabaga_reset(). */
static int make_room(struct rutabaga *rutabaga, uint32_t ctx_id) {
	struct neep_context_slot *slot = neep_context_find(rutabaga, ctx_id);
	if (slot == NULL) {
		return rutabaga->usage.contexts >= rutabaga->limits.contexts ? -ENOMEM : 0;
	}
	if (rutabaga->is_caller_driven) {
		return -EEXIST;
	}
	neep_core_log(rutabaga, NEEP_LOG_INFO,
		"context %u is created while it exists: the machine was reset, and the old one ends", ctx_id);
	neep_context_destroy(rutabaga, slot);
	return 0;
}

int neep_context_create(struct rutabaga *rutabaga, const struct neep_context_request *request) {
	const struct neep_capset *capset;
	int rc = create_check(rutabaga, request, &capset);
	if (rc == 0) {
		rc = make_room(rutabaga, request->ctx_id);
	}
	if (rc < 0) {
		return rc;
	}
	struct neep_context_slot *slot = calloc(1, sizeof(*slot));
	if (slot == NULL) {
		return -ENOMEM;
	}
	copy_name(slot->name, request->name, request->name_len);
	struct neep_context_params params = {
		.ctx_id = request->ctx_id, .capset_id = capset->id, .name = slot->name
	};
	rc = capset->component->impl->create_context(capset->component, &params, &slot->context);
	if (rc < 0) {
		free(slot);
		return rc;
	}
	slot->ctx_id = request->ctx_id;
	slot->capset_id = capset->id;
	neep_list_init(&slot->attachments);
	for (size_t i = 0; i < NEEP_CONTEXT_RINGS; i++) {
		neep_timeline_init(&slot->rings[i]);
	}
	neep_idmap_insert(&rutabaga->contexts, slot->ctx_id, &slot->link);
	rutabaga->usage.contexts++;
	return 0;
}

void neep_context_destroy(struct rutabaga *rutabaga, struct neep_context_slot *slot) {
	neep_list_for_each_safe (attachment, &slot->attachments, struct neep_attachment, context_link) {
		neep_attachment_destroy(rutabaga, attachment);
	}
	slot->context->impl->destroy(slot->context);
	for (size_t i = 0; i < NEEP_CONTEXT_RINGS; i++) {
		neep_timeline_finish(&slot->rings[i]);
	}
	neep_idmap_remove(&rutabaga->contexts, &slot->link);
	rutabaga->usage.contexts--;
	free(slot);
}

int neep_context_submit(struct rutabaga *rutabaga, const struct rutabaga_command *command) {
	struct neep_context_slot *slot = neep_context_find(rutabaga, command->ctx_id);
	if (slot == NULL) {
		return -ESRCH;
	}
	if (command->cmd_size == 0) {
		return 0;
	}
	if (command->cmd == NULL) {
		return -EINVAL;
	}
	if (command->cmd_size > rutabaga->limits.submit_bytes) {
		return -ENOMEM;
	}
	return slot->context->impl->submit(slot->context, command->cmd, command->cmd_size);
}

static uint64_t attachment_key(uint32_t ctx_id, uint32_t resource_id) {
	return (uint64_t)ctx_id << 32 | resource_id;
}

/* Finds both ends, and what connects them (NULL: nothing). */
static int find_pair(struct rutabaga *rutabaga, uint32_t ctx_id, uint32_t resource_id,
	struct neep_attachment *ends, struct neep_attachment **attachment) {
	ends->slot = neep_context_find(rutabaga, ctx_id);
	if (ends->slot == NULL) {
		return -ESRCH;
	}
	ends->resource = neep_resource_find(rutabaga, resource_id);
	if (ends->resource == NULL) {
		return -ENOENT;
	}
	struct neep_idmap_link *link =
		neep_idmap_find(&rutabaga->attachments, attachment_key(ctx_id, resource_id));
	*attachment = link == NULL ? NULL : neep_container_of(link, struct neep_attachment, link);
	return 0;
}

int neep_context_attach(struct rutabaga *rutabaga, uint32_t ctx_id, uint32_t resource_id) {
	struct neep_attachment ends = { .slot = NULL };
	struct neep_attachment *attachment;
	int rc = find_pair(rutabaga, ctx_id, resource_id, &ends, &attachment);
	if (rc < 0 || attachment != NULL) {
		return rc;
	}
	if (rutabaga->attachments.count >=
		(uint64_t)NEEP_ATTACHMENTS_PER_RESOURCE * rutabaga->limits.resources) {
		return -ENOMEM;
	}
	attachment = calloc(1, sizeof(*attachment));
	if (attachment == NULL) {
		return -ENOMEM;
	}
	struct neep_context *context = ends.slot->context;
	rc = context->impl->attach != NULL ? context->impl->attach(context, ends.resource) : 0;
	if (rc < 0) {
		free(attachment);
		return rc;
	}
	*attachment = ends;
	neep_list_append(&ends.slot->attachments, &attachment->context_link);
	neep_list_append(&ends.resource->attachments, &attachment->resource_link);
	neep_idmap_insert(&rutabaga->attachments, attachment_key(ctx_id, resource_id), &attachment->link);
	return 0;
}

int neep_context_detach(struct rutabaga *rutabaga, uint32_t ctx_id, uint32_t resource_id) {
	struct neep_attachment ends = { .slot = NULL };
	struct neep_attachment *attachment;
	int rc = find_pair(rutabaga, ctx_id, resource_id, &ends, &attachment);
	if (rc == 0 && attachment != NULL) {
		neep_attachment_destroy(rutabaga, attachment);
	}
	return rc;
}

void neep_attachment_destroy(struct rutabaga *rutabaga, struct neep_attachment *attachment) {
	struct neep_context *context = attachment->slot->context;
	if (context->impl->detach != NULL) {
		context->impl->detach(context, attachment->resource);
	}
	neep_list_remove(&attachment->context_link);
	neep_list_remove(&attachment->resource_link);
	neep_idmap_remove(&rutabaga->attachments, &attachment->link);
	free(attachment);
}
