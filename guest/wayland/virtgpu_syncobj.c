/* Syncobjs of the DRM file, which stand for timelines that programs made with files of their own. Linux, drm_syncobj.c. */
#include "wayland/virtgpu.h"

#include <errno.h>

#include "util/fd.h"
#include "virtgpu/uapi.h"

#define CALL(gpu, nr, arg) neep_wl_virtgpu_ioctl((gpu)->fd, NEEP_DRM_IOWR(NEEP_DRM_NR_##nr, *(arg)), (arg))

int neep_wl_virtgpu_syncobj_import(struct neep_wl_virtgpu *gpu, int fd, uint32_t *handle) {
	struct drm_syncobj_handle syncobj = { .fd = fd };
	int result = CALL(gpu, SYNCOBJ_FD_TO_HANDLE, &syncobj);
	*handle = result == 0 ? syncobj.handle : 0;
	return result;
}

void neep_wl_virtgpu_syncobj_close(struct neep_wl_virtgpu *gpu, uint32_t handle) {
	struct drm_syncobj_destroy destroy = { .handle = handle };
	CALL(gpu, SYNCOBJ_DESTROY, &destroy);
}

int neep_wl_virtgpu_syncobj_signal(struct neep_wl_virtgpu *gpu, uint32_t handle, uint64_t point) {
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
	};
	return CALL(gpu, SYNCOBJ_TIMELINE_SIGNAL, &array);
}

int neep_wl_virtgpu_syncobj_watch(struct neep_wl_virtgpu *gpu, uint32_t handle, uint64_t point, int eventfd) {
	struct neep_drm_syncobj_eventfd watch = { .handle = handle, .point = point, .fd = eventfd };
	return CALL(gpu, SYNCOBJ_EVENTFD, &watch);
}

bool neep_wl_virtgpu_has_timelines(struct neep_wl_virtgpu *gpu) {
	neep_autoclose int fd = neep_eventfd_create();
	/* No syncobj has this handle: a kernel that looks for it can do the rest. */
	return fd >= 0 && neep_wl_virtgpu_syncobj_watch(gpu, 0, 1, fd) == -ENOENT;
}
