/* Buffer objects: resources of the device, and the handles that files have to them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/gpu.h"
#include "util/checked.h"
#include "virtgpu/node_internal.h"

#define PAGE_SIZE UINT64_C(4096)

/* ---- life ---- */

static struct neep_node_bo *bo_create(struct neep_virtgpu_node *node, uint64_t size) {
	struct neep_node_bo *bo = calloc(1, sizeof(*bo));
	uint64_t rounded;
	if (bo == NULL || !neep_add(size, PAGE_SIZE - 1, &rounded)) {
		free(bo);
		return NULL;
	}
	bo->refs = 1;
	bo->node = node;
	bo->memory_fd = -1;
	bo->size = rounded & ~(PAGE_SIZE - 1);
	neep_list_init(&bo->handles);
	neep_list_init(&bo->uses);
	neep_idmap_insert(&node->bos, ++node->next_resource_id, &bo->by_id);
	node->counts.bos++;
	return bo;
}

struct neep_node_use {
	struct neep_list link; // neep_node_bo.uses
	struct neep_node_waiter waiter;
	struct neep_node_fence *fence; // a reference
};

static void use_end(struct neep_node_use *use) {
	neep_list_remove(&use->link);
	neep_list_remove(&use->waiter.link);
	neep_node_fence_unref(use->fence);
	free(use);
}

/* Frees what the device does not have (any more). */
static void bo_free(struct neep_node_bo *bo) {
	neep_list_for_each_safe (use, &bo->uses, struct neep_node_use, link) {
		use_end(use);
	}
	neep_node_import_destroy(bo->import);
	neep_driver_free(bo->node->driver, &bo->backing);
	neep_close_fd(&bo->memory_fd);
	neep_idmap_remove(&bo->node->bos, &bo->by_id);
	bo->node->counts.bos--;
	free(bo);
}

void neep_node_bo_unref(struct neep_node_bo *bo) {
	if (--bo->refs > 0) {
		return;
	}
	/* In the order of the queue: guest memory is the device's until it has let go. */
	struct virtio_gpu_resource_unref cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = neep_node_bo_resource_id(bo),
	};
	if (bo->backing.size > 0 && !bo->node->is_dead) {
		neep_cmd_unref(bo->node->driver, cmd.resource_id);
	} else {
		neep_node_send(bo->node, &cmd, sizeof(cmd), NULL, 0);
	}
	bo_free(bo);
}

static void use_signalled(struct neep_node_waiter *waiter) {
	use_end(neep_container_of(waiter, struct neep_node_use, waiter));
}

int neep_node_bo_add_use(struct neep_node_bo *bo, struct neep_node_fence *fence) {
	if (fence->is_signalled) {
		return 0;
	}
	struct neep_node_use *use = calloc(1, sizeof(*use));
	if (use == NULL) {
		return -ENOMEM;
	}
	use->waiter.signalled = use_signalled;
	use->fence = neep_node_fence_ref(fence);
	neep_list_append(&bo->uses, &use->link);
	neep_node_fence_wait(fence, &use->waiter);
	return 0;
}

/* ---- handles ---- */

struct neep_node_bo *neep_node_bo_find(struct neep_node_file *file, uint32_t number) {
	if (number == 0 || number > file->handle_count || file->handles[number - 1] == NULL) {
		return NULL;
	}
	return file->handles[number - 1]->bo;
}

/* The lowest free slot, as in Linux. Returns its number, or 0. */
static uint32_t free_slot(struct neep_node_file *file) {
	uint32_t count = file->handle_count;
	for (; file->first_free < count; file->first_free++) {
		if (file->handles[file->first_free] == NULL) {
			return file->first_free + 1;
		}
	}
	uint32_t grown_count = count == 0 ? 16 : 2 * count;
	if (grown_count > NEEP_VIRTGPU_HANDLE_MAX) {
		return 0;
	}
	struct neep_node_handle **grown = realloc(file->handles, grown_count * sizeof(*grown));
	if (grown == NULL) {
		return 0;
	}
	memset(grown + count, 0, (grown_count - count) * sizeof(*grown));
	file->handles = grown;
	file->handle_count = grown_count;
	return count + 1;
}

