/* A guest-visible resource: what the core knows of it. Components see it in attach and detach, and read only. */
#ifndef NEEP_RUTABAGA_RESOURCE_H
#define NEEP_RUTABAGA_RESOURCE_H

#include "rutabaga/backing.h"
#include "rutabaga/core.h"

struct neep_resource {
	struct neep_idmap_link link; // rutabaga.resources
	uint32_t resource_id;
	enum neep_rutabaga_resource_kind kind;
	struct neep_object *object; // NULL for guest blobs
	uint64_t size;              // bytes
	struct neep_backing backing;
	bool has_backing;
	struct neep_list attachments; // neep_attachment.resource_link

	uint32_t width; // 2D and 3D
	uint32_t height;
	uint32_t format;

	struct rutabaga_create_blob blob; // blobs
	int blob_fd;                      // -1: none
	uint32_t handle_type;
	uint32_t map_info;
	struct neep_rutabaga_mapping *mapping; // NULL: not mapped
};

/* NULL when there is none. */
struct neep_resource *neep_resource_find(struct rutabaga *rutabaga, uint32_t resource_id);

/* Adds a zeroed resource that the table owns from then on. -EINVAL: id 0; -EEXIST; -ENOMEM: the limit. */
int neep_resource_add(struct rutabaga *rutabaga, uint32_t resource_id, struct neep_resource **resource);

/* Takes the resource out of everything and frees it. */
void neep_resource_destroy(struct rutabaga *rutabaga, struct neep_resource *resource);

/* As the API functions of the same names. */
int neep_resource_create_3d(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct rutabaga_create_3d *create);
int neep_resource_attach_backing(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct rutabaga_iovecs *iovecs);
int neep_resource_detach_backing(struct rutabaga *rutabaga, uint32_t resource_id);
int neep_resource_unref(struct rutabaga *rutabaga, uint32_t resource_id);

struct neep_transfer_request {
	uint32_t ctx_id;
	uint32_t resource_id;
	const struct rutabaga_transfer *box;
	const struct iovec *iovec; // read only; NULL: the backing
};
int neep_resource_transfer_write(struct rutabaga *rutabaga, const struct neep_transfer_request *request);
int neep_resource_transfer_read(struct rutabaga *rutabaga, const struct neep_transfer_request *request);

/* Charges and fills in a backing. */
int neep_resource_set_backing(
	struct rutabaga *rutabaga, struct neep_resource *resource, const struct rutabaga_iovecs *iovecs);

/* blob.c */
struct neep_blob_request {
	uint32_t ctx_id;
	uint32_t resource_id;
	const struct rutabaga_create_blob *create;
	const struct rutabaga_iovecs *iovecs; // may be NULL
	int owned_fd;                         // -1: none
	uint32_t handle_type;
};
int neep_blob_create(struct rutabaga *rutabaga, const struct neep_blob_request *request);
int neep_blob_export(const struct neep_resource *resource, struct rutabaga_handle *handle);
int neep_blob_map(struct neep_resource *resource, struct rutabaga_mapping *mapping);
int neep_blob_unmap(struct rutabaga *rutabaga, struct neep_resource *resource);

#endif
