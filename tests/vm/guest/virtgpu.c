#include "virtgpu.h"

#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kms.h"

// The kernel's <drm/virtgpu_drm.h>; the header of Debian 12's libdrm is older than blobs and contexts.
struct virtgpu_map {
	uint64_t offset;
	uint32_t handle;
	uint32_t pad;
};
struct virtgpu_execbuffer {
	uint32_t flags;
	uint32_t size;
	uint64_t command;
	uint64_t bo_handles;
	uint32_t num_bo_handles;
	int32_t fence_fd;
	uint32_t ring_idx;
	uint32_t pad;
};
struct virtgpu_getparam {
	uint64_t param;
	uint64_t value;
};
struct virtgpu_caps {
	uint32_t cap_set_id;
	uint32_t cap_set_ver;
	uint64_t addr;
	uint32_t size;
	uint32_t pad;
};
struct virtgpu_create_blob {
	uint32_t blob_mem;
	uint32_t blob_flags;
	uint32_t bo_handle;
	uint32_t res_handle;
	uint64_t size;
	uint32_t pad;
	uint32_t cmd_size;
	uint64_t cmd;
	uint64_t blob_id;
};
struct virtgpu_context_param {
	uint64_t param;
	uint64_t value;
};
struct virtgpu_context {
	uint32_t num_params;
	uint32_t pad;
	uint64_t params;
};

#define IOCTL_MAP          DRM_IOWR(DRM_COMMAND_BASE + 0x01, struct virtgpu_map)
#define IOCTL_EXECBUFFER   DRM_IOWR(DRM_COMMAND_BASE + 0x02, struct virtgpu_execbuffer)
#define IOCTL_GETPARAM     DRM_IOWR(DRM_COMMAND_BASE + 0x03, struct virtgpu_getparam)
#define IOCTL_GET_CAPS     DRM_IOWR(DRM_COMMAND_BASE + 0x09, struct virtgpu_caps)
#define IOCTL_CREATE_BLOB  DRM_IOWR(DRM_COMMAND_BASE + 0x0a, struct virtgpu_create_blob)
#define IOCTL_CONTEXT_INIT DRM_IOWR(DRM_COMMAND_BASE + 0x0b, struct virtgpu_context)

enum {
	EXECBUF_FENCE_FD_IN = 1,
	EXECBUF_FENCE_FD_OUT = 2,
	EXECBUF_RING_IDX = 4,
	CONTEXT_PARAM_CAPSET_ID = 1,
	CONTEXT_PARAM_NUM_RINGS = 2,
	BLOB_MEM_HOST3D = 2,
	BLOB_FLAG_USE_MAPPABLE = 1,
};

int virtgpu_open(void) {
	int fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		kms_die("no render node");
	}
	return fd;
}

void virtgpu_context_init(int fd, uint32_t capset_id) {
	struct virtgpu_context_param params[] = {
		{ CONTEXT_PARAM_CAPSET_ID, capset_id },
		{ CONTEXT_PARAM_NUM_RINGS, VIRTGPU_RINGS },
	};
	struct virtgpu_context init = { .num_params = 2, .params = (uintptr_t)params };
	if (kms_ioctl(fd, IOCTL_CONTEXT_INIT, &init) < 0) {
		kms_die("CONTEXT_INIT");
	}
}

int virtgpu_param(int fd, enum virtgpu_param param) {
	int value = 0;
	struct virtgpu_getparam get = { .param = param, .value = (uintptr_t)&value };
	return kms_ioctl(fd, IOCTL_GETPARAM, &get) == 0 ? value : -1;
}

int virtgpu_get_caps(int fd, uint32_t capset_id, uint32_t version, void *data, uint32_t size) {
	struct virtgpu_caps caps = {
		.cap_set_id = capset_id,
		.cap_set_ver = version,
		.addr = (uintptr_t)data,
		.size = size,
	};
	return kms_ioctl(fd, IOCTL_GET_CAPS, &caps) == 0 ? 0 : errno;
}

void virtgpu_stream_add(struct virtgpu_stream *stream, const uint32_t *words, uint32_t count) {
	if (count > sizeof(stream->words) / sizeof(stream->words[0]) - stream->count) {
		errno = ENOSPC;
		kms_die("command stream");
	}
	memcpy(stream->words + stream->count, words, count * sizeof(*words));
	stream->count += count;
}

int virtgpu_submit(int fd, const struct virtgpu_stream *stream, uint32_t ring, int in_fence) {
	struct virtgpu_execbuffer exec = {
		.flags = EXECBUF_RING_IDX | EXECBUF_FENCE_FD_OUT |
			 (in_fence >= 0 ? (uint32_t)EXECBUF_FENCE_FD_IN : 0),
		.size = stream->count * (uint32_t)sizeof(stream->words[0]),
		.command = (uintptr_t)stream->words,
		.fence_fd = in_fence,
		.ring_idx = ring,
	};
	if (kms_ioctl(fd, IOCTL_EXECBUFFER, &exec) < 0) {
		kms_die("EXECBUFFER on ring %u", ring);
	}
	return exec.fence_fd;
}

void virtgpu_run(int fd, const struct virtgpu_stream *stream) {
	int fence = virtgpu_submit(fd, stream, 0, -1);
	if (!virtgpu_fence_wait(fence, 20000)) {
		errno = ETIMEDOUT;
		kms_die("a fence of ring 0");
	}
	close(fence);
}

bool virtgpu_fence_wait(int fence, int timeout_ms) {
	struct pollfd ready = { .fd = fence, .events = POLLIN };
	return poll(&ready, 1, timeout_ms) == 1;
}

void virtgpu_blob_create(int fd, const struct virtgpu_stream *stream, uint64_t blob_id, uint64_t size,
	struct virtgpu_blob *blob) {
	struct virtgpu_create_blob create = {
		.blob_mem = BLOB_MEM_HOST3D,
		.blob_flags = BLOB_FLAG_USE_MAPPABLE,
		.size = size,
		.cmd_size = stream != NULL ? stream->count * (uint32_t)sizeof(stream->words[0]) : 0,
		.cmd = stream != NULL ? (uintptr_t)stream->words : 0,
		.blob_id = blob_id,
	};
	if (kms_ioctl(fd, IOCTL_CREATE_BLOB, &create) < 0) {
		kms_die("CREATE_BLOB");
	}
	*blob = (struct virtgpu_blob){
		.handle = create.bo_handle,
		.resource_id = create.res_handle,
		.size = size,
	};
}

int virtgpu_blob_map_at(int fd, struct virtgpu_blob *blob, void *address) {
	struct virtgpu_map map = { .handle = blob->handle };
	if (kms_ioctl(fd, IOCTL_MAP, &map) < 0) {
		kms_die("MAP");
	}
	int flags = MAP_SHARED | (address != NULL ? MAP_FIXED : 0);
	void *ptr = mmap(address, blob->size, PROT_READ | PROT_WRITE, flags, fd, (off_t)map.offset);
	if (ptr == MAP_FAILED) {
		return errno;
	}
	blob->map = ptr;
	return 0;
}

int virtgpu_blob_map(int fd, struct virtgpu_blob *blob) {
	return virtgpu_blob_map_at(fd, blob, NULL);
}

void virtgpu_blob_destroy(int fd, struct virtgpu_blob *blob) {
	if (blob->map != NULL) {
		munmap(blob->map, blob->size);
	}
	struct drm_gem_close gem = { .handle = blob->handle };
	if (kms_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem) < 0) {
		kms_die("GEM_CLOSE");
	}
	*blob = (struct virtgpu_blob){ 0 };
}
