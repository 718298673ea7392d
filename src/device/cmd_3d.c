/* Contexts, capsets, command streams and 3D resources: checked here, done by rutabaga's components. */
#include "device/device_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

uint32_t cmd_get_capset_info(struct neep_device *device, struct neep_request *request) {
	struct virtio_gpu_resp_capset_info *reply = &request->reply.capset_info;
	uint32_t index = request->cmd.get_capset_info.capset_index;
	int ret = -EINVAL;
	if (index < device->num_capsets) {
		ret = rutabaga_get_capset_info(device->rutabaga, index, &reply->capset_id,
			&reply->capset_max_version, &reply->capset_max_size);
	}
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "no such capset index");
	}
	return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

/* The size of a capset for a version that exists, or -EINVAL. */
static int64_t capset_size(struct neep_device *device, uint32_t capset_id, uint32_t version) {
	for (uint32_t i = 0; i < device->num_capsets; i++) {
		uint32_t id, max_version, size;
		if (rutabaga_get_capset_info(device->rutabaga, i, &id, &max_version, &size) == 0 &&
			id == capset_id) {
			return version <= max_version ? (int64_t)size : -EINVAL;
		}
	}
	return -EINVAL;
}

uint32_t cmd_get_capset(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_get_capset *cmd = &request->cmd.get_capset;
	int64_t size = capset_size(device, cmd->capset_id, cmd->capset_version);
	if (size < 0) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"no such capset, or no such version of it");
	}
	size_t reply_size = sizeof(struct virtio_gpu_resp_capset) + (size_t)size;
	if (request->element->writable_size < reply_size) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "no room for the reply");
	}
	request->long_reply = calloc(1, reply_size);
	if (request->long_reply == NULL) {
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	request->reply_size = reply_size;
	int ret = rutabaga_get_capset(device->rutabaga, cmd->capset_id, cmd->capset_version,
		request->long_reply + sizeof(struct virtio_gpu_resp_capset), (uint32_t)size);
	return ret == 0 ? VIRTIO_GPU_RESP_OK_CAPSET : resp_from_errno(ret);
}

bool context_exists(const struct neep_device *device, uint32_t ctx_id) {
	return neep_idmap_find(&device->contexts, ctx_id) != NULL;
}

static uint32_t unknown_context(struct neep_device *device, const struct neep_request *request) {
	return request_refuse(
		device, request, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID, "there is no such context");
}

static int context_add(struct neep_device *device, const struct neep_request *request) {
	const struct virtio_gpu_ctx_create *cmd = &request->cmd.ctx_create;
	struct neep_context *context = calloc(1, sizeof(*context));
	if (context == NULL) {
		return -ENOMEM;
	}
	/* Without CONTEXT_INIT the field is padding. */
	bool has_init = (device->features >> VIRTIO_GPU_F_CONTEXT_INIT & 1) != 0;
	int ret = rutabaga_context_create(device->rutabaga, cmd->hdr.ctx_id, has_init ? cmd->context_init : 0,
		cmd->debug_name, cmd->nlen);
	if (ret < 0) {
		free(context);
		return ret;
	}
	neep_idmap_insert(&device->contexts, cmd->hdr.ctx_id, &context->link);
	return 0;
}

uint32_t cmd_ctx_create(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_ctx_create *cmd = &request->cmd.ctx_create;
	if (cmd->hdr.ctx_id == 0 || context_exists(device, cmd->hdr.ctx_id)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			"the context id is 0 or in use");
	}
	if (cmd->nlen > sizeof(cmd->debug_name)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"nlen says more than the name holds");
	}
	int ret = context_add(device, request);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the context cannot be had");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Rutabaga completes the fences of the context before it returns, so their replies leave before this one. */
static void context_remove(struct neep_device *device, struct neep_idmap_link *link) {
	uint32_t ctx_id = (uint32_t)link->id;
	rutabaga_context_destroy(device->rutabaga, ctx_id);
	fence_drop_context(device, ctx_id);
	free(neep_container_of(link, struct neep_context, link));
}

uint32_t cmd_ctx_destroy(struct neep_device *device, struct neep_request *request) {
	struct neep_idmap_link *link = neep_idmap_find(&device->contexts, request->cmd.hdr.ctx_id);
	if (link == NULL) {
		return unknown_context(device, request);
	}
	neep_idmap_remove(&device->contexts, link);
	context_remove(device, link);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void context_remove_all(struct neep_device *device) {
	struct neep_idmap_link *link = neep_idmap_take_all(&device->contexts);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		context_remove(device, link);
		link = next;
	}
}

