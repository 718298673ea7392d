/* Submits and transfers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtgpu/node_internal.h"

/* A submit whose words have been found to be right. */
struct submit {
	struct neep_drm_execbuffer exec;
	const void *commands;
	const uint32_t *handles;    // may be unaligned: read through handle_at()
	const uint8_t *in_syncobjs; // as syncobj_stride says: read through syncobj_at()
	const uint8_t *out_syncobjs;
	struct neep_node_event *event; // that the program reads when it is done; NULL: none
};

static struct neep_drm_exec_syncobj syncobj_at(
	const struct submit *submit, const uint8_t *syncobjs, uint32_t index) {
	struct neep_drm_exec_syncobj syncobj = { .handle = 0 };
	uint32_t stride = submit->exec.syncobj_stride;
	memcpy(&syncobj, syncobjs + (size_t)index * stride,
		stride < sizeof(syncobj) ? stride : sizeof(syncobj));
	return syncobj;
}

static uint32_t handle_at(const struct submit *submit, uint32_t index) {
	uint32_t handle;
	memcpy(&handle, (const uint8_t *)submit->handles + index * sizeof(handle), sizeof(handle));
	return handle;
}

static bool check_syncobjs(
	struct neep_node_call *call, const struct submit *submit, const uint8_t *syncobjs, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		if (!neep_node_syncobj_exists(call->file, syncobj_at(submit, syncobjs, i).handle)) {
			return false;
		}
	}
	return true;
}

static int check_submit(struct neep_node_call *call, const struct submit *submit) {
	const struct neep_drm_execbuffer *exec = &submit->exec;
	const uint32_t known =
		NEEP_DRM_EXEC_FENCE_FD_IN | NEEP_DRM_EXEC_FENCE_FD_OUT | NEEP_DRM_EXEC_RING_IDX;
	if ((exec->flags & ~known) != 0) {
		return -EINVAL;
	}
	bool has_ring = (exec->flags & NEEP_DRM_EXEC_RING_IDX) != 0;
	if (has_ring && exec->ring_idx >= call->file->context.num_rings) {
		return -EINVAL;
	}
	if (submit->commands == NULL || submit->handles == NULL || submit->in_syncobjs == NULL ||
		submit->out_syncobjs == NULL) {
		return -EFAULT;
	}
	for (uint32_t i = 0; i < exec->num_bo_handles; i++) {
		if (neep_node_bo_find(call->file, handle_at(submit, i)) == NULL) {
			return -ENOENT;
		}
	}
	return check_syncobjs(call, submit, submit->in_syncobjs, exec->num_in_syncobjs) &&
			       check_syncobjs(call, submit, submit->out_syncobjs, exec->num_out_syncobjs)
		       ? 0
		       : -ENOENT;
}

static int read_submit(struct neep_node_call *call, struct submit *submit) {
	memcpy(&submit->exec, call->data, sizeof(submit->exec));
	if (!neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES)) {
		return -ENOSYS;
	}
	int result = neep_node_file_need_context(call->file, call->program);
	if (result < 0) {
		return result;
	}
	submit->commands = neep_node_call_take(call, submit->exec.size, 1);
	submit->handles = neep_node_call_take(call, submit->exec.num_bo_handles, sizeof(uint32_t));
	submit->in_syncobjs =
		neep_node_call_take(call, submit->exec.num_in_syncobjs, submit->exec.syncobj_stride);
	submit->out_syncobjs =
		neep_node_call_take(call, submit->exec.num_out_syncobjs, submit->exec.syncobj_stride);
	return check_submit(call, submit);
}

static bool wants_event(const struct neep_node_file *file, const struct neep_drm_execbuffer *exec) {
	return (exec->flags & NEEP_DRM_EXEC_RING_IDX) != 0 &&
	       (file->context.polled_rings >> exec->ring_idx & 1) != 0;
}

/* A fence costs an answer of the device: only where somebody can wait for it. */
static bool needs_fence(const struct submit *submit) {
	const struct neep_drm_execbuffer *exec = &submit->exec;
	return (exec->flags & NEEP_DRM_EXEC_FENCE_FD_OUT) != 0 || exec->num_bo_handles > 0 ||
	       exec->num_out_syncobjs > 0 || submit->event != NULL;
}

