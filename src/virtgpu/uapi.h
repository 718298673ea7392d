/* The kernel's interface of a virtio-gpu render node: what is newer than the headers of old libdrm packages.
 * Source: Linux, include/uapi/drm/virtgpu_drm.h. Names have our prefix, so that those headers may be there too. */
#ifndef NEEP_VIRTGPU_UAPI_H
#define NEEP_VIRTGPU_UAPI_H

#include <stdint.h>

#include <drm.h>

/* Numbers of ioctls, of the type 'd'. */
enum neep_drm_nr {
	NEEP_DRM_NR_VERSION = 0x00,
	NEEP_DRM_NR_GET_MAGIC = 0x02,
	NEEP_DRM_NR_GEM_CLOSE = 0x09,
	NEEP_DRM_NR_GET_CAP = 0x0c,
	NEEP_DRM_NR_AUTH_MAGIC = 0x11,
	NEEP_DRM_NR_PRIME_HANDLE_TO_FD = 0x2d,
	NEEP_DRM_NR_PRIME_FD_TO_HANDLE = 0x2e,
	NEEP_DRM_NR_MAP = 0x41,
	NEEP_DRM_NR_EXECBUFFER = 0x42,
	NEEP_DRM_NR_GETPARAM = 0x43,
	NEEP_DRM_NR_RESOURCE_CREATE = 0x44,
	NEEP_DRM_NR_RESOURCE_INFO = 0x45,
	NEEP_DRM_NR_TRANSFER_FROM_HOST = 0x46,
	NEEP_DRM_NR_TRANSFER_TO_HOST = 0x47,
	NEEP_DRM_NR_WAIT = 0x48,
	NEEP_DRM_NR_GET_CAPS = 0x49,
	NEEP_DRM_NR_RESOURCE_CREATE_BLOB = 0x4a,
	NEEP_DRM_NR_CONTEXT_INIT = 0x4b,
	NEEP_DRM_NR_SYNCOBJ_CREATE = 0xbf,
	NEEP_DRM_NR_SYNCOBJ_DESTROY = 0xc0,
	NEEP_DRM_NR_SYNCOBJ_HANDLE_TO_FD = 0xc1,
	NEEP_DRM_NR_SYNCOBJ_FD_TO_HANDLE = 0xc2,
	NEEP_DRM_NR_SYNCOBJ_WAIT = 0xc3,
	NEEP_DRM_NR_SYNCOBJ_RESET = 0xc4,
	NEEP_DRM_NR_SYNCOBJ_SIGNAL = 0xc5,
	NEEP_DRM_NR_SYNCOBJ_TIMELINE_WAIT = 0xca,
	NEEP_DRM_NR_SYNCOBJ_QUERY = 0xcb,
	NEEP_DRM_NR_SYNCOBJ_TRANSFER = 0xcc,
	NEEP_DRM_NR_SYNCOBJ_TIMELINE_SIGNAL = 0xcd,
	NEEP_DRM_NR_SYNCOBJ_EVENTFD = 0xcf,
};

#define NEEP_DRM_IOWR(nr, type) _IOWR('d', (nr), type)

/* What a render fd has to read: {type, length}, nothing behind. */
#define NEEP_DRM_EVENT_FENCE_SIGNALED UINT32_C(0x90000000)

struct neep_drm_map {
	uint64_t offset; // out, for mmap()
	uint32_t handle;
	uint32_t pad;
};

#define NEEP_DRM_EXEC_FENCE_FD_IN  UINT32_C(0x01)
#define NEEP_DRM_EXEC_FENCE_FD_OUT UINT32_C(0x02)
#define NEEP_DRM_EXEC_RING_IDX     UINT32_C(0x04)

struct neep_drm_execbuffer {
	uint32_t flags;
	uint32_t size;       // bytes of the command
	uint64_t command;    // pointer
	uint64_t bo_handles; // pointer to uint32_t
	uint32_t num_bo_handles;
	int32_t fence_fd; // in, out
	uint32_t ring_idx;
	uint32_t syncobj_stride;
	uint32_t num_in_syncobjs;
	uint32_t num_out_syncobjs;
	uint64_t in_syncobjs;  // pointer to neep_drm_exec_syncobj
	uint64_t out_syncobjs; // pointer to neep_drm_exec_syncobj
};

#define NEEP_DRM_EXEC_SYNCOBJ_RESET UINT32_C(0x01)

struct neep_drm_exec_syncobj {
	uint32_t handle;
	uint32_t flags;
	uint64_t point;
};

