/* SPDX-License-Identifier: MIT
 *
 * The C API of rutabaga_gfx, as neep serves it.
 *
 * Names, values and layouts are those of the published rutabaga_gfx_ffi interface, versions 0.1.2 to 0.1.6, so
 * that a program compiled against any of those headers runs on this library (librutabaga_gfx_ffi.so.0). What
 * the published API lacks is in neep_rutabaga.h.
 *
 * Threads: one instance is used by one thread at a time; several instances may live in one process, each on a
 * thread of its own. Callbacks come from inside an API call, or from the library's own thread when a component
 * that completes later is in use (see neep_rutabaga_event_fd()). A callback may call into the API except
 * rutabaga_finish(), and must not throw.
 *
 * Errors: every function returns 0 or a negative errno, and a failed call changes nothing:
 *   -EINVAL     a NULL pointer where none is allowed, or a value outside its range
 *   -ENOENT     no such resource
 *   -ESRCH      no such context
 *   -EEXIST     the id of a resource or context to create is in use
 *   -EBUSY      backing is attached already, or the resource is mapped already
 *   -ENOMEM     a host allocation failed, or a limit (neep_rutabaga_set_limits()) is reached
 *   -EOVERFLOW  a size or offset does not fit 64 bits
 *   -ENOTSUP    no component that is built in or enabled can do it
 * A component may add others (-EIO: it failed, or was lost). The published library knows only -EINVAL and
 * -ESRCH: test for "not 0" where both must work.
 */
#ifndef RUTABAGA_GFX_FFI_H
#define RUTABAGA_GFX_FFI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RUTABAGA_VERSION_MAJOR 0
#define RUTABAGA_VERSION_MINOR 1
#define RUTABAGA_VERSION_PATCH 6

/* Capability sets; bit (1 << id) of rutabaga_builder.capset_mask asks for one. */
#define RUTABAGA_CAPSET_VIRGL              1
#define RUTABAGA_CAPSET_VIRGL2             2
#define RUTABAGA_CAPSET_GFXSTREAM_VULKAN   3
#define RUTABAGA_CAPSET_VENUS              4
#define RUTABAGA_CAPSET_CROSS_DOMAIN       5
#define RUTABAGA_CAPSET_DRM                6
#define RUTABAGA_CAPSET_GFXSTREAM_MAGMA    7
#define RUTABAGA_CAPSET_GFXSTREAM_GLES     8
#define RUTABAGA_CAPSET_GFXSTREAM_COMPOSER 9

/* rutabaga_create_blob.blob_mem: where the bytes of a blob live. */
#define RUTABAGA_BLOB_MEM_GUEST        1
#define RUTABAGA_BLOB_MEM_HOST3D       2
#define RUTABAGA_BLOB_MEM_HOST3D_GUEST 3

/* rutabaga_create_blob.blob_flags */
#define RUTABAGA_BLOB_FLAG_USE_MAPPABLE     1
#define RUTABAGA_BLOB_FLAG_USE_SHAREABLE    2
#define RUTABAGA_BLOB_FLAG_USE_CROSS_DEVICE 4

/* rutabaga_resource_map_info(): the low nibble is virtio-gpu's map_info and is what a guest is told, the high
 * nibble is for the VMM and must be masked off before a guest sees the value. */
#define RUTABAGA_MAP_CACHE_MASK     0x0f
#define RUTABAGA_MAP_CACHE_CACHED   0x01
#define RUTABAGA_MAP_CACHE_UNCACHED 0x02
#define RUTABAGA_MAP_CACHE_WC       0x03
#define RUTABAGA_MAP_ACCESS_MASK    0xf0
#define RUTABAGA_MAP_ACCESS_READ    0x10
#define RUTABAGA_MAP_ACCESS_WRITE   0x20
#define RUTABAGA_MAP_ACCESS_RW      0x30

/* rutabaga_handle.handle_type, in the spelling of 0.1.6 */
#define RUTABAGA_HANDLE_TYPE_MEM_OPAQUE_FD    0x1
#define RUTABAGA_HANDLE_TYPE_MEM_DMABUF       0x2
#define RUTABAGA_HANDLE_TYPE_MEM_OPAQUE_WIN32 0x3
#define RUTABAGA_HANDLE_TYPE_MEM_SHM          0x4
#define RUTABAGA_HANDLE_TYPE_MEM_ZIRCON       0x5

