/* Blobs: a guest blob is its backing, a host blob is an fd first. Mapping and exporting need the fd and nothing of the
 * component, so unmapping can pull no memory from under anybody. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rutabaga/context.h"
#include "rutabaga/resource.h"
#include "util/checked.h"
#include "util/fd.h"

#define BLOB_FLAGS                                                            \
	(RUTABAGA_BLOB_FLAG_USE_MAPPABLE | RUTABAGA_BLOB_FLAG_USE_SHAREABLE | \
		RUTABAGA_BLOB_FLAG_USE_CROSS_DEVICE)

static int check(const struct neep_blob_request *request) {
	const struct rutabaga_create_blob *create = request->create;
	bool has_iovecs = request->iovecs != NULL && request->iovecs->num_iovecs > 0;
	if (create->blob_mem < RUTABAGA_BLOB_MEM_GUEST || create->blob_mem > RUTABAGA_BLOB_MEM_HOST3D_GUEST ||
		(create->blob_flags & ~(uint32_t)BLOB_FLAGS) != 0 || create->size == 0 ||
		create->size > INT64_MAX) {
		return -EINVAL;
	}
	if (has_iovecs && (request->iovecs->iovecs == NULL || create->blob_mem == RUTABAGA_BLOB_MEM_HOST3D)) {
		return -EINVAL;
	}
	return 0;
}

/* The fd must hold the whole blob, or a mapping of it would fault. The last page of a file is there as a whole. */
static int check_fd(int fd, uint64_t size) {
	struct stat st;
	if (fd < 0) {
		return 0;
	}
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	/* A dma-buf tells its size by seeking only. */
	int64_t end = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return end <= 0 || ((uint64_t)end - 1) / page < (size - 1) / page ? -EIO : 0;
}

static void drop_blob(struct neep_blob *blob) {
	neep_close_fd(&blob->owned_fd);
	if (blob->owned_object != NULL) {
		blob->owned_object->impl->destroy(blob->owned_object);
	}
}

/* Has the context make the host memory, and checks what it made. */
static int make_host_blob(
	struct rutabaga *rutabaga, const struct neep_blob_request *request, struct neep_blob *blob) {
	struct neep_context_slot *slot = neep_context_find(rutabaga, request->ctx_id);
	if (slot == NULL) {
		return -ESRCH;
	}
	uint64_t total;
	if (!neep_add(rutabaga->usage.blob_bytes, request->create->size, &total) ||
		total > rutabaga->limits.blob_bytes) {
		return -ENOMEM;
	}
	if (slot->context->impl->create_blob == NULL) {
		return -ENOTSUP;
	}
	int rc = slot->context->impl->create_blob(slot->context, request->create, blob);
	if (rc < 0) {
		*blob = (struct neep_blob){ .owned_fd = -1 };
		return rc;
	}
	rc = check_fd(blob->owned_fd, request->create->size);
	if (rc < 0) {
		drop_blob(blob);
		return rc;
	}
	rutabaga->usage.blob_bytes = total;
	return 0;
}

/* On failure neep_resource_destroy() cleans up what was filled in. */
static int fill_guest(
	struct rutabaga *rutabaga, struct neep_resource *resource, const struct neep_blob_request *request) {
	if (request->iovecs == NULL || request->iovecs->num_iovecs == 0) {
		return 0;
	}
	int rc = neep_resource_set_backing(rutabaga, resource, request->iovecs);
	if (rc < 0) {
		return rc;
	}
	return resource->backing.size < request->create->size ? -EINVAL : 0;
}

static int fill(struct rutabaga *rutabaga, struct neep_resource *resource,
	const struct neep_blob_request *request, struct neep_blob *blob) {
	resource->kind = NEEP_RUTABAGA_RESOURCE_BLOB;
	/* Not charged yet: until the host memory exists it counts as a guest blob. */
	resource->blob.blob_mem = RUTABAGA_BLOB_MEM_GUEST;
	int rc = fill_guest(rutabaga, resource, request);
	if (rc == 0 && request->create->blob_mem != RUTABAGA_BLOB_MEM_GUEST) {
		rc = make_host_blob(rutabaga, request, blob);
	}
	return rc;
}

int neep_blob_create(struct rutabaga *rutabaga, const struct neep_blob_request *request) {
	neep_autoclose int given_fd = request->owned_fd;
	struct neep_blob blob = { .owned_fd = -1 };
	struct neep_resource *resource;
	int rc = check(request);
	if (rc == 0) {
		rc = neep_resource_add(rutabaga, request->resource_id, &resource);
	}
	if (rc < 0) {
		return rc;
	}
	rc = fill(rutabaga, resource, request, &blob);
	if (rc < 0) {
		neep_resource_destroy(rutabaga, resource);
		return rc;
	}
	resource->blob = *request->create;
	resource->size = request->create->size;
	resource->object = blob.owned_object;
	resource->map_info = blob.map_info;
	resource->blob_fd = blob.owned_fd;
	resource->handle_type = blob.handle_type;
	if (resource->blob_fd < 0) {
		resource->blob_fd = neep_steal_fd(&given_fd);
		resource->handle_type = request->handle_type;
	}
	return 0;
}

int neep_blob_export(const struct neep_resource *resource, struct rutabaga_handle *handle) {
	if (resource->blob_fd < 0) {
		return -EINVAL;
	}
	int fd = fcntl(resource->blob_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	*handle = (struct rutabaga_handle){ .os_handle = fd, .handle_type = resource->handle_type };
	return 0;
}

int neep_blob_map(struct neep_resource *resource, struct rutabaga_mapping *mapping) {
	if (resource->map_info == 0 || resource->blob_fd < 0) {
		return -EINVAL;
	}
	if (resource->mapping != NULL) {
		return -EBUSY;
	}
	int rc = neep_mapping_create(
		resource->blob_fd, resource->size, resource->map_info, &resource->mapping);
	if (rc < 0) {
		return rc;
	}
	*mapping =
		(struct rutabaga_mapping){ .ptr = resource->mapping->ptr, .size = resource->mapping->size };
	return 0;
}

int neep_blob_unmap(struct rutabaga *rutabaga, struct neep_resource *resource) {
	if (resource->mapping == NULL) {
		return -EINVAL;
	}
	neep_mapping_retire(resource->mapping, &rutabaga->morgue);
	resource->mapping = NULL;
	return 0;
}
