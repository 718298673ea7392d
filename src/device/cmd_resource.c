/* Resources: 2D images, guest and host blobs, their backing, transfers, UUIDs, the end of them. */
#include "device/device_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/checked.h"
#include "util/fd.h"

/* "Limits" are ours: no mode is larger, and the bytes of such an image are counted against the quota anyway. */
#define IMAGE_SIDE_MAX 16384
/* The form in which a VMM asks rutabaga for a 2D resource: a 2D render target with its top row first. */
#define TARGET_2D   2
#define BIND_RENDER 2
#define BLOB_FLAGS_KNOWN                                                          \
	(VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE | \
		VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE)

static uint32_t check_image(struct neep_device *device, const struct neep_request *request) {
	const struct virtio_gpu_resource_create_2d *cmd = &request->cmd.create_2d;
	uint32_t resp = resource_check_new(device, request, cmd->resource_id);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (!neep_format_is_known(cmd->format)) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "unknown format");
	}
	if (cmd->width == 0 || cmd->width > IMAGE_SIDE_MAX || cmd->height == 0 ||
		cmd->height > IMAGE_SIDE_MAX) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"width and height must be 1 to 16384");
	}
	return resource_check_bytes(
		device, request, (uint64_t)cmd->width * cmd->height * NEEP_BYTES_PER_PIXEL);
}

