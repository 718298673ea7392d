#include "wayland/virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "virtgpu/uapi.h"
#include "wayland/channel.h"

/* Kernels hand out small numbers. */
#define HANDLES_MAX (UINT32_C(1) << 20)

int neep_wl_virtgpu_ioctl(int fd, unsigned long request, void *arg) {
	int result;
	do {
		result = ioctl(fd, request, arg);
	} while (result < 0 && (errno == EINTR || errno == EAGAIN));
	return result < 0 ? -errno : 0;
}

#define CALL(gpu, nr, arg) neep_wl_virtgpu_ioctl((gpu)->fd, NEEP_DRM_IOWR(NEEP_DRM_NR_##nr, *(arg)), (arg))

static void close_handle(struct neep_wl_virtgpu *gpu, uint32_t handle) {
	struct drm_gem_close close = { .handle = handle };
	neep_wl_virtgpu_ioctl(gpu->fd, DRM_IOCTL_GEM_CLOSE, &close);
}

struct neep_wl_virtgpu *neep_wl_virtgpu_ref(struct neep_wl_virtgpu *gpu) {
	gpu->refs++;
	return gpu;
}

void neep_wl_virtgpu_unref(struct neep_wl_virtgpu *gpu) {
	if (gpu == NULL || --gpu->refs > 0) {
		return;
	}
	neep_close_fd(&gpu->fd);
	free(gpu->holds);
	free(gpu);
}

size_t neep_wl_virtgpu_round(const struct neep_wl_virtgpu *gpu, uint64_t size) {
	if (size > SIZE_MAX - gpu->page_size) {
		return 0;
	}
	return ((size_t)size + gpu->page_size - 1) & ~(gpu->page_size - 1);
}

/* ---- events ---- */

static bool has_fence(const uint8_t *bytes, size_t len) {
	for (size_t at = 0; len - at >= sizeof(struct drm_event);) {
		struct drm_event event;
		memcpy(&event, bytes + at, sizeof(event));
		if (event.type == NEEP_DRM_EVENT_FENCE_SIGNALED) {
			return true;
		}
		if (event.length < sizeof(event) || event.length > len - at) {
			break;
		}
		at += event.length;
	}
	return false;
}

int neep_wl_virtgpu_read_events(struct neep_wl_virtgpu *gpu) {
	uint8_t bytes[256];
	ssize_t got = read(gpu->fd, bytes, sizeof(bytes));
	if (got < 0) {
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	}
	return got == 0 ? -ENODEV : has_fence(bytes, (size_t)got);
}

/* ---- buffers ---- */

static bool grow(struct neep_wl_virtgpu *gpu, uint32_t handle) {
	uint32_t count = gpu->handles_max == 0 ? 64 : gpu->handles_max;
	while (count <= handle && count < HANDLES_MAX) {
		count *= 2;
	}
	uint32_t *holds = count <= handle ? NULL : reallocarray(gpu->holds, count, sizeof(*holds));
	if (holds == NULL) {
		return false;
	}
	memset(holds + gpu->handles_max, 0, (count - gpu->handles_max) * sizeof(*holds));
	gpu->holds = holds;
	gpu->handles_max = count;
	return true;
}

/* Counts a hold of a handle that a call has just returned. */
static int hold(struct neep_wl_virtgpu *gpu, uint32_t handle) {
	if (handle >= gpu->handles_max && !grow(gpu, handle)) {
		close_handle(gpu, handle);
		return -ENOMEM;
	}
	gpu->holds[handle]++;
	return 0;
}

void neep_wl_virtgpu_release(struct neep_wl_virtgpu *gpu, struct neep_wl_bo *bo) {
	if (bo->handle != 0 && --gpu->holds[bo->handle] == 0) {
		close_handle(gpu, bo->handle);
	}
	bo->handle = 0;
}

int neep_wl_virtgpu_create(
	struct neep_wl_virtgpu *gpu, uint64_t blob_id, size_t size, struct neep_wl_bo *bo) {
	bool is_host = blob_id != 0;
	struct neep_drm_create_blob create = {
		.blob_mem = is_host ? NEEP_DRM_BLOB_MEM_HOST3D : NEEP_DRM_BLOB_MEM_GUEST,
		/* Hosts map what they can export: without SHAREABLE some would have to be its only owner. */
		.blob_flags = NEEP_DRM_BLOB_FLAG_MAPPABLE | (is_host ? NEEP_DRM_BLOB_FLAG_SHAREABLE : 0),
		.size = size,
		.blob_id = blob_id,
	};
	*bo = (struct neep_wl_bo){ .handle = 0 };
	int result = CALL(gpu, RESOURCE_CREATE_BLOB, &create);
	if (result == 0) {
		result = hold(gpu, create.bo_handle);
	}
	if (result == 0) {
		*bo = (struct neep_wl_bo){ create.bo_handle, create.res_handle };
	}
	return result;
}

/* Kernels map host memory as a whole only. That the host could not make it shows here. */
static int map(struct neep_wl_virtgpu *gpu, struct neep_wl_mapped *mapped) {
	struct neep_drm_map where = { .handle = mapped->bo.handle };
	int result = CALL(gpu, MAP, &where);
	if (result < 0) {
		return result;
	}
	void *data =
		mmap(NULL, mapped->size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd, (off_t)where.offset);
	if (data == MAP_FAILED) {
		return -errno;
	}
	mapped->data = data;
	return 0;
}

