/* The published C API, thin over the core: tests pointers, takes the lock, calls, leaves. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "rutabaga/context.h"
#include "rutabaga/resource.h"

/* A descriptor from the caller; -1 when it cannot be one. */
static int fd_of(const struct rutabaga_handle *handle) {
	if (handle == NULL || handle->os_handle < 0 || handle->os_handle > INT_MAX) {
		return -1;
	}
	return (int)handle->os_handle;
}

int32_t rutabaga_calculate_capset_mask(const char *capset_names, uint64_t *capset_mask) {
	if (capset_names == NULL || capset_mask == NULL) {
		return -EINVAL;
	}
	*capset_mask = neep_capset_names_mask(capset_names);
	return 0;
}

int32_t rutabaga_init(const struct rutabaga_builder *builder, struct rutabaga **ptr) {
	if (builder == NULL || ptr == NULL) {
		return -EINVAL;
	}
	return neep_core_init(builder, NULL, 0, ptr);
}

int32_t rutabaga_finish(struct rutabaga **ptr) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	if (*ptr == NULL) {
		return 0;
	}
	int rc = neep_core_finish(*ptr);
	if (rc == 0) {
		*ptr = NULL;
	}
	return rc;
}

int32_t rutabaga_get_num_capsets(struct rutabaga *ptr, uint32_t *num_capsets) {
	if (ptr == NULL || num_capsets == NULL) {
		return -EINVAL;
	}
	*num_capsets = (uint32_t)ptr->capset_count;
	return 0;
}

int32_t rutabaga_get_capset_info(struct rutabaga *ptr, uint32_t capset_index, uint32_t *capset_id,
	uint32_t *capset_version, uint32_t *capset_size) {
	if (ptr == NULL || capset_id == NULL || capset_version == NULL || capset_size == NULL ||
		capset_index >= ptr->capset_count) {
		return -EINVAL;
	}
	const struct neep_capset *capset = &ptr->capsets[capset_index];
	*capset_id = capset->id;
	*capset_version = capset->info.max_version;
	*capset_size = capset->info.max_size;
	return 0;
}

int32_t rutabaga_get_capset(
	struct rutabaga *ptr, uint32_t capset_id, uint32_t version, uint8_t *capset, uint32_t capset_size) {
	if (ptr == NULL || (capset == NULL && capset_size > 0)) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	const struct neep_capset *found = neep_capset_find(ptr, capset_id);
	int rc = found == NULL ? -EINVAL : neep_capset_read(found, version, capset, capset_size);
	return neep_core_leave(ptr, rc, "get_capset", capset_id);
}

int32_t rutabaga_context_create(struct rutabaga *ptr, uint32_t ctx_id, uint32_t context_init,
	const char *context_name, uint32_t context_name_len) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	struct neep_context_request request = { ctx_id, context_init, context_name, context_name_len };
	neep_core_lock(ptr);
	return neep_core_leave(ptr, neep_context_create(ptr, &request), "context_create", ctx_id);
}

int32_t rutabaga_context_destroy(struct rutabaga *ptr, uint32_t ctx_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	struct neep_context_slot *slot = neep_context_find(ptr, ctx_id);
	if (slot != NULL) {
		neep_context_destroy(ptr, slot);
	}
	return neep_core_leave(ptr, slot == NULL ? -ESRCH : 0, "context_destroy", ctx_id);
}

int32_t rutabaga_context_attach_resource(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_context_attach(ptr, ctx_id, resource_id);
	return neep_core_leave(ptr, rc, "context_attach_resource", resource_id);
}

int32_t rutabaga_context_detach_resource(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_context_detach(ptr, ctx_id, resource_id);
	return neep_core_leave(ptr, rc, "context_detach_resource", resource_id);
}