int neep_node_handle_create(struct neep_node_file *file, struct neep_node_bo *bo, uint32_t *number) {
	neep_list_for_each (handle, &bo->handles, struct neep_node_handle, link) {
		if (handle->file == file) {
			*number = handle->number;
			return 0;
		}
	}
	uint32_t slot = free_slot(file);
	struct neep_node_handle *handle = slot > 0 ? calloc(1, sizeof(*handle)) : NULL;
	if (handle == NULL) {
		return -ENOMEM;
	}
	*handle = (struct neep_node_handle){ .bo = bo, .file = file, .number = slot };
	bo->refs++;
	neep_list_append(&bo->handles, &handle->link);
	file->handles[slot - 1] = handle;
	if (file->context.ctx_id != 0) {
		neep_node_send_ctx_resource(file->node, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
			file->context.ctx_id, neep_node_bo_resource_id(bo));
	}
	*number = slot;
	return 0;
}

void neep_node_handle_destroy(struct neep_node_handle *handle) {
	struct neep_node_file *file = handle->file;
	struct neep_node_bo *bo = handle->bo;
	if (file->context.ctx_id != 0) {
		neep_node_send_ctx_resource(file->node, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE,
			file->context.ctx_id, neep_node_bo_resource_id(bo));
	}
	file->handles[handle->number - 1] = NULL;
	if (file->first_free >= handle->number) {
		file->first_free = handle->number - 1;
	}
	neep_list_remove(&handle->link);
	free(handle);
	neep_node_bo_unref(bo);
}

int neep_node_bo_close(struct neep_node_call *call) {
	struct drm_gem_close close;
	memcpy(&close, call->data, sizeof(close));
	if (neep_node_bo_find(call->file, close.handle) == NULL) {
		return -EINVAL;
	}
	neep_node_handle_destroy(call->file->handles[close.handle - 1]);
	return 0;
}

/* The file gets the new buffer, or nobody does. */
static int hand_over(struct neep_node_file *file, struct neep_node_bo *bo, uint32_t *number) {
	int result = neep_node_handle_create(file, bo, number);
	neep_node_bo_unref(bo);
	return result;
}

/* ---- memory of the device ---- */

/* The window is only a way for the fd: mapped at its start, and unmapped when the fd is ours. The fd keeps the memory,
 * so a program may map as many buffers as it likes, and a small window carries them all. */
static int take_from_window(struct neep_node_bo *bo, uint64_t *fd_offset) {
	struct neep_virtgpu_node *node = bo->node;
	int fd = neep_driver_window_fd(node->driver, 0, fd_offset);
	neep_node_send_resource(node, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, neep_node_bo_resource_id(bo));
	return fd;
}

static int fetch_host_memory(struct neep_node_bo *bo, uint64_t *fd_offset) {
	struct neep_virtgpu_node *node = bo->node;
	uint32_t map_info;
	if (bo->memory_fd >= 0) {
		*fd_offset = bo->memory_offset;
		return neep_steal_fd(&bo->memory_fd);
	}
	if ((bo->blob_flags & NEEP_DRM_BLOB_FLAG_MAPPABLE) == 0 || node->window_size == 0) {
		return -EINVAL;
	}
	int result = neep_node_result(
		node, neep_cmd_map_blob(node->driver, neep_node_bo_resource_id(bo), 0, &map_info));
	return result < 0 ? result : take_from_window(bo, fd_offset);
}

/* ---- blobs ---- */

static int check_blob(const struct neep_virtgpu_node *node, const struct neep_drm_create_blob *blob) {
	uint32_t known =
		NEEP_DRM_BLOB_FLAG_MAPPABLE | NEEP_DRM_BLOB_FLAG_SHAREABLE | NEEP_DRM_BLOB_FLAG_CROSS_DEVICE;
	bool crosses = (blob->blob_flags & NEEP_DRM_BLOB_FLAG_CROSS_DEVICE) != 0;
	if (!neep_node_has(node, NEEP_DRM_PARAM_RESOURCE_BLOB) || (blob->blob_flags & ~known) != 0 ||
		(crosses && !neep_node_has(node, NEEP_DRM_PARAM_CROSS_DEVICE)) || blob->size == 0 ||
		blob->size > NEEP_VIRTGPU_MAP_STEP) {
		return -EINVAL;
	}
	switch (blob->blob_mem) {
	case NEEP_DRM_BLOB_MEM_GUEST:
		return blob->blob_id == 0 && blob->cmd_size == 0 ? 0 : -EINVAL;
	case NEEP_DRM_BLOB_MEM_HOST3D:
	case NEEP_DRM_BLOB_MEM_HOST3D_GUEST:
		return neep_node_has(node, NEEP_DRM_PARAM_3D_FEATURES) && blob->cmd_size % 4 == 0 ? 0
												  : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* Submitted before the blob: that it arrives first is what the caller counts on. */
static int submit_blob_command(struct neep_node_call *call, uint32_t size) {
	const void *commands = neep_node_call_take(call, size, 1);
	if (commands == NULL) {
		return -EFAULT;
	}
	struct virtio_gpu_cmd_submit cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = call->file->context.ctx_id },
		.size = size,
	};
	if (size > 0) {
		neep_node_send(call->node, &cmd, sizeof(cmd), commands, size);
	}
	return 0;
}