#define RUTABAGA_HANDLE_TYPE_SIGNAL_OPAQUE_FD    0x10
#define RUTABAGA_HANDLE_TYPE_SIGNAL_SYNC_FD      0x20
#define RUTABAGA_HANDLE_TYPE_SIGNAL_OPAQUE_WIN32 0x30
#define RUTABAGA_HANDLE_TYPE_SIGNAL_ZIRCON       0x40
#define RUTABAGA_HANDLE_TYPE_SIGNAL_EVENT_FD     0x50

#define RUTABAGA_HANDLE_TYPE_PLATFORM_SCREEN_BUFFER_QNX 0x01000000
#define RUTABAGA_HANDLE_TYPE_PLATFORM_EGL_NATIVE_PIXMAP 0x02000000
#define RUTABAGA_HANDLE_TYPE_PLATFORM_AHB               0x03000000

/* The same memory handle types in the spelling of 0.1.2 and 0.1.3. (Their fence handle types had other values
 * than today's SIGNAL ones and no function that took them; they are left out.) */
#define RUTABAGA_MEM_HANDLE_TYPE_OPAQUE_FD    RUTABAGA_HANDLE_TYPE_MEM_OPAQUE_FD
#define RUTABAGA_MEM_HANDLE_TYPE_DMABUF       RUTABAGA_HANDLE_TYPE_MEM_DMABUF
#define RUTABAGA_MEM_HANDLE_TYPE_OPAQUE_WIN32 RUTABAGA_HANDLE_TYPE_MEM_OPAQUE_WIN32
#define RUTABAGA_MEM_HANDLE_TYPE_SHM          RUTABAGA_HANDLE_TYPE_MEM_SHM
#define RUTABAGA_MEM_HANDLE_TYPE_ZIRCON       RUTABAGA_HANDLE_TYPE_MEM_ZIRCON

/* rutabaga_channel.channel_type: what listens at the socket of a channel. */
#define RUTABAGA_CHANNEL_TYPE_WAYLAND      1
#define RUTABAGA_CHANNEL_TYPE_PIPEWIRE     0x10
#define RUTABAGA_CHANNEL_TYPE_X11          0x11
#define RUTABAGA_CHANNEL_TYPE_DBUS_SESSION 0x12
#define RUTABAGA_CHANNEL_TYPE_DBUS_SYSTEM  0x13

/* rutabaga_builder.wsi: how host windows are made. Without one is the only way there is. */
#define RUTABAGA_WSI_SURFACELESS 0x1

/* rutabaga_fence.flags, equal to virtio-gpu's header flags; bit 2 is rutabaga's own. */
#define RUTABAGA_FLAG_FENCE           (1 << 0)
#define RUTABAGA_FLAG_INFO_RING_IDX   (1 << 1)
#define RUTABAGA_FLAG_FENCE_SHAREABLE (1 << 2)

/* rutabaga_debug.debug_type */
#define RUTABAGA_DEBUG_ERROR 0x1
#define RUTABAGA_DEBUG_WARN  0x2
#define RUTABAGA_DEBUG_INFO  0x3

#ifdef RUTABAGA_GFX_FFI_UNSTABLE
/* rutabaga_import_data.flags */
#define RUTABAGA_IMPORT_FLAG_3D_INFO          (1 << 0)
#define RUTABAGA_IMPORT_FLAG_VULKAN_INFO      (1 << 1)
#define RUTABAGA_IMPORT_FLAG_RESOURCE_EXISTS  (1 << 30)
#define RUTABAGA_IMPORT_FLAG_PRESERVE_CONTENT (UINT32_C(1) << 31)
#endif

/* An instance; created by rutabaga_init(), freed by rutabaga_finish(). */
struct rutabaga;

/* A blob to create. blob_id names a host object that a command stream of the same context made before;
 * 0 for guest blobs. size is bytes. */
struct rutabaga_create_blob {
	uint32_t blob_mem;
	uint32_t blob_flags;
	uint64_t blob_id;
	uint64_t size;
};

/* A texture to create, in Gallium's terms; see rutabaga_resource_create_3d() for 2D resources. */
struct rutabaga_create_3d {
	uint32_t target;
	uint32_t format;
	uint32_t bind;
	uint32_t width;
	uint32_t height;
	uint32_t depth;
	uint32_t array_size;
	uint32_t last_level;
	uint32_t nr_samples;
	uint32_t flags;
};

#ifdef RUTABAGA_GFX_FFI_UNSTABLE
/* Layout of memory that rutabaga_resource_import() takes in. */
struct rutabaga_import_data {
	uint32_t flags;
	struct {
		uint32_t width;
		uint32_t height;
		uint32_t drm_fourcc;
		uint32_t strides[4];
		uint32_t offsets[4];
		uint64_t modifier;
	} info_3d;
};
#endif