static int send_submit(
	struct neep_node_call *call, const struct submit *submit, struct neep_node_fence **fence) {
	const struct neep_drm_execbuffer *exec = &submit->exec;
	struct virtio_gpu_cmd_submit cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = call->file->context.ctx_id },
		.size = exec->size,
	};
	if ((exec->flags & NEEP_DRM_EXEC_RING_IDX) != 0) {
		cmd.hdr.flags = VIRTIO_GPU_FLAG_INFO_RING_IDX;
		cmd.hdr.ring_idx = (uint8_t)exec->ring_idx;
	}
	if (needs_fence(submit)) {
		struct neep_node_command command = { &cmd.hdr, sizeof(cmd), submit->commands, exec->size };
		return neep_node_send_fenced(call->node, &command, fence);
	}
	neep_node_send(call->node, &cmd, sizeof(cmd), submit->commands, exec->size);
	return 0;
}

static int use_fence(
	struct neep_node_call *call, const struct submit *submit, struct neep_node_fence *fence) {
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < submit->exec.num_bo_handles; i++) {
		result = neep_node_bo_add_use(neep_node_bo_find(call->file, handle_at(submit, i)), fence);
	}
	for (uint32_t i = 0; result == 0 && i < submit->exec.num_out_syncobjs; i++) {
		struct neep_drm_exec_syncobj syncobj = syncobj_at(submit, submit->out_syncobjs, i);
		result = neep_node_syncobjs_set(call->file, &syncobj, fence);
	}
	if (result == 0 && (submit->exec.flags & NEEP_DRM_EXEC_FENCE_FD_OUT) != 0) {
		call->fd_out = neep_node_fence_token(fence);
		result = call->fd_out < 0 ? call->fd_out : 0;
	}
	return result;
}

int neep_node_execbuffer(struct neep_node_call *call) {
	struct submit submit = { .event = NULL };
	int result = read_submit(call, &submit);
	if (result < 0) {
		return result;
	}
	if (wants_event(call->file, &submit.exec)) {
		submit.event = neep_node_event_reserve(call->file);
		if (submit.event == NULL) {
			return -ENOMEM;
		}
	}
	/* The library has waited for these. */
	for (uint32_t i = 0; i < submit.exec.num_in_syncobjs; i++) {
		struct neep_drm_exec_syncobj syncobj = syncobj_at(&submit, submit.in_syncobjs, i);
		neep_node_syncobjs_reset(call->file, &syncobj);
	}
	struct neep_node_fence *fence = NULL;
	result = send_submit(call, &submit, &fence);
	neep_node_event_submit(submit.event, fence);
	if (result == 0 && fence != NULL) {
		result = use_fence(call, &submit, fence);
	}
	neep_node_fence_unref(fence);
	return result;
}

/* ---- transfers ---- */

static int transfer(struct neep_node_call *call, uint32_t type) {
	struct neep_drm_transfer transfer;
	memcpy(&transfer, call->data, sizeof(transfer));
	if (!neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES)) {
		return -ENOSYS;
	}
	int result = neep_node_file_need_context(call->file, call->program);
	if (result < 0) {
		return result;
	}
	struct neep_node_bo *bo = neep_node_bo_find(call->file, transfer.bo_handle);
	if (bo == NULL) {
		return -ENOENT;
	}
	bool is_classic = bo->blob_mem == 0;
	bool has_stride = transfer.stride != 0 || transfer.layer_stride != 0;
	if (bo->blob_mem == NEEP_DRM_BLOB_MEM_GUEST || (is_classic && has_stride)) {
		return -EINVAL;
	}
	struct virtio_gpu_transfer_host_3d cmd = {
		.hdr = { .type = type, .ctx_id = call->file->context.ctx_id },
		.box = { transfer.box.x, transfer.box.y, transfer.box.z, transfer.box.w, transfer.box.h,
			transfer.box.d },
		.offset = transfer.offset,
		.resource_id = neep_node_bo_resource_id(bo),
		.level = transfer.level,
		.stride = transfer.stride,
		.layer_stride = transfer.layer_stride,
	};
	struct neep_node_fence *fence = NULL;
	struct neep_node_command command = { .hdr = &cmd.hdr, .len = sizeof(cmd) };
	result = neep_node_send_fenced(call->node, &command, &fence);
	if (result == 0) {
		result = neep_node_bo_add_use(bo, fence);
	}
	neep_node_fence_unref(fence);
	return result;
}

int neep_node_transfer_to_host(struct neep_node_call *call) {
	return transfer(call, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D);
}

int neep_node_transfer_from_host(struct neep_node_call *call) {
	return transfer(call, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D);
}