/* Whoever shares a buffer may want to read it through its dma-buf: the device maps what it knows as mappable only. */
static uint32_t device_flags(const struct neep_drm_create_blob *blob) {
	bool is_shared = (blob->blob_flags & NEEP_DRM_BLOB_FLAG_SHAREABLE) != 0;
	bool is_host = blob->blob_mem != NEEP_DRM_BLOB_MEM_GUEST;
	return blob->blob_flags | (is_shared && is_host ? NEEP_DRM_BLOB_FLAG_MAPPABLE : 0);
}

/* Who makes a mappable blob maps it next: both at once cost the device one wake-up. The fd waits for the mmap(). */
static int create_and_map(struct neep_node_bo *bo, const struct neep_cmd_blob *blob) {
	struct neep_driver *driver = bo->node->driver;
	struct virtio_gpu_resource_create_blob create = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = blob->ctx_id },
		.resource_id = blob->resource_id,
		.blob_mem = blob->blob_mem,
		.blob_flags = blob->blob_flags,
		.blob_id = blob->blob_id,
		.size = blob->size,
	};
	struct virtio_gpu_resource_map_blob map = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
		.resource_id = blob->resource_id,
	};
	struct virtio_gpu_ctrl_hdr created = { 0 };
	struct virtio_gpu_resp_map_info mapped = { 0 };
	struct neep_driver_request requests[] = {
		{ .cmd = &create,
			.cmd_len = sizeof(create),
			.reply = &created,
			.reply_len = sizeof(created) },
		{ .cmd = &map, .cmd_len = sizeof(map), .reply = &mapped, .reply_len = sizeof(mapped) },
	};
	int result = neep_driver_submit(driver, requests, NEEP_ARRAY_LEN(requests));
	for (size_t i = 0; i < NEEP_ARRAY_LEN(requests); i++) {
		result = result < 0 ? result : neep_driver_wait(driver, &requests[i]);
		neep_driver_abandon(driver, &requests[i]);
	}
	if (result == 0 && mapped.hdr.type == VIRTIO_GPU_RESP_OK_MAP_INFO) {
		bo->memory_fd = take_from_window(bo, &bo->memory_offset);
	}
	return result < 0 ? result : (int)created.type;
}

static int create_device_blob(
	struct neep_node_bo *bo, const struct neep_drm_create_blob *blob, const struct neep_node_file *file) {
	struct neep_cmd_blob cmd = {
		.ctx_id = blob->blob_mem == NEEP_DRM_BLOB_MEM_GUEST ? 0 : file->context.ctx_id,
		.resource_id = neep_node_bo_resource_id(bo),
		.blob_mem = blob->blob_mem,
		.blob_flags = bo->blob_flags,
		.blob_id = blob->blob_id,
		.size = bo->size,
	};
	if (blob->blob_mem != NEEP_DRM_BLOB_MEM_HOST3D) {
		int result = neep_driver_alloc(bo->node->driver, bo->size, &bo->backing);
		if (result < 0) {
			return result;
		}
		memset(bo->backing.first.host, 0, bo->size);
		cmd.backing = &bo->backing;
	}
	bool is_mapped_next = blob->blob_mem == NEEP_DRM_BLOB_MEM_HOST3D && bo->node->window_size > 0 &&
			      (blob->blob_flags & NEEP_DRM_BLOB_FLAG_MAPPABLE) != 0;
	return neep_node_result(bo->node,
		is_mapped_next ? create_and_map(bo, &cmd) : neep_cmd_create_blob(bo->node->driver, &cmd));
}

