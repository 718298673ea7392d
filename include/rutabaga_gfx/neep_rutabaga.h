/* SPDX-License-Identifier: MIT
 *
 * What neep adds to the rutabaga C API: an fd to poll, host images without a copy, mappings that are counted,
 * reset, limits. Threads and errors as in rutabaga_gfx_ffi.h; every function takes NULL for -EINVAL.
 */
#ifndef NEEP_RUTABAGA_H
#define NEEP_RUTABAGA_H

#include <rutabaga_gfx/rutabaga_gfx_ffi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Or-ed into rutabaga_builder.wsi: the caller's struct has renderer_features. */
#define NEEP_RUTABAGA_WSI_FEATURES (UINT64_C(1) << 63)

/* Turns colon-separated capset names into a mask and checks that each is known and built in; an empty string is
 * the mask 0. On failure *capset_mask is 0 and `message` (message_size bytes, may be NULL with size 0) gets
 * one line that names the word and the right ones. -EINVAL: unknown name; -ENOTSUP: not built in. */
int neep_rutabaga_parse_capset_names(
	const char *names, uint64_t *capset_mask, char *message, size_t message_size);

/* Completions. By default the library completes work on a thread of its own, which it starts only when a
 * component that completes later is in use; 2D work completes inside rutabaga_create_fence().
 *
 * neep_rutabaga_event_fd() asks for the other way, for good: the caller polls the returned fd for reading and
 * calls neep_rutabaga_dispatch() when it is ready; all callbacks then come from inside API calls. Returns the
 * fd (borrowed; valid until rutabaga_finish()) or a negative errno. */
int neep_rutabaga_event_fd(struct rutabaga *rutabaga);

/* Does what there is to do, without waiting: completes fences through the callback. Returns 0 or a negative
 * errno; -EINVAL when neep_rutabaga_event_fd() was not called. */
int neep_rutabaga_dispatch(struct rutabaga *rutabaga);

/* The host image of a 2D resource. Counted: it outlives the resource while somebody holds it. The count is
 * atomic, so a reference may travel to another thread; transfers keep writing the pixels, so what is read
 * while a transfer runs may be torn. */
struct neep_rutabaga_image {
	/* stride * height bytes, row 0 is the top. From 128 KiB on they lie in pages of their own: private, anonymous,
	 * nothing else in them. */
	void *pixels;
	uint32_t stride; // bytes from row to row
	uint32_t width;  // pixels of 4 bytes
	uint32_t height;
	uint32_t format; // enum virtio_gpu_formats
};

/* Stores a new reference to the image of a resource in *image; the caller unrefs it. -ENOENT; -EINVAL for a
 * resource without an image (a blob). */
int neep_rutabaga_resource_image(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_image **image);

/* One more reference; returns `image`. NULL is fine. */
struct neep_rutabaga_image *neep_rutabaga_image_ref(struct neep_rutabaga_image *image);

/* Drops a reference; the last one frees the image. NULL is fine. */
void neep_rutabaga_image_unref(struct neep_rutabaga_image *image);

enum neep_rutabaga_resource_kind {
	NEEP_RUTABAGA_RESOURCE_2D = 1, // has an image
	NEEP_RUTABAGA_RESOURCE_3D,     // a texture of a component
	NEEP_RUTABAGA_RESOURCE_BLOB,
};

struct neep_rutabaga_resource_info {
	enum neep_rutabaga_resource_kind kind;
	uint32_t width; // 2D and 3D: pixels; blobs: 0
	uint32_t height;
	uint32_t format;     // 2D and 3D: as created
	uint32_t blob_mem;   // blobs, else 0
	uint32_t blob_flags; // blobs, else 0
	uint32_t map_info;   // RUTABAGA_MAP_* of a host blob, else 0
	uint64_t size;       // bytes
	bool has_backing;
	bool is_mapped; // by rutabaga_resource_map()
};

/* Describes a resource. -ENOENT. */
int neep_rutabaga_resource_info(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_resource_info *info);

/* The scattered memory behind a resource: what was attached, with neighbours joined and empty pieces left out.
 * Borrowed; valid until the backing is detached or the resource unreferenced. A resource that has none gives a
 * count of 0. -ENOENT. */