int32_t rutabaga_resource_create_3d(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_create_3d *create_3d) {
	if (ptr == NULL || create_3d == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_resource_create_3d(ptr, resource_id, create_3d);
	return neep_core_leave(ptr, rc, "resource_create_3d", resource_id);
}

int32_t rutabaga_resource_attach_backing(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_iovecs *iovecs) {
	if (ptr == NULL || iovecs == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_resource_attach_backing(ptr, resource_id, iovecs);
	return neep_core_leave(ptr, rc, "resource_attach_backing", resource_id);
}

int32_t rutabaga_resource_detach_backing(struct rutabaga *ptr, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_resource_detach_backing(ptr, resource_id);
	return neep_core_leave(ptr, rc, "resource_detach_backing", resource_id);
}

int32_t rutabaga_resource_transfer_read(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer, const struct iovec *iovec) {
	if (ptr == NULL || transfer == NULL ||
		(iovec != NULL && iovec->iov_base == NULL && iovec->iov_len > 0)) {
		return -EINVAL;
	}
	struct neep_transfer_request request = { ctx_id, resource_id, transfer, iovec };
	neep_core_lock(ptr);
	int rc = neep_resource_transfer_read(ptr, &request);
	return neep_core_leave(ptr, rc, "resource_transfer_read", resource_id);
}

int32_t rutabaga_resource_transfer_write(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer) {
	if (ptr == NULL || transfer == NULL) {
		return -EINVAL;
	}
	struct neep_transfer_request request = { ctx_id, resource_id, transfer, NULL };
	neep_core_lock(ptr);
	int rc = neep_resource_transfer_write(ptr, &request);
	return neep_core_leave(ptr, rc, "resource_transfer_write", resource_id);
}

int32_t rutabaga_resource_create_blob(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_create_blob *create_blob, const struct rutabaga_iovecs *iovecs,
	const struct rutabaga_handle *handle) {
	int owned_fd = fd_of(handle);
	if (ptr == NULL || create_blob == NULL) {
		if (owned_fd >= 0) {
			close(owned_fd);
		}
		return -EINVAL;
	}
	struct neep_blob_request request = {
		.ctx_id = ctx_id,
		.resource_id = resource_id,
		.create = create_blob,
		.iovecs = iovecs,
		.owned_fd = owned_fd,
		.handle_type = handle != NULL ? handle->handle_type : 0,
	};
	neep_core_lock(ptr);
	return neep_core_leave(ptr, neep_blob_create(ptr, &request), "resource_create_blob", resource_id);
}

int32_t rutabaga_resource_unref(struct rutabaga *ptr, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	return neep_core_leave(ptr, neep_resource_unref(ptr, resource_id), "resource_unref", resource_id);
}

int32_t rutabaga_resource_export_blob(
	struct rutabaga *ptr, uint32_t resource_id, struct rutabaga_handle *handle) {
	if (ptr == NULL || handle == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	struct neep_resource *resource = neep_resource_find(ptr, resource_id);
	int rc = resource == NULL ? -ENOENT : neep_blob_export(resource, handle);
	return neep_core_leave(ptr, rc, "resource_export_blob", resource_id);
}

int32_t rutabaga_resource_map(struct rutabaga *ptr, uint32_t resource_id, struct rutabaga_mapping *mapping) {
	if (ptr == NULL || mapping == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	struct neep_resource *resource = neep_resource_find(ptr, resource_id);
	int rc = resource == NULL ? -ENOENT : neep_blob_map(resource, mapping);
	return neep_core_leave(ptr, rc, "resource_map", resource_id);
}

int32_t rutabaga_resource_unmap(struct rutabaga *ptr, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	struct neep_resource *resource = neep_resource_find(ptr, resource_id);
	int rc = resource == NULL ? -ENOENT : neep_blob_unmap(ptr, resource);
	return neep_core_leave(ptr, rc, "resource_unmap", resource_id);
}

int32_t rutabaga_resource_map_info(struct rutabaga *ptr, uint32_t resource_id, uint32_t *map_info) {
	if (ptr == NULL || map_info == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	struct neep_resource *resource = neep_resource_find(ptr, resource_id);
	int rc = resource == NULL ? -ENOENT : 0;
	if (rc == 0 && resource->map_info == 0) {
		rc = -EINVAL;
	}
	if (rc == 0) {
		*map_info = resource->map_info;
	}
	return neep_core_leave(ptr, rc, "resource_map_info", resource_id);
}

int32_t rutabaga_submit_command(struct rutabaga *ptr, struct rutabaga_command *cmd) {
	if (ptr == NULL || cmd == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	return neep_core_leave(ptr, neep_context_submit(ptr, cmd), "submit_command", cmd->ctx_id);
}

int32_t rutabaga_create_fence(struct rutabaga *ptr, const struct rutabaga_fence *fence) {
	if (ptr == NULL || fence == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	return neep_core_leave(ptr, neep_fence_create(ptr, fence), "create_fence", fence->ctx_id);
}

int32_t rutabaga_snapshot(struct rutabaga *ptr, const char *dir) {
	return ptr == NULL || dir == NULL ? -EINVAL : -ENOTSUP;
}

int32_t rutabaga_restore(struct rutabaga *ptr, const char *dir) {
	return ptr == NULL || dir == NULL ? -EINVAL : -ENOTSUP;
}

int32_t rutabaga_resource_import(struct rutabaga *ptr, uint32_t resource_id,
	const struct rutabaga_handle *import_handle, const struct rutabaga_import_data *import_data) {
	int owned_fd = fd_of(import_handle);
	if (owned_fd >= 0) {
		close(owned_fd);
	}
	return ptr == NULL || resource_id == 0 || import_handle == NULL || import_data == NULL ? -EINVAL
											       : -ENOTSUP;
}

int32_t rutabaga_resource_wait_sync(struct rutabaga *ptr, uint32_t resource_id) {
	if (ptr == NULL) {
		return -EINVAL;
	}
	neep_core_lock(ptr);
	int rc = neep_resource_find(ptr, resource_id) == NULL ? -ENOENT : 0;
	return neep_core_leave(ptr, rc, "resource_wait_sync", resource_id);
}