/* Of exactly the file's size, which tells the device that it is all of it. As Linux says it of what it imports. */
static int create_import(struct neep_node_bo *bo, int fd, uint64_t size) {
	int result = neep_driver_import(bo->node->driver, fd, size, &bo->backing);
	if (result < 0) {
		return result == -ENOSPC ? -ENOMEM : result;
	}
	bo->blob_mem = NEEP_DRM_BLOB_MEM_GUEST;
	bo->blob_flags = NEEP_DRM_BLOB_FLAG_SHAREABLE;
	struct neep_cmd_blob cmd = {
		.resource_id = neep_node_bo_resource_id(bo),
		.blob_mem = bo->blob_mem,
		.blob_flags = bo->blob_flags,
		.size = size,
		.backing = &bo->backing,
	};
	return neep_node_result(bo->node, neep_cmd_create_blob(bo->node->driver, &cmd));
}

struct neep_node_bo *neep_node_bo_create_import(
	struct neep_virtgpu_node *node, int fd, uint64_t size, int *result) {
	struct neep_node_bo *bo = bo_create(node, size);
	*result = bo == NULL ? -ENOMEM : create_import(bo, fd, size);
	if (*result < 0 && bo != NULL) {
		bo_free(bo);
	}
	return *result < 0 ? NULL : bo;
}

int neep_node_bo_create_blob(struct neep_node_call *call) {
	struct neep_drm_create_blob blob;
	memcpy(&blob, call->data, sizeof(blob));
	int result = check_blob(call->node, &blob);
	if (result == 0 && neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES)) {
		result = neep_node_file_need_context(call->file, call->program);
	}
	if (result == 0) {
		result = submit_blob_command(call, blob.cmd_size);
	}
	if (result < 0) {
		return result;
	}
	struct neep_node_bo *bo = bo_create(call->node, blob.size);
	if (bo == NULL) {
		return -ENOMEM;
	}
	bo->blob_mem = blob.blob_mem;
	bo->blob_flags = device_flags(&blob);
	result = create_device_blob(bo, &blob, call->file);
	if (result < 0) {
		bo_free(bo);
		return result;
	}
	blob.res_handle = neep_node_bo_resource_id(bo);
	result = hand_over(call->file, bo, &blob.bo_handle);
	memcpy(call->data, &blob, sizeof(blob));
	return result;
}

/* ---- classic resources ---- */

static int check_resource(
	const struct neep_virtgpu_node *node, const struct neep_drm_resource_create *create) {
	if (neep_node_has(node, NEEP_DRM_PARAM_3D_FEATURES)) {
		return 0;
	}
	bool is_2d = create->depth <= 1 && create->nr_samples <= 1 && create->last_level <= 1 &&
		     create->target == 2 && create->array_size <= 1;
	return is_2d ? 0 : -EINVAL;
}

static int create_device_resource(struct neep_node_bo *bo, const struct neep_drm_resource_create *create) {
	struct neep_driver *driver = bo->node->driver;
	uint32_t resource_id = neep_node_bo_resource_id(bo);
	if (!neep_node_has(bo->node, NEEP_DRM_PARAM_3D_FEATURES)) {
		return neep_cmd_create_2d(driver, resource_id, create->format, create->width, create->height);
	}
	struct virtio_gpu_resource_create_3d cmd = {
		.resource_id = resource_id,
		.target = create->target,
		.format = create->format,
		.bind = create->bind,
		.width = create->width,
		.height = create->height,
		.depth = create->depth,
		.array_size = create->array_size,
		.last_level = create->last_level,
		.nr_samples = create->nr_samples,
		.flags = create->flags,
	};
	return neep_cmd_create_3d(driver, &cmd);
}

/* With pages of guest memory behind it. */
static int fill_resource(struct neep_node_bo *bo, const struct neep_drm_resource_create *create) {
	int result = neep_driver_alloc(bo->node->driver, bo->size, &bo->backing);
	if (result < 0) {
		return result;
	}
	memset(bo->backing.first.host, 0, bo->size);
	result = neep_node_result(bo->node, create_device_resource(bo, create));
	if (result < 0) {
		return result;
	}
	result = neep_node_result(bo->node,
		neep_cmd_attach_backing(bo->node->driver, neep_node_bo_resource_id(bo), &bo->backing));
	if (result < 0) {
		neep_cmd_unref(bo->node->driver, neep_node_bo_resource_id(bo));
	}
	return result;
}