int neep_wl_mapped_create(
	struct neep_wl_virtgpu *gpu, uint64_t blob_id, size_t size, struct neep_wl_mapped *mapped) {
	*mapped = (struct neep_wl_mapped){ .size = size };
	int result = neep_wl_virtgpu_create(gpu, blob_id, size, &mapped->bo);
	if (result == 0) {
		result = map(gpu, mapped);
	}
	if (result < 0) {
		neep_wl_mapped_destroy(gpu, mapped);
	}
	return result;
}

void neep_wl_mapped_destroy(struct neep_wl_virtgpu *gpu, struct neep_wl_mapped *mapped) {
	if (mapped->data != NULL) {
		munmap(mapped->data, mapped->size);
	}
	neep_wl_virtgpu_release(gpu, &mapped->bo);
	*mapped = (struct neep_wl_mapped){ .size = 0 };
}

int neep_wl_virtgpu_export(struct neep_wl_virtgpu *gpu, const struct neep_wl_bo *bo) {
	struct drm_prime_handle prime = { .handle = bo->handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	int result = CALL(gpu, PRIME_HANDLE_TO_FD, &prime);
	return result < 0 ? result : prime.fd;
}

/* *blob_mem: what it is made of. */
static int import(struct neep_wl_virtgpu *gpu, int fd, struct neep_wl_bo *bo, uint32_t *blob_mem) {
	struct drm_prime_handle prime = { .fd = fd };
	*bo = (struct neep_wl_bo){ .handle = 0 };
	int result = CALL(gpu, PRIME_FD_TO_HANDLE, &prime);
	if (result == 0) {
		result = hold(gpu, prime.handle);
	}
	if (result < 0) {
		return result == -ENOMEM ? -ENOMEM : -ENOTSUP;
	}
	bo->handle = prime.handle;
	struct neep_drm_resource_info info = { .bo_handle = prime.handle };
	result = CALL(gpu, RESOURCE_INFO, &info);
	if (result < 0) {
		neep_wl_virtgpu_release(gpu, bo);
		return result;
	}
	bo->resource_id = info.res_handle;
	*blob_mem = info.blob_mem;
	return 0;
}

int neep_wl_virtgpu_import(struct neep_wl_virtgpu *gpu, int fd, struct neep_wl_bo *bo) {
	uint32_t blob_mem;
	int result = import(gpu, fd, bo, &blob_mem);
	/* The host has no fd for memory of the guest. */
	if (result == 0 && blob_mem == NEEP_DRM_BLOB_MEM_GUEST) {
		neep_wl_virtgpu_release(gpu, bo);
		return -ENOTSUP;
	}
	return result;
}

bool neep_wl_virtgpu_is_host_memory(struct neep_wl_virtgpu *gpu, int fd) {
	struct neep_wl_bo bo;
	uint32_t blob_mem = 0;
	int result = import(gpu, fd, &bo, &blob_mem);
	neep_wl_virtgpu_release(gpu, &bo);
	return result == 0 && blob_mem == NEEP_DRM_BLOB_MEM_HOST3D;
}

/* Of dma-bufs that are guest memory the host has no file; memory files are told from them by their seals. */
int neep_wl_virtgpu_import_file(struct neep_wl_virtgpu *gpu, int fd, struct neep_wl_bo *bo) {
	bool has_way = (gpu->extensions & NEEP_WL_EXTENSION_GUEST_FILES) != 0;
	uint32_t blob_mem;
	int result = has_way && fcntl(fd, F_GET_SEALS) >= 0 ? import(gpu, fd, bo, &blob_mem) : -ENOTSUP;
	if (result == 0 && blob_mem != NEEP_DRM_BLOB_MEM_GUEST) {
		neep_wl_virtgpu_release(gpu, bo);
		return -ENOTSUP;
	}
	return result;
}

/* ---- commands ---- */

int neep_wl_virtgpu_submit(struct neep_wl_virtgpu *gpu, const struct neep_wl_submit *submit) {
	struct neep_drm_execbuffer exec = {
		.size = (uint32_t)submit->len,
		.command = (uintptr_t)submit->command,
		.bo_handles = (uintptr_t)&submit->handle,
		.num_bo_handles = submit->handle != 0 ? 1 : 0,
		.fence_fd = -1,
	};
	if (submit->ring != NEEP_WL_RING_NONE) {
		exec.flags |= NEEP_DRM_EXEC_RING_IDX;
		exec.ring_idx = (uint32_t)submit->ring;
	}
	if (submit->fence_fd != NULL) {
		exec.flags |= NEEP_DRM_EXEC_FENCE_FD_OUT;
	}
	int result = CALL(gpu, EXECBUFFER, &exec);
	if (submit->fence_fd != NULL) {
		*submit->fence_fd = result < 0 ? -1 : exec.fence_fd;
	}
	return result;
}

int neep_wl_virtgpu_wait(struct neep_wl_virtgpu *gpu, const struct neep_wl_bo *bo) {
	struct neep_drm_wait wait = { .handle = bo->handle };
	return CALL(gpu, WAIT, &wait);
}