uint32_t cmd_create_2d(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_create_2d *cmd = &request->cmd.create_2d;
	uint32_t resp = check_image(device, request);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	struct rutabaga_create_3d create = {
		.target = TARGET_2D,
		.format = cmd->format,
		.bind = BIND_RENDER,
		.width = cmd->width,
		.height = cmd->height,
		.depth = 1,
		.array_size = 1,
		.flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
	};
	int ret = rutabaga_resource_create_3d(device->rutabaga, cmd->resource_id, &create);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the image cannot be had");
	}
	struct neep_resource *resource = resource_add(device, cmd->resource_id, NEEP_RESOURCE_2D);
	if (resource == NULL) {
		rutabaga_resource_unref(device->rutabaga, cmd->resource_id);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	resource->width = cmd->width;
	resource->height = cmd->height;
	resource->format = cmd->format;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The guest may free the pages as soon as it sees the reply: by then nothing points into them. */
uint32_t cmd_unref(struct neep_device *device, struct neep_request *request) {
	struct neep_resource *resource = resource_find(device, request->cmd.unref.resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	if (resource->map != NULL) {
		return window_unmap_for(device, resource, request);
	}
	resource_remove(device, resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_transfer_2d(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_transfer_to_host_2d *cmd = &request->cmd.transfer_2d;
	struct neep_resource *resource = resource_find(device, cmd->resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	device->turn_bytes += (uint64_t)cmd->r.width * cmd->r.height * NEEP_BYTES_PER_PIXEL;
	/* Linux sends these for its dumb buffers that are blobs, and waits for the fence. The pixels are in place. */
	if (resource->kind == NEEP_RESOURCE_BLOB) {
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	if (resource->image != NULL) {
		neep_sink_settle(device->sink, resource->image);
	}
	struct rutabaga_transfer transfer = {
		.x = cmd->r.x,
		.y = cmd->r.y,
		.w = cmd->r.width,
		.h = cmd->r.height,
		.d = 1,
		/* Explicit, so that `offset` means what it says. */
		.stride = resource->width * NEEP_BYTES_PER_PIXEL,
		.offset = cmd->offset,
	};
	int ret = rutabaga_resource_transfer_write(device->rutabaga, 0, cmd->resource_id, &transfer);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret),
			"the rectangle leaves the resource or its backing, or there is no backing");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_attach_backing(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_attach_backing *cmd = &request->cmd.attach_backing;
	if (resource_find(device, cmd->resource_id) == NULL) {
		return request_refuse_resource(device, request);
	}
	struct neep_backing backing;
	uint32_t resp = backing_read(device, request, cmd->nr_entries, &backing);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	struct rutabaga_iovecs iovecs = { .iovecs = backing.iovecs, .num_iovecs = backing.count };
	int ret = rutabaga_resource_attach_backing(device->rutabaga, cmd->resource_id, &iovecs);
	free(backing.iovecs);
	if (ret < 0) {
		return request_refuse(
			device, request, resp_from_errno(ret), "no entries, too many, or backed already");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_detach_backing(struct neep_device *device, struct neep_request *request) {
	uint32_t id = request->cmd.detach_backing.resource_id;
	if (resource_find(device, id) == NULL) {
		return request_refuse_resource(device, request);
	}
	int ret = rutabaga_resource_detach_backing(device->rutabaga, id);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "nothing is attached");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* RFC 9562, version 4: random, so that it is unique among all devices and never comes back for a reused id. */
static bool make_uuid(uint8_t uuid[static 16]) {
	if (getrandom(uuid, 16, 0) != 16) {
		return false;
	}
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return true;
}

uint32_t cmd_assign_uuid(struct neep_device *device, struct neep_request *request) {
	struct neep_resource *resource = resource_find(device, request->cmd.assign_uuid.resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	if (!resource->has_uuid && !make_uuid(resource->uuid)) {
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	resource->has_uuid = true;
	memcpy(request->reply.uuid.uuid, resource->uuid, sizeof(resource->uuid));
	return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

static bool has_feature(const struct neep_device *device, unsigned bit) {
	return (device->features >> bit & 1) != 0;
}

static const char *blob_mistake(
	const struct neep_device *device, const struct virtio_gpu_resource_create_blob *cmd) {
	bool is_host = cmd->blob_mem != VIRTIO_GPU_BLOB_MEM_GUEST;
	if (cmd->blob_mem < VIRTIO_GPU_BLOB_MEM_GUEST || cmd->blob_mem > VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST) {
		return "unknown blob_mem";
	}
	if (is_host && !has_feature(device, VIRTIO_GPU_F_VIRGL)) {
		return "host blobs need 3D";
	}
	if ((cmd->blob_flags & ~(uint32_t)BLOB_FLAGS_KNOWN) != 0) {
		return "unknown blob_flags";
	}
	if (cmd->size == 0) {
		return "the size is 0";
	}
	if (has_feature(device, NEEP_VIRTIO_GPU_F_BLOB_ALIGNMENT) &&
		cmd->size % device->options.blob_alignment != 0) {
		return "the size is no multiple of blob_alignment";
	}
	if (cmd->blob_mem == VIRTIO_GPU_BLOB_MEM_HOST3D && cmd->nr_entries != 0) {
		return "a host blob has no memory entries";
	}
	return NULL;
}

/* Guest memory that is a file of its own, like what a program of the guest has imported, can be passed on as that. *owned_fd
 * becomes -1 where it is none, or was not meant to be shared. Returns 0 or a negative errno. */
static int backing_file(const struct neep_device *device, const struct virtio_gpu_resource_create_blob *cmd,
	const struct neep_backing *backing, int *owned_fd) {
	bool may_be_one = cmd->blob_mem == VIRTIO_GPU_BLOB_MEM_GUEST &&
			  (cmd->blob_flags & VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE) != 0 &&
			  backing->count == 1 && backing->size == cmd->size;
	int fd = may_be_one ? neep_memory_file(device->memory, backing->iovecs[0].iov_base, backing->size)
			    : -1;
	*owned_fd = fd < 0 ? -1 : neep_fd_dup(fd);
	return fd >= 0 && *owned_fd < 0 ? *owned_fd : 0;
}

static uint32_t create_blob_with(
	struct neep_device *device, struct neep_request *request, const struct neep_backing *backing) {
	const struct virtio_gpu_resource_create_blob *cmd = &request->cmd.create_blob;
	if (backing->count > 0 && backing->size < cmd->size) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"the memory entries are shorter than the blob");
	}
	struct rutabaga_create_blob create = {
		.blob_mem = cmd->blob_mem,
		.blob_flags = cmd->blob_flags,
		.blob_id = cmd->blob_id,
		.size = cmd->size,
	};
	struct rutabaga_iovecs iovecs = { .iovecs = backing->iovecs, .num_iovecs = backing->count };
	int fd;
	int ret = backing_file(device, cmd, backing, &fd);
	if (ret == 0) {
		struct rutabaga_handle file = { .os_handle = fd,
			.handle_type = RUTABAGA_HANDLE_TYPE_MEM_SHM };
		ret = rutabaga_resource_create_blob(device->rutabaga, cmd->hdr.ctx_id, cmd->resource_id,
			&create, backing->count > 0 ? &iovecs : NULL, fd >= 0 ? &file : NULL);
	}
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the blob cannot be had");
	}
	struct neep_resource *resource = resource_add(device, cmd->resource_id, NEEP_RESOURCE_BLOB);
	if (resource == NULL) {
		rutabaga_resource_unref(device->rutabaga, cmd->resource_id);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	resource->size = cmd->size;
	resource->blob_mem = cmd->blob_mem;
	resource->blob_flags = cmd->blob_flags;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_create_blob(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_create_blob *cmd = &request->cmd.create_blob;
	uint32_t resp = resource_check_new(device, request, cmd->resource_id);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	const char *mistake = blob_mistake(device, cmd);
	if (mistake != NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, mistake);
	}
	if (cmd->blob_mem != VIRTIO_GPU_BLOB_MEM_GUEST && !context_exists(device, cmd->hdr.ctx_id)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			"a host blob needs its context");
	}
	struct neep_backing backing;
	resp = backing_read(device, request, cmd->nr_entries, &backing);
	if (resp == VIRTIO_GPU_RESP_OK_NODATA) {
		resp = create_blob_with(device, request, &backing);
	}
	free(backing.iovecs);
	return resp;
}
