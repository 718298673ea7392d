/* The interface between the core of rutabaga and what does the work for a capability set ("component").
 *
 * Not installed. A component is a `static const struct neep_component_impl` plus the objects that it creates: the
 * component itself, contexts, and its halves of resources ("objects"). Each embeds the base struct of this file
 * as its first duty and recovers itself with neep_container_of().
 *
 * Threads: every method runs with the instance locked, on the caller's thread or on the library's, one at a
 * time. A component has no threads of its own and never waits: what happens later shows up on event_fd, and
 * the core calls dispatch.
 *
 * Trust: the core has checked ids, that memory ranges exist, and sizes against limits. Everything else in a
 * command, a box or a blob is the guest's word and the component's to check. Methods return 0 or a negative
 * errno as listed in rutabaga_gfx_ffi.h; a failed create leaves nothing behind. */
#ifndef NEEP_RUTABAGA_COMPONENT_H
#define NEEP_RUTABAGA_COMPONENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rutabaga/api.h"
#include "util/error.h"
#include "util/list.h"
#include "util/log.h"

struct neep_backing;
struct neep_component;
struct neep_context;
struct neep_fence;
struct neep_object;
struct neep_resource;
struct neep_timeline;

/* What a component is created with. Everything is borrowed and outlives the component. */
struct neep_component_config {
	struct rutabaga *rutabaga; // for neep_core_log()
	uint64_t capset_mask;      // those of impl->capset_mask that are enabled
	const struct rutabaga_channel *channels;
	size_t channel_count;
	const char *renderer_features; // NULL: none
};

struct neep_capset_info {
	uint32_t max_version;
	uint32_t max_size; // bytes, at most NEEP_CAPSET_SIZE_MAX
};

/* Capsets travel in one reply; the largest known one (virgl2) has 1.4 KiB. */
#define NEEP_CAPSET_SIZE_MAX 65536

struct neep_context_params {
	uint32_t ctx_id;
	uint32_t capset_id;
	const char *name; // printable, NUL-terminated, may be empty; valid during the call
};

struct neep_component_impl {
	const char *name;
	uint64_t capset_mask; // bit n: serves capset id n
	bool is_2d;           // makes plain images; always created, with capset_mask 0

	/* Creates the component in *component; `error` gets the reason of a failure. */
	int (*create)(const struct neep_component_config *config, struct neep_component **component,
		struct neep_error *error);
	/* Contexts and objects are gone by then; fences it still holds are signalled or dropped here. */
	void (*destroy)(struct neep_component *component);

	/* may be NULL when capset_mask is 0: asked once, at start */
	int (*capset_info)(
		struct neep_component *component, uint32_t capset_id, struct neep_capset_info *info);
	/* may be NULL when capset_mask is 0: writes at most `size` bytes to `data`, which is zeroed; may write
	 * fewer. `version` is at most max_version. */
	int (*capset)(struct neep_component *component, uint32_t capset_id, uint32_t version, uint8_t *data,
		size_t size);

	/* may be NULL: no contexts */
	int (*create_context)(struct neep_component *component, const struct neep_context_params *params,
		struct neep_context **context);

	/* may be NULL: makes no textures */
	int (*create_3d)(struct neep_component *component, const struct rutabaga_create_3d *create_3d,
		struct neep_object **object);

	/* may be NULL: nothing of this component runs late on the global timeline. As in a context. */
	int (*create_fence)(struct neep_component *component, struct neep_fence *fence);

	/* may be NULL: completes everything inside its methods. A borrowed fd that polls readable when dispatch
	 * has work; the same for the life of the component. */
	int (*event_fd)(struct neep_component *component);
	/* may be NULL when event_fd is: does what there is to do. Called at any time, also for nothing. */
	void (*dispatch)(struct neep_component *component);
};

struct neep_component {
	const struct neep_component_impl *impl;
};

/* Host memory that becomes a blob. */
struct neep_blob {
	int owned_fd;         // the memory, from offset 0; -1: none, then it cannot be mapped or exported
	uint32_t handle_type; // RUTABAGA_HANDLE_TYPE_MEM_* of the fd
	uint32_t map_info;    // RUTABAGA_MAP_CACHE_* | RUTABAGA_MAP_ACCESS_*; 0: cannot be mapped
	struct neep_object *owned_object; // the component's half; may be NULL
};