int neep_rutabaga_resource_backing(
	struct rutabaga *rutabaga, uint32_t resource_id, const struct iovec **iovecs, size_t *num_iovecs);

/* A mapping of a host blob, counted: the pages stay while anybody holds it, whatever becomes of the resource.
 * The count is atomic. */
struct neep_rutabaga_mapping {
	void *ptr;
	size_t size; // bytes
};

/* Stores a new reference to the mapping that rutabaga_resource_map() made; the caller unrefs it.
 * -ENOENT; -EINVAL when the resource is not mapped. */
int neep_rutabaga_resource_mapping(
	struct rutabaga *rutabaga, uint32_t resource_id, struct neep_rutabaga_mapping **mapping);
struct neep_rutabaga_mapping *neep_rutabaga_mapping_ref(struct neep_rutabaga_mapping *mapping);
void neep_rutabaga_mapping_unref(struct neep_rutabaga_mapping *mapping);

/* Back to the state after rutabaga_init(), as a guest's device reset wants it: destroys all contexts (their
 * fences complete), completes the fences of the global timeline, and unreferences all resources. Images and
 * mappings that somebody holds live on. */
int neep_rutabaga_reset(struct rutabaga *rutabaga);

/* What a guest may use; reaching a limit is -ENOMEM. */
struct neep_rutabaga_limits {
	uint32_t resources;
	uint32_t contexts;
	uint32_t pending_fences;
	uint32_t backing_entries; // of one resource, after neighbours are joined
	uint64_t total_entries;   // of all resources
	uint64_t image_bytes;     // host memory of all 2D and 3D resources
	uint64_t blob_bytes;      // host blobs of all contexts
	uint32_t submit_bytes;    // one command stream
};

/* The limits of a new instance. */
#define NEEP_RUTABAGA_DEFAULT_RESOURCES       65536
#define NEEP_RUTABAGA_DEFAULT_CONTEXTS        4096
#define NEEP_RUTABAGA_DEFAULT_PENDING_FENCES  65536
#define NEEP_RUTABAGA_DEFAULT_BACKING_ENTRIES 262144
#define NEEP_RUTABAGA_DEFAULT_TOTAL_ENTRIES   (UINT64_C(4) << 20)
#define NEEP_RUTABAGA_DEFAULT_IMAGE_BYTES     (UINT64_C(1) << 30)
#define NEEP_RUTABAGA_DEFAULT_BLOB_BYTES      (UINT64_C(64) << 30)
#define NEEP_RUTABAGA_DEFAULT_SUBMIT_BYTES    (UINT32_C(64) << 20)

/* Reads or replaces the limits. What exists stays, also above a new limit. */
int neep_rutabaga_get_limits(struct rutabaga *rutabaga, struct neep_rutabaga_limits *limits);
int neep_rutabaga_set_limits(struct rutabaga *rutabaga, const struct neep_rutabaga_limits *limits);

/* What is in use, for statistics and tests. */
struct neep_rutabaga_usage {
	uint32_t resources;
	uint32_t contexts;
	uint32_t pending_fences;
	uint64_t backing_entries;
	uint64_t image_bytes;
	uint64_t blob_bytes;
};

int neep_rutabaga_get_usage(struct rutabaga *rutabaga, struct neep_rutabaga_usage *usage);

enum neep_rutabaga_renderer_state {
	NEEP_RUTABAGA_RENDERER_NONE = 0, // not needed, or not yet
	NEEP_RUTABAGA_RENDERER_RUNNING,
	NEEP_RUTABAGA_RENDERER_LOST, // and the context with it
};

/* A context, for statistics. */
struct neep_rutabaga_context_info {
	uint32_t ctx_id;
	const char *capset; // a word of rutabaga_calculate_capset_mask(); static
	char name[65];      // printable, may be empty
	enum neep_rutabaga_renderer_state renderer;
	uint32_t rings;         // that the renderer serves
	uint32_t pending_syncs; // that the renderer was asked about
};

/* Describes up to `count` contexts, in no order. Returns how many there are, or a negative errno. */
int neep_rutabaga_get_contexts(
	struct rutabaga *rutabaga, struct neep_rutabaga_context_info *infos, size_t count);

#ifdef __cplusplus
}
#endif

#endif