static uint32_t check_pair(struct neep_device *device, const struct neep_request *request) {
	const struct virtio_gpu_ctx_resource *cmd = &request->cmd.ctx_resource;
	if (!context_exists(device, cmd->hdr.ctx_id)) {
		return unknown_context(device, request);
	}
	if (resource_find(device, cmd->resource_id) == NULL) {
		return request_refuse_resource(device, request);
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_ctx_attach(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_ctx_resource *cmd = &request->cmd.ctx_resource;
	uint32_t resp = check_pair(device, request);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	return resp_from_errno(
		rutabaga_context_attach_resource(device->rutabaga, cmd->hdr.ctx_id, cmd->resource_id));
}

uint32_t cmd_ctx_detach(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_ctx_resource *cmd = &request->cmd.ctx_resource;
	uint32_t resp = check_pair(device, request);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	return resp_from_errno(
		rutabaga_context_detach_resource(device->rutabaga, cmd->hdr.ctx_id, cmd->resource_id));
}

/* The resource enters our table only when rutabaga has it. */
uint32_t cmd_create_3d(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_create_3d *cmd = &request->cmd.create_3d;
	uint32_t resp = resource_check_new(device, request, cmd->resource_id);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	struct rutabaga_create_3d create = {
		.target = cmd->target,
		.format = cmd->format,
		.bind = cmd->bind,
		.width = cmd->width,
		.height = cmd->height,
		.depth = cmd->depth,
		.array_size = cmd->array_size,
		.last_level = cmd->last_level,
		.nr_samples = cmd->nr_samples,
		.flags = cmd->flags,
	};
	int ret = rutabaga_resource_create_3d(device->rutabaga, cmd->resource_id, &create);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the renderer refused it");
	}
	struct neep_rutabaga_resource_info info;
	ret = neep_rutabaga_resource_info(device->rutabaga, cmd->resource_id, &info);
	bool has_image = ret == 0 && info.kind == NEEP_RUTABAGA_RESOURCE_2D;
	resp = has_image ? resource_check_bytes(device, request, info.size) : VIRTIO_GPU_RESP_OK_NODATA;
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		rutabaga_resource_unref(device->rutabaga, cmd->resource_id);
		return resp;
	}
	struct neep_resource *resource =
		resource_add(device, cmd->resource_id, has_image ? NEEP_RESOURCE_2D : NEEP_RESOURCE_3D);
	if (resource == NULL) {
		rutabaga_resource_unref(device->rutabaga, cmd->resource_id);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	resource->width = cmd->width;
	resource->height = cmd->height;
	resource->format = cmd->format;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t check_transfer(struct neep_device *device, const struct neep_request *request,
	struct neep_resource **resource, struct rutabaga_transfer *transfer) {
	const struct virtio_gpu_transfer_host_3d *cmd = &request->cmd.transfer_3d;
	if (cmd->hdr.ctx_id != 0 && !context_exists(device, cmd->hdr.ctx_id)) {
		return unknown_context(device, request);
	}
	*resource = resource_find(device, cmd->resource_id);
	if (*resource == NULL) {
		return request_refuse_resource(device, request);
	}
	device->turn_bytes += (uint64_t)cmd->box.w * cmd->box.h * NEEP_BYTES_PER_PIXEL;
	uint32_t stride = cmd->stride;
	if (stride == 0 && (*resource)->kind == NEEP_RESOURCE_2D) {
		stride = (*resource)->width * NEEP_BYTES_PER_PIXEL;
	}
	*transfer = (struct rutabaga_transfer){
		.x = cmd->box.x,
		.y = cmd->box.y,
		.z = cmd->box.z,
		.w = cmd->box.w,
		.h = cmd->box.h,
		.d = cmd->box.d,
		.level = cmd->level,
		.stride = stride,
		.layer_stride = cmd->layer_stride,
		.offset = cmd->offset,
	};
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cmd_transfer_to_3d(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_transfer_host_3d *cmd = &request->cmd.transfer_3d;
	struct neep_resource *resource;
	struct rutabaga_transfer transfer;
	uint32_t resp = check_transfer(device, request, &resource, &transfer);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (resource->image != NULL) {
		neep_sink_settle(device->sink, resource->image);
	}
	int ret = rutabaga_resource_transfer_write(
		device->rutabaga, cmd->hdr.ctx_id, cmd->resource_id, &transfer);
	return ret == 0 ? resp : request_refuse(device, request, resp_from_errno(ret), "the transfer failed");
}

uint32_t cmd_transfer_from_3d(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_transfer_host_3d *cmd = &request->cmd.transfer_3d;
	struct neep_resource *resource;
	struct rutabaga_transfer transfer;
	uint32_t resp = check_transfer(device, request, &resource, &transfer);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		return resp;
	}
	int ret = rutabaga_resource_transfer_read(
		device->rutabaga, cmd->hdr.ctx_id, cmd->resource_id, &transfer, NULL);
	return ret == 0 ? resp : request_refuse(device, request, resp_from_errno(ret), "the transfer failed");
}

/* The stream is copied out of guest memory once, so that what was checked is what runs. */
static uint32_t submit(struct neep_device *device, struct neep_request *request, uint32_t size) {
	uint8_t *stream = malloc(size);
	if (stream == NULL) {
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	request_read_payload(request, 0, stream, size);
	device->turn_bytes += size;
	struct rutabaga_command command = {
		.ctx_id = request->cmd.hdr.ctx_id,
		.cmd_size = size,
		.cmd = stream,
	};
	int ret = rutabaga_submit_command(device->rutabaga, &command);
	free(stream);
	return ret == 0 ? VIRTIO_GPU_RESP_OK_NODATA
			: request_refuse(device, request, resp_from_errno(ret), "the context refused it");
}

uint32_t cmd_submit_3d(struct neep_device *device, struct neep_request *request) {
	uint32_t size = request->cmd.submit.size;
	if (!context_exists(device, request->cmd.hdr.ctx_id)) {
		return unknown_context(device, request);
	}
	if (size > request_payload_size(request)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"size says more than the request holds");
	}
	if (size > device->options.quota.submit_bytes) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
			"longer than the quota of a command stream");
	}
	/* An empty stream is how drivers ask for a bare fence. */
	return size == 0 ? VIRTIO_GPU_RESP_OK_NODATA : submit(device, request, size);
}