/* A box of pixels and where its bytes are in the backing; see rutabaga_resource_transfer_write(). */
struct rutabaga_transfer {
	uint32_t x;
	uint32_t y;
	uint32_t z;
	uint32_t w;
	uint32_t h;
	uint32_t d;
	uint32_t level;
	uint32_t stride;
	uint32_t layer_stride;
	uint64_t offset;
};

/* Scattered memory: num_iovecs elements at iovecs. */
struct rutabaga_iovecs {
	struct iovec *iovecs;
	size_t num_iovecs;
};

/* An operating system handle: on Linux a file descriptor. */
struct rutabaga_handle {
	int64_t os_handle;
	uint32_t handle_type;
};

/* Where a blob is mapped in this process. size is bytes, a multiple of the page size. */
struct rutabaga_mapping {
	void *ptr;
	uint64_t size;
};

/* A command stream for a context: cmd_size bytes at cmd. The two members behind cmd were never stable, and the headers
 * of some releases (the first ones that say 0.1.6) left them out: rutabaga_submit_command() does not read them. */
struct rutabaga_command {
	uint32_t ctx_id;
	uint32_t cmd_size;
	uint8_t *cmd;
#ifdef RUTABAGA_GFX_FFI_UNSTABLE
	uint32_t num_in_fences;
	uint64_t *fence_ids;
#else
	uint32_t _reserved_1;
	uint64_t *_reserved_2;
#endif
};

/* A socket that cross-domain may connect to: a path, NUL-terminated, and what listens there. */
struct rutabaga_channel {
	const char *channel_name;
	uint32_t channel_type;
};

struct rutabaga_channels {
	struct rutabaga_channel *channels;
	size_t num_channels;
};

/* A fence: fence_id on the timeline (ctx_id, ring_idx) when flags has RUTABAGA_FLAG_INFO_RING_IDX, on the
 * global timeline otherwise. */
struct rutabaga_fence {
	uint32_t flags;
	uint64_t fence_id;
	uint32_t ctx_id;
	uint32_t ring_idx;
};

/* A message for people; valid during the callback only. */
struct rutabaga_debug {
	uint32_t debug_type;
	const char *message;
};

/* Told once for every fence that rutabaga_create_fence() accepted, with the fields it was created with, in
 * creation order on each timeline. `fence` is valid during the call only. */
typedef void (*rutabaga_fence_callback)(uint64_t user_data, const struct rutabaga_fence *fence);

/* Told the library's messages. Those a guest can cause are rate limited. */
typedef void (*rutabaga_debug_callback)(uint64_t user_data, const struct rutabaga_debug *debug);

/* What to build. The first six members are those of 0.1.2 and 0.1.3. renderer_features came after 0.1.3; this
 * library reads it only when wsi carries NEEP_RUTABAGA_WSI_FEATURES (neep_rutabaga.h), because nothing else in
 * the struct proves that the caller knows the member. */
struct rutabaga_builder {
	/* Required. */
	uint64_t user_data; // handed to both callbacks
	uint64_t capset_mask;
	uint64_t wsi; // RUTABAGA_WSI_SURFACELESS
	rutabaga_fence_callback fence_cb;

	/* Optional: without it, messages go to stderr. */
	rutabaga_debug_callback debug_cb;

	/* Optional: sockets for cross-domain. Copied. */
	struct rutabaga_channels *channels;

	/* Optional: words for a renderer, NUL-terminated. Copied. */
	const char *renderer_features;
};

/* Turns names, separated by colons, into a mask of capability sets for rutabaga_builder.capset_mask:
 * virgl, virgl2, gfxstream-vulkan, venus, cross-domain, drm, gfxstream-magma (also "magma"), gfxstream-gles,
 * gfxstream-composer. Unknown names add nothing, as published; neep_rutabaga_parse_capset_names() is strict.
 * A mask says nothing about what is built in: rutabaga_init() does. */
int32_t rutabaga_calculate_capset_mask(const char *capset_names, uint64_t *capset_mask);

/* Creates an instance in *ptr; the caller ends it with rutabaga_finish(). `builder` and what it points to are
 * read during the call only. A capset_mask of 0 gives a plain 2D instance. On failure *ptr is NULL.
 * -EINVAL: no fence_cb, unknown wsi, a bit outside 1..30, a channel without a name.
 * -ENOTSUP: a capability set whose component is not built in; the debug callback is told which. */
int32_t rutabaga_init(const struct rutabaga_builder *builder, struct rutabaga **ptr);

