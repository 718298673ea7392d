/* What the files of the gfxstream component share.
 *
 * A guest process is a context, and has a renderer process from its first ring on. Ring memory and exportable memory are
 * memfds made here; other blobs come from the renderer, which publishes them before the guest can ask for them. So nothing here
 * waits for a renderer. Contexts that never make a ring (of compositors and GBM, which the guest kernel makes on its own) have
 * none.
 *
 * When a renderer dies, a second one takes its place, the mourner, which drives no GPU and answers whatever the program asks: that
 * the Vulkan device is lost, with counts of 0. Where that one dies too, the device process answers itself, as well as it can. */
#ifndef NEEP_GFXSTREAM_GFXSTREAM_INTERNAL_H
#define NEEP_GFXSTREAM_GFXSTREAM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rutabaga/component.h"
#include "rutabaga/resource.h"
#include "util/fd.h"
#include "util/idmap.h"
#include "util/list.h"
#include "worker/worker.h"

/* Each is a thread of the renderer, an fd and a page here and a map of the VMM; guest drivers keep one for every thread that ever made
 * a Vulkan call. */
#define NEEP_GFX_RINGS_MAX 1024
/* With those that nobody serves, which are looked at again and again for a while (ring.c). */
#define NEEP_GFX_KNOWN_RINGS_MAX (2 * NEEP_GFX_RINGS_MAX)
/* Between vkGetBlobGOOGLE and the creation of the blob, one for each guest thread at most. */
#define NEEP_GFX_PUBLISHED_MAX 256
/* Between 0xa003 and the creation of its blob, which the guest kernel queues behind it. */
#define NEEP_GFX_ANNOUNCED_MAX 64
/* Fences whose end the renderer is asked about. */
#define NEEP_GFX_SYNCS_MAX 4096

struct neep_gfx {
	struct neep_component base;
	struct rutabaga *rutabaga;
	struct neep_worker_speaker speaker;
	struct neep_worker_pool *pool;
	uint64_t next_serial;
	struct neep_list dying; // neep_gfx_context.dying_link, the one looked at the longest ago first
	int64_t next_burial_ns; // while there are any
};

struct neep_gfx_context {
	struct neep_context base;
	struct neep_gfx *gfx;
	uint32_t ctx_id;
	uint64_t serial; // unlike ctx_id never used again
	char name[NEEP_WORKER_NAME_SIZE];

	struct neep_worker_owner owner;
	struct neep_worker *worker;  // NULL: not started, or gone
	bool is_lost;                // its renderer is of no use any more, or gone
	bool has_mourner;            // a renderer of lost contexts was started
	struct neep_list dying_link; // neep_gfx.dying
	int64_t dying_until_ns;

	struct neep_idmap attachments; // neep_gfx_attachment.link, by resource
	size_t ring_count;             // served
	size_t known_ring_count;       // served or not
	struct neep_idmap published;   // neep_gfx_published.link, by blob_id
	uint64_t announced[NEEP_GFX_ANNOUNCED_MAX];
	size_t announced_count;

	struct neep_list syncs;     // neep_gfx_sync.link, oldest first
	struct neep_idmap sync_ids; // neep_gfx_sync.id_link
	uint64_t next_sync_id;
};

/* A resource that the context may use. */
struct neep_gfx_attachment {
	struct neep_idmap_link link; // neep_gfx_context.attachments
	struct neep_resource *resource;
	bool is_shared; // the renderer is told of its memory
	bool is_ring;
	uint8_t *bell; // page of a ring that is served (asg/bell.h); NULL: none
};

enum neep_gfx_memory_kind {
	NEEP_GFX_PLAIN,      // blob_id 0: a ring, or will be
	NEEP_GFX_EXPORTABLE, // of an image or buffer that the guest shares
	NEEP_GFX_PUBLISHED,  // the renderer's
};

/* Our half of a host blob. */
struct neep_gfx_memory {
	struct neep_object base;
	uint64_t maker; // neep_gfx_context.serial
	enum neep_gfx_memory_kind kind;
	uint64_t size; // bytes behind the fd
	bool is_ring;  // a guest thread has it, in whatever context
};

/* context.c */
int neep_gfx_context_create(
	struct neep_gfx *gfx, const struct neep_context_params *params, struct neep_context **context);
struct neep_gfx_context *neep_gfx_context_from_base(struct neep_context *base);
struct neep_gfx_attachment *neep_gfx_attachment_find(
	const struct neep_gfx_context *context, uint32_t resource_id);

/* The renderer is there, or its mourner: starts the former at the first call. Returns 0 or a negative errno. */
int neep_gfx_context_ensure_worker(struct neep_gfx_context *context);

/* commands.c: as in struct neep_context_impl */
int neep_gfx_submit(struct neep_context *base, const uint8_t *commands, size_t size);

/* ring.c */

/* Makes the attached resource a ring. A guest thread that is refused one must not wait for it: then it is answered that the device is lost. */
int neep_gfx_ring_start(struct neep_gfx_context *context, uint32_t resource_id);
/* Wakes its consumer. Unknown ids are ignored. */
void neep_gfx_ring_ping(struct neep_gfx_context *context, uint32_t resource_id);
/* The resource is about to be detached. */
void neep_gfx_ring_stop(struct neep_gfx_context *context, struct neep_gfx_attachment *attachment);
/* There is a new consumer. */
void neep_gfx_rings_hand_over(struct neep_gfx_context *context);
/* There is no consumer any more. */
void neep_gfx_rings_fail(struct neep_gfx_context *context);
/* Sees to threads of guests that wait at rings without one. */
void neep_gfx_rings_bury(struct neep_gfx *gfx);

/* memory.c */
int neep_gfx_create_blob(
	struct neep_context *base, const struct rutabaga_create_blob *create, struct neep_blob *blob);
/* NULL when it is none of ours. */
struct neep_gfx_memory *neep_gfx_memory_of(const struct neep_resource *resource);
/* The next blob with this blob_id is exportable. */
int neep_gfx_announce(struct neep_gfx_context *context, uint64_t blob_id);
/* As in struct neep_worker_owner_impl. */
int neep_gfx_publish(struct neep_gfx_context *context, const struct neep_worker_blob *blob, int owned_fd);
void neep_gfx_drop_published(struct neep_gfx_context *context);

/* sync.c */

/* Asks the renderer to tell when a fence of the guest's is signalled. */
int neep_gfx_sync_start(struct neep_gfx_context *context, uint64_t device, uint64_t fence);
/* The renderer has told. -EPROTO: of something it was not asked. */
int neep_gfx_sync_done(struct neep_gfx_context *context, uint64_t sync_id);
/* All of them are. */
void neep_gfx_syncs_finish(struct neep_gfx_context *context);
/* As in struct neep_context_impl. */
int neep_gfx_create_fence(struct neep_context *base, struct neep_fence *fence);

#endif