struct neep_context_impl {
	/* The core has detached the context's resources. Fences that it holds are signalled or dropped here, or
	 * signalled later: the core completes them at once in any case. */
	void (*destroy)(struct neep_context *context);

	/* Runs a command stream, 1 <= size <= the limit. The bytes are the library's copy of nothing: they are the
	 * caller's memory, so a component that parses twice copies first. */
	int (*submit)(struct neep_context *context, const uint8_t *commands, size_t size);

	/* Fills *blob for create->blob_id. may be NULL: no blobs. */
	int (*create_blob)(struct neep_context *context, const struct rutabaga_create_blob *create,
		struct neep_blob *blob);

	/* may be NULL. Called once per pair; `resource` stays valid until the detach. */
	int (*attach)(struct neep_context *context, struct neep_resource *resource);
	/* may be NULL */
	void (*detach)(struct neep_context *context, struct neep_resource *resource);

	/* may be NULL: whatever was submitted is done. Takes `fence` over when it returns 0 and then calls
	 * neep_fence_signal() on it exactly once, during this call or ever after, when all work submitted so far
	 * on ring fence->data.ring_idx is done. */
	int (*create_fence)(struct neep_context *context, struct neep_fence *fence);

	/* may be NULL. Fills in what the core does not know: the last three members. */
	void (*describe)(struct neep_context *context, struct neep_rutabaga_context_info *info);
};

struct neep_context {
	const struct neep_context_impl *impl;
};

/* A transfer as an object sees it. */
struct neep_transfer {
	struct rutabaga_transfer box;
	struct neep_context *context;      // NULL: no context given
	const struct neep_backing *memory; // the backing, or the caller's buffer; never NULL
};

struct neep_object_impl {
	/* Every context is detached and nothing is mapped any more. */
	void (*destroy)(struct neep_object *object);

	/* may be NULL: -ENOTSUP. Copies from, or to, transfer->memory: all or nothing. */
	int (*transfer_write)(struct neep_object *object, const struct neep_transfer *transfer);
	int (*transfer_read)(struct neep_object *object, const struct neep_transfer *transfer);

	/* may be NULL: no image. Borrowed. */
	struct neep_rutabaga_image *(*image)(struct neep_object *object);
};

struct neep_object {
	const struct neep_object_impl *impl;
	uint64_t size; // host bytes, set by create_3d, counted against the limit
};

/* A fence in the hands of a component. */
struct neep_fence {
	struct rutabaga_fence data;      // for the component to read
	struct neep_list component_link; // for the component to queue; in no list when handed over

	/* The rest is the core's. */
	struct rutabaga *rutabaga;
	struct neep_timeline *timeline; // valid while not retired
	struct neep_list link;          // neep_timeline.pending or rutabaga.done
	uint32_t refs;
	bool is_signalled;
	bool is_retired; // off its timeline
};

/* The work before `fence` is done. The component's claim on it ends: it must not touch it afterwards. Order
 * within a timeline does not matter here, the core restores it. */
void neep_fence_signal(struct neep_fence *fence);

/* Says something to the people who run the VM: error, warn or info. Rate limited, so also for what a guest
 * did; guest bytes must be escaped. */
void neep_core_log(struct rutabaga *rutabaga, enum neep_log_level level, const char *format, ...)
	NEEP_PRINTF(3, 4);

/* The component of `rutabaga` with this impl, or NULL: for tests. Unlocked. */
struct neep_component *neep_core_component(struct rutabaga *rutabaga, const struct neep_component_impl *impl);

/* rutabaga_init() with components beside the built-in ones; of two that serve a capset the first, and extra
 * before built-in, is taken. `extra` is read during the call, the impls must outlive the instance. */
int neep_core_init(const struct rutabaga_builder *builder, const struct neep_component_impl *const *extra,
	size_t extra_count, struct rutabaga **rutabaga);

/* The built-in components, each defined by its own room; the core needs them by name and nothing else of them. */
extern const struct neep_component_impl neep_twod_impl;
extern const struct neep_component_impl neep_gfxstream_impl;
extern const struct neep_component_impl neep_cross_domain_impl;

#endif