/* Ends *ptr and sets it to NULL. Fences that are pending complete first, through the callback; none comes
 * afterwards. Memory that rutabaga_resource_map() gave out becomes invalid. *ptr == NULL is fine. */
int32_t rutabaga_finish(struct rutabaga **ptr);

/* The number of capability sets: exactly those that rutabaga_get_capset_info() answers for. */
int32_t rutabaga_get_num_capsets(struct rutabaga *ptr, uint32_t *num_capsets);

/* Describes capability set `capset_index`, 0 <= index < number: its id, highest version and size in bytes.
 * Ascending by id; the same for the life of the instance. -EINVAL: index out of range. */
int32_t rutabaga_get_capset_info(struct rutabaga *ptr, uint32_t capset_index, uint32_t *capset_id,
	uint32_t *capset_version, uint32_t *capset_size);

/* Fills all of capset[0..capset_size) with the capability set, zero padded where it is shorter, cut where it is
 * longer. -EINVAL: unknown id, or a version above the highest. */
int32_t rutabaga_get_capset(
	struct rutabaga *ptr, uint32_t capset_id, uint32_t version, uint8_t *capset, uint32_t capset_size);

/* Creates context `ctx_id` (not 0). The low 8 bits of context_init are the capability set (0: virgl2, virgl,
 * or else the first enabled one that has contexts); the other bits must be 0. context_name is
 * context_name_len bytes, need not end in NUL, and is only for messages; at most 64 bytes are read.
 *
 * A context that has the id already ends as by rutabaga_context_destroy(): there is no reset among the published functions,
 * and this is how QEMU's device goes on after one. After neep_rutabaga_event_fd() it is -EEXIST.
 *
 * -EEXIST, -EINVAL, -ENOTSUP (no such capability set enabled), -ENOMEM. */
int32_t rutabaga_context_create(struct rutabaga *ptr, uint32_t ctx_id, uint32_t context_init,
	const char *context_name, uint32_t context_name_len);

/* Destroys a context: its resources are detached and live on, its pending fences complete (their callbacks
 * come before the return, or from the library's thread). -ESRCH. */
int32_t rutabaga_context_destroy(struct rutabaga *ptr, uint32_t ctx_id);

/* Makes a resource usable in a context's commands. Attaching twice is fine. -ESRCH, -ENOENT, -ENOMEM (also beyond 16 times
 * as many as there may be resources). */
int32_t rutabaga_context_attach_resource(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id);

/* The opposite; detaching what is not attached is fine. -ESRCH, -ENOENT. */
int32_t rutabaga_context_detach_resource(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id);

/* Creates resource `resource_id` (not 0). The form that QEMU sends for RESOURCE_CREATE_2D (target 2, bind 2,
 * depth 1, array_size 1, last_level 0, nr_samples 0, flags 1, a virtio-gpu 2D format) makes a 2D resource, with
 * all pixels zero, whatever components there are. Anything else goes to the first component that makes
 * textures; where there is none, what a plain image can hold (one level, one sample, one layer, a virtio-gpu
 * 2D format, up to 16384 x 16384) becomes a 2D resource too, and the rest is -ENOTSUP.
 * -EINVAL, -EEXIST, -ENOMEM. */
int32_t rutabaga_resource_create_3d(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_create_3d *create_3d);

/* Gives a resource its backing. The iovec array is copied; the memory it points to stays the caller's and must
 * remain valid and writable until the backing is detached or the resource unreferenced. Empty iovecs are
 * skipped; the total may be smaller than the resource (transfers that leave it fail).
 * -ENOENT, -EBUSY (backed already), -EINVAL (none given), -ENOMEM (too many). */
int32_t rutabaga_resource_attach_backing(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_iovecs *iovecs);

/* Takes the backing away: when this returns, the library touches that memory no more. Nothing attached is
 * -EINVAL, except for a blob that was created without backing. -ENOENT. */
int32_t rutabaga_resource_detach_backing(struct rutabaga *ptr, uint32_t resource_id);

/* Copies a box out of a resource: into the memory of *iovec, or into the backing when iovec is NULL.
 * Addressing as for rutabaga_resource_transfer_write(). */
int32_t rutabaga_resource_transfer_read(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer, const struct iovec *iovec);