enum neep_drm_param {
	NEEP_DRM_PARAM_3D_FEATURES = 1,
	NEEP_DRM_PARAM_CAPSET_QUERY_FIX = 2,
	NEEP_DRM_PARAM_RESOURCE_BLOB = 3,
	NEEP_DRM_PARAM_HOST_VISIBLE = 4,
	NEEP_DRM_PARAM_CROSS_DEVICE = 5,
	NEEP_DRM_PARAM_CONTEXT_INIT = 6,
	NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS = 7,
	NEEP_DRM_PARAM_EXPLICIT_DEBUG_NAME = 8,
	NEEP_DRM_PARAM_COUNT, // 9 and 10 mean different things to different drivers: no kernel has them
};

struct neep_drm_getparam {
	uint64_t param;
	uint64_t value; // pointer to 4 bytes
};

struct neep_drm_resource_create {
	uint32_t target, format, bind, width, height, depth, array_size, last_level, nr_samples, flags;
	uint32_t bo_handle;  // out
	uint32_t res_handle; // out
	uint32_t size;
	uint32_t stride;
};

struct neep_drm_resource_info {
	uint32_t bo_handle;
	uint32_t res_handle; // out
	uint32_t size;       // out
	uint32_t blob_mem;   // out, of blobs only
};

struct neep_drm_box {
	uint32_t x, y, z, w, h, d;
};

struct neep_drm_transfer {
	uint32_t bo_handle;
	struct neep_drm_box box;
	uint32_t level;
	uint32_t offset;
	uint32_t stride;
	uint32_t layer_stride;
};

#define NEEP_DRM_WAIT_NOWAIT UINT32_C(1)

struct neep_drm_wait {
	uint32_t handle;
	uint32_t flags;
};

struct neep_drm_get_caps {
	uint32_t cap_set_id;
	uint32_t cap_set_ver;
	uint64_t addr; // pointer
	uint32_t size;
	uint32_t pad;
};

enum neep_drm_blob_mem {
	NEEP_DRM_BLOB_MEM_GUEST = 1,
	NEEP_DRM_BLOB_MEM_HOST3D = 2,
	NEEP_DRM_BLOB_MEM_HOST3D_GUEST = 3,
};

#define NEEP_DRM_BLOB_FLAG_MAPPABLE     UINT32_C(1)
#define NEEP_DRM_BLOB_FLAG_SHAREABLE    UINT32_C(2)
#define NEEP_DRM_BLOB_FLAG_CROSS_DEVICE UINT32_C(4)

struct neep_drm_create_blob {
	uint32_t blob_mem;
	uint32_t blob_flags;
	uint32_t bo_handle;  // out
	uint32_t res_handle; // out
	uint64_t size;
	uint32_t pad;
	uint32_t cmd_size;
	uint64_t cmd; // pointer
	uint64_t blob_id;
};

enum neep_drm_context_param {
	NEEP_DRM_CONTEXT_CAPSET_ID = 1,
	NEEP_DRM_CONTEXT_NUM_RINGS = 2,
	NEEP_DRM_CONTEXT_POLL_RINGS_MASK = 3,
	NEEP_DRM_CONTEXT_DEBUG_NAME = 4, // pointer to a string
};

struct neep_drm_context_set_param {
	uint64_t param;
	uint64_t value;
};

/* More parameters are refused. */
#define NEEP_DRM_CONTEXT_PARAMS_MAX 4
#define NEEP_DRM_DEBUG_NAME_SIZE    64
#define NEEP_DRM_RINGS_MAX          64

struct neep_drm_context_init {
	uint32_t num_params;
	uint32_t pad;
	uint64_t ctx_set_params; // pointer to neep_drm_context_set_param
};

/* Newer kernels have a deadline behind these, which is a hint. */
struct neep_drm_syncobj_wait {
	uint64_t handles;     // pointer to uint32_t
	int64_t timeout_nsec; // absolute, CLOCK_MONOTONIC
	uint32_t count_handles;
	uint32_t flags;
	uint32_t first_signaled; // out
	uint32_t pad;
};

struct neep_drm_syncobj_timeline_wait {
	uint64_t handles; // pointer to uint32_t
	uint64_t points;  // pointer to uint64_t
	int64_t timeout_nsec;
	uint32_t count_handles;
	uint32_t flags;
	uint32_t first_signaled; // out
	uint32_t pad;
};

struct neep_drm_syncobj_eventfd {
	uint32_t handle;
	uint32_t flags; // DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE
	uint64_t point; // 0: of a binary one
	int32_t fd;
	uint32_t pad;
};

#endif