int neep_node_bo_create_resource(struct neep_node_call *call) {
	struct neep_drm_resource_create create;
	memcpy(&create, call->data, sizeof(create));
	int result = check_resource(call->node, &create);
	if (result == 0 && neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES)) {
		result = neep_node_file_need_context(call->file, call->program);
	}
	if (result < 0) {
		return result;
	}
	struct neep_node_bo *bo = bo_create(call->node, create.size == 0 ? PAGE_SIZE : create.size);
	if (bo == NULL) {
		return -ENOMEM;
	}
	result = fill_resource(bo, &create);
	if (result < 0) {
		bo_free(bo);
		return result;
	}
	create.res_handle = neep_node_bo_resource_id(bo);
	result = hand_over(call->file, bo, &create.bo_handle);
	memcpy(call->data, &create, sizeof(create));
	return result;
}

/* ---- memory ---- */

int neep_node_bo_memory(struct neep_node_bo *bo, uint64_t *fd_offset) {
	if (bo->backing.size == 0) {
		return fetch_host_memory(bo, fd_offset);
	}
	return neep_driver_memory_fd(bo->node->driver, &bo->backing, fd_offset);
}

static struct neep_node_bo *bo_at(struct neep_node_file *file, uint64_t offset) {
	uint64_t place = offset - NEEP_VIRTGPU_MAP_BASE;
	uint64_t number = place / NEEP_VIRTGPU_MAP_STEP;
	if (offset < NEEP_VIRTGPU_MAP_BASE || place % NEEP_VIRTGPU_MAP_STEP != 0 ||
		number > NEEP_VIRTGPU_HANDLE_MAX) {
		return NULL;
	}
	return neep_node_bo_find(file, (uint32_t)number);
}

int neep_node_bo_mmap(struct neep_node_call *call) {
	struct neep_virtgpu_mmap map;
	memcpy(&map, call->data, sizeof(map));
	struct neep_node_bo *bo = bo_at(call->file, map.offset);
	if (bo == NULL || map.len == 0 || map.len > bo->size) {
		return -EINVAL;
	}
	int fd = neep_node_bo_memory(bo, &map.fd_offset);
	if (fd < 0) {
		return fd;
	}
	memcpy(call->data, &map, sizeof(map));
	call->fd_out = fd;
	return 0;
}

int neep_node_bo_info(struct neep_node_call *call) {
	struct neep_drm_resource_info info;
	memcpy(&info, call->data, sizeof(info));
	const struct neep_node_bo *bo = neep_node_bo_find(call->file, info.bo_handle);
	if (bo == NULL) {
		return -ENOENT;
	}
	info.res_handle = neep_node_bo_resource_id(bo);
	info.size = (uint32_t)bo->size;
	info.blob_mem = bo->blob_mem != 0 ? bo->blob_mem : info.blob_mem;
	memcpy(call->data, &info, sizeof(info));
	return 0;
}

/* ---- waiting ---- */

/* A fence for all that keep the buffer busy: which timelines they are of, only the device knows. NULL for want of memory. */
static struct neep_node_fence *busy_fence(struct neep_node_bo *bo) {
	size_t count = 0;
	neep_list_for_each (use, &bo->uses, struct neep_node_use, link) {
		count++;
	}
	struct neep_node_fence **fences = calloc(count, sizeof(struct neep_node_fence *));
	if (fences == NULL) {
		return NULL;
	}
	count = 0;
	neep_list_for_each (use, &bo->uses, struct neep_node_use, link) {
		fences[count++] = use->fence;
	}
	struct neep_node_fence *all = neep_node_fence_merge(bo->node, fences, count);
	free(fences);
	return all;
}

int neep_node_bo_wait(struct neep_node_call *call) {
	struct neep_drm_wait wait;
	memcpy(&wait, call->data, sizeof(wait));
	struct neep_node_bo *bo = neep_node_bo_find(call->file, wait.handle);
	if (bo == NULL) {
		return -ENOENT;
	}
	if (neep_list_is_empty(&bo->uses)) {
		return 0;
	}
	if ((wait.flags & NEEP_DRM_WAIT_NOWAIT) != 0) {
		return -EBUSY;
	}
	struct neep_node_fence *fence = busy_fence(bo);
	int fd = fence != NULL ? neep_node_fence_token(fence) : -ENOMEM;
	neep_node_fence_unref(fence);
	if (fd < 0) {
		return fd;
	}
	call->fd_out = fd;
	call->flags_out = NEEP_VIRTGPU_ANSWER_WAIT;
	return 0;
}
