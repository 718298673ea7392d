/* The functions that neep adds to the API (neep_rutabaga.h), thin over the core. */
#include <errno.h>
#include <stdio.h>

#include "rutabaga/context.h"
#include "rutabaga/resource.h"

int neep_rutabaga_parse_capset_names(
	const char *names, uint64_t *capset_mask, char *message, size_t message_size) {
	if (names == NULL || capset_mask == NULL) {
		return -EINVAL;
	}
	struct neep_error error = { .code = 0 };
	int rc = neep_capset_names_check(names, capset_mask, &error);
	if (message != NULL && message_size > 0) {
		snprintf(message, message_size, "%s", error.text);
	}
	return rc;
}

int neep_rutabaga_event_fd(struct rutabaga *rutabaga) {
	return rutabaga == NULL ? -EINVAL : neep_core_event_fd(rutabaga);
}

int neep_rutabaga_dispatch(struct rutabaga *rutabaga) {
	if (rutabaga == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	return neep_core_leave(rutabaga, neep_core_dispatch(rutabaga), "dispatch", 0);
}

int neep_rutabaga_reset(struct rutabaga *rutabaga) {
	if (rutabaga == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	neep_core_reset(rutabaga);
	return neep_core_leave(rutabaga, 0, "reset", 0);
}

int neep_rutabaga_resource_image(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_image **image) {
	if (rutabaga == NULL || image == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	struct neep_object *object = resource == NULL ? NULL : resource->object;
	int rc = resource == NULL ? -ENOENT : -EINVAL;
	if (object != NULL && object->impl->image != NULL) {
		*image = neep_rutabaga_image_ref(object->impl->image(object));
		rc = 0;
	}
	return neep_core_leave(rutabaga, rc, "resource_image", resource_id);
}

static void describe(const struct neep_resource *resource, struct neep_rutabaga_resource_info *info) {
	*info = (struct neep_rutabaga_resource_info){
		.kind = resource->kind,
		.width = resource->width,
		.height = resource->height,
		.format = resource->format,
		.blob_mem = resource->blob.blob_mem,
		.blob_flags = resource->blob.blob_flags,
		.map_info = resource->map_info,
		.size = resource->size,
		.has_backing = resource->has_backing,
		.is_mapped = resource->mapping != NULL,
	};
}

int neep_rutabaga_resource_info(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_resource_info *info) {
	if (rutabaga == NULL || info == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	if (resource != NULL) {
		describe(resource, info);
	}
	return neep_core_leave(rutabaga, resource == NULL ? -ENOENT : 0, "resource_info", resource_id);
}

int neep_rutabaga_resource_backing(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct iovec **iovecs, size_t *num_iovecs) {
	if (rutabaga == NULL || iovecs == NULL || num_iovecs == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	if (resource != NULL) {
		*iovecs = resource->backing.segments;
		*num_iovecs = resource->backing.count;
	}
	return neep_core_leave(rutabaga, resource == NULL ? -ENOENT : 0, "resource_backing", resource_id);
}

int neep_rutabaga_resource_mapping(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_mapping **mapping) {
	if (rutabaga == NULL || mapping == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	struct neep_resource *resource = neep_resource_find(rutabaga, resource_id);
	int rc = resource == NULL ? -ENOENT : -EINVAL;
	if (resource != NULL && resource->mapping != NULL) {
		*mapping = neep_rutabaga_mapping_ref(resource->mapping);
		rc = 0;
	}
	return neep_core_leave(rutabaga, rc, "resource_mapping", resource_id);
}

int neep_rutabaga_get_limits(struct rutabaga *rutabaga, struct neep_rutabaga_limits *limits) {
	if (rutabaga == NULL || limits == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	*limits = rutabaga->limits;
	return neep_core_leave(rutabaga, 0, "get_limits", 0);
}

int neep_rutabaga_set_limits(struct rutabaga *rutabaga, const struct neep_rutabaga_limits *limits) {
	if (rutabaga == NULL || limits == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	rutabaga->limits = *limits;
	return neep_core_leave(rutabaga, 0, "set_limits", 0);
}

int neep_rutabaga_get_usage(struct rutabaga *rutabaga, struct neep_rutabaga_usage *usage) {
	if (rutabaga == NULL || usage == NULL) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	*usage = rutabaga->usage;
	return neep_core_leave(rutabaga, 0, "get_usage", 0);
}

static void describe_context(const struct neep_context_slot *slot, struct neep_rutabaga_context_info *info) {
	*info = (struct neep_rutabaga_context_info){
		.ctx_id = slot->ctx_id,
		.capset = neep_capset_name(slot->capset_id),
	};
	snprintf(info->name, sizeof(info->name), "%s", slot->name);
	if (slot->context->impl->describe != NULL) {
		slot->context->impl->describe(slot->context, info);
	}
}

int neep_rutabaga_get_contexts(
	struct rutabaga *rutabaga, struct neep_rutabaga_context_info *infos, size_t count) {
	if (rutabaga == NULL || (infos == NULL && count > 0)) {
		return -EINVAL;
	}
	neep_core_lock(rutabaga);
	size_t filled = 0;
	neep_idmap_for_each (link, &rutabaga->contexts) {
		if (filled == count) {
			break;
		}
		describe_context(neep_container_of(link, struct neep_context_slot, link), &infos[filled++]);
	}
	return neep_core_leave(rutabaga, (int)rutabaga->contexts.count, "get_contexts", 0);
}
