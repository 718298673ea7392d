/* Calls: what the ioctls are, and how their words are read. */
#include <errno.h>
#include <string.h>

#include "util/checked.h"
#include "virtgpu/node_internal.h"

const void *neep_node_call_take(struct neep_node_call *call, uint64_t count, uint64_t size) {
	uint64_t len;
	if (!neep_mul(count, size, &len) || len > call->arrays_len) {
		return NULL;
	}
	const uint8_t *taken = call->arrays;
	call->arrays += len;
	call->arrays_len -= (size_t)len;
	return taken;
}

static const struct ioctl {
	uint32_t nr;
	uint32_t size; // of the struct
	int (*handle)(struct neep_node_call *call);
} ioctls[] = {
	{ NEEP_DRM_NR_GEM_CLOSE, sizeof(struct drm_gem_close), neep_node_bo_close },
	{ NEEP_DRM_NR_PRIME_HANDLE_TO_FD, sizeof(struct drm_prime_handle), neep_node_prime_export },
	{ NEEP_DRM_NR_PRIME_FD_TO_HANDLE, sizeof(struct drm_prime_handle), neep_node_prime_import },
	{ NEEP_DRM_NR_EXECBUFFER, sizeof(struct neep_drm_execbuffer), neep_node_execbuffer },
	{ NEEP_DRM_NR_RESOURCE_CREATE, sizeof(struct neep_drm_resource_create),
		neep_node_bo_create_resource },
	{ NEEP_DRM_NR_RESOURCE_INFO, sizeof(struct neep_drm_resource_info), neep_node_bo_info },
	{ NEEP_DRM_NR_TRANSFER_FROM_HOST, sizeof(struct neep_drm_transfer), neep_node_transfer_from_host },
	{ NEEP_DRM_NR_TRANSFER_TO_HOST, sizeof(struct neep_drm_transfer), neep_node_transfer_to_host },
	{ NEEP_DRM_NR_WAIT, sizeof(struct neep_drm_wait), neep_node_bo_wait },
	{ NEEP_DRM_NR_RESOURCE_CREATE_BLOB, sizeof(struct neep_drm_create_blob), neep_node_bo_create_blob },
	{ NEEP_DRM_NR_CONTEXT_INIT, sizeof(struct neep_drm_context_init), neep_node_context_init },
	{ NEEP_DRM_NR_SYNCOBJ_CREATE, sizeof(struct drm_syncobj_create), neep_node_syncobj_create },
	{ NEEP_DRM_NR_SYNCOBJ_DESTROY, sizeof(struct drm_syncobj_destroy), neep_node_syncobj_destroy },
	{ NEEP_DRM_NR_SYNCOBJ_HANDLE_TO_FD, sizeof(struct drm_syncobj_handle), neep_node_syncobj_export },
	{ NEEP_DRM_NR_SYNCOBJ_FD_TO_HANDLE, sizeof(struct drm_syncobj_handle), neep_node_syncobj_import },
	{ NEEP_DRM_NR_SYNCOBJ_WAIT, sizeof(struct neep_drm_syncobj_wait), neep_node_syncobj_wait },
	{ NEEP_DRM_NR_SYNCOBJ_RESET, sizeof(struct drm_syncobj_array), neep_node_syncobj_reset },
	{ NEEP_DRM_NR_SYNCOBJ_SIGNAL, sizeof(struct drm_syncobj_array), neep_node_syncobj_signal },
	{ NEEP_DRM_NR_SYNCOBJ_TIMELINE_WAIT, sizeof(struct neep_drm_syncobj_timeline_wait),
		neep_node_syncobj_timeline_wait },
	{ NEEP_DRM_NR_SYNCOBJ_TRANSFER, sizeof(struct drm_syncobj_transfer), neep_node_syncobj_transfer },
	{ NEEP_DRM_NR_SYNCOBJ_TIMELINE_SIGNAL, sizeof(struct drm_syncobj_timeline_array),
		neep_node_syncobj_timeline_signal },
	{ NEEP_DRM_NR_SYNCOBJ_EVENTFD, sizeof(struct neep_drm_syncobj_eventfd), neep_node_syncobj_eventfd },
};

int neep_node_call_ioctl(struct neep_node_call *call, uint32_t nr, uint32_t size) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ioctls); i++) {
		if (ioctls[i].nr == nr) {
			/* The library sends the struct as this very version knows it. */
			return ioctls[i].size == size ? ioctls[i].handle(call) : -EINVAL;
		}
	}
	return -EINVAL;
}