/* Copies a box from the backing into a resource.
 *
 * For 2D resources: `offset` is the byte position of the box's top-left pixel in the backing, row i starts at
 * offset + i * stride, and a stride of 0 means resource width * 4. z and level must be 0, d at most 1; a box
 * without pixels copies nothing. The whole box must lie in the resource and all its bytes in the backing, or
 * nothing is copied and the result is -EINVAL.
 *
 * One form is read differently, because it is how QEMU's rutabaga device passes TRANSFER_TO_HOST_2D, whose
 * offset it drops: with ctx_id, offset and stride all 0, the box is at its natural place,
 * y * width * 4 + x * 4. A caller that means byte 0 of the backing for a box elsewhere sets stride.
 *
 * For guest blobs nothing needs copying: success. ctx_id is 0, or a context the resource is attached to, and
 * matters to 3D components only. -ENOENT, -ESRCH, -EINVAL (no backing). */
int32_t rutabaga_resource_transfer_write(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer);

/* Creates blob `resource_id`. A guest blob takes its bytes from iovecs (copied, as in attach_backing; none at all
 * means that backing is attached later); a host blob must have none, and ctx_id is the context that made
 * blob_id. handle, when not NULL, is a descriptor of the same memory: it is consumed in every case. That of a guest blob
 * goes when its backing is detached.
 * -EINVAL: unknown blob_mem or flags, size 0, iovecs shorter than size, unknown blob_id.
 * -EEXIST, -ESRCH, -ENOTSUP, -ENOMEM. */
int32_t rutabaga_resource_create_blob(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_create_blob *rutabaga_create_blob, const struct rutabaga_iovecs *iovecs,
	const struct rutabaga_handle *handle);

/* Forgets a resource: detached from every context, backing released, unmapped as by rutabaga_resource_unmap();
 * the id is free when this returns. -ENOENT. */
int32_t rutabaga_resource_unref(struct rutabaga *ptr, uint32_t resource_id);

/* Gives a descriptor of a blob's memory, which the caller owns and closes. -ENOENT, -EINVAL (no descriptor). */
int32_t rutabaga_resource_export_blob(
	struct rutabaga *ptr, uint32_t resource_id, struct rutabaga_handle *handle);

/* Maps a mappable host blob into this process. -ENOENT, -EBUSY (mapped already), -EINVAL (not mappable),
 * -ENOMEM. */
int32_t rutabaga_resource_map(struct rutabaga *ptr, uint32_t resource_id, struct rutabaga_mapping *mapping);

/* Ends the mapping. The addresses stay readable and writable for a while (as memory that belongs to nobody, or
 * as the blob while a neep_rutabaga_mapping_ref() is held), so that a late access by a VMM thread harms nobody.
 * -ENOENT, -EINVAL (not mapped). */
int32_t rutabaga_resource_unmap(struct rutabaga *ptr, uint32_t resource_id);

/* How a host blob is to be mapped: RUTABAGA_MAP_CACHE_* | RUTABAGA_MAP_ACCESS_*. -ENOENT, -EINVAL. */
int32_t rutabaga_resource_map_info(struct rutabaga *ptr, uint32_t resource_id, uint32_t *map_info);

/* Hands a command stream to a context; the bytes are read (and may be rewritten) during the call only.
 * cmd_size 0 does nothing. -ESRCH, -EINVAL, -ENOMEM (longer than the limit), or what the component says. */
int32_t rutabaga_submit_command(struct rutabaga *ptr, struct rutabaga_command *cmd);

/* Puts a fence behind all work given so far on its timeline. When that work is done, the fence callback is told,
 * perhaps before this returns. On failure there is no callback.
 * -ESRCH, -EINVAL (ring_idx above 63), -ENOMEM (too many pending), or what the component says. */
int32_t rutabaga_create_fence(struct rutabaga *ptr, const struct rutabaga_fence *fence);

#ifdef RUTABAGA_GFX_FFI_UNSTABLE

/* Write the instance's state into, or read it from, the existing folder `dir`. Not built here: -ENOTSUP. */
int32_t rutabaga_snapshot(struct rutabaga *ptr, const char *dir);
int32_t rutabaga_restore(struct rutabaga *ptr, const char *dir);

/* Makes a resource of memory from elsewhere. import_handle is consumed in every case. Not built here:
 * -ENOTSUP. */
int32_t rutabaga_resource_import(struct rutabaga *ptr, uint32_t resource_id,
	const struct rutabaga_handle *import_handle, const struct rutabaga_import_data *import_data);

/* Waits until the host has finished with a resource. It was published for some weeks of 2024 and withdrawn;
 * resources here are idle whenever no fence is pending, so there is nothing to wait for. -ENOENT. */
int32_t rutabaga_resource_wait_sync(struct rutabaga *ptr, uint32_t resource_id);

#endif

#ifdef __cplusplus
}
#endif

#endif
