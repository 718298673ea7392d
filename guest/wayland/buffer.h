/* A wl_buffer in a client's memory that the compositor does not have: its mirror is what the compositor gets.
 *
 * wl_buffer objects of other kinds (forwarded dma-bufs, single pixels, pools that could be passed on) have no struct of ours. */
#ifndef NEEP_WAYLAND_BUFFER_H
#define NEEP_WAYLAND_BUFFER_H

#include "wayland/client.h"
#include "wayland/damage.h"
#include "wayland/format.h"
#include "wayland/import.h"

struct neep_wl_pool;
struct neep_wl_mirror;

/* Counted: by the object, and by surfaces that it is attached to. */
struct neep_wl_buffer {
	uint32_t refs;
	struct neep_wl_object *object; // NULL when the client has destroyed it
	struct neep_wl_pool *pool;     // counted
	uint32_t offset;               // in the pool
	struct neep_wl_image image;
	struct neep_wl_layout layout;
	enum neep_wl_import import;    // NEEP_WL_IMPORT_NONE again when the compositor has it no more
	struct neep_wl_mirror *mirror; // NULL: not attached yet, or given up, or imported
	bool is_busy;                  // the compositor may read the mirror
	struct neep_list releases;     // points that are signalled when it does not any more: sync.h
	// Which content the mirror has: that of a surface after its so many'th commit. 0: none yet.
	uint64_t surface_serial;
	uint64_t commit;
};

/* The buffer of `object`, a wl_buffer, or NULL: of another kind. */
struct neep_wl_buffer *neep_wl_buffer_from_object(const struct neep_wl_object *object);

struct neep_wl_buffer *neep_wl_buffer_ref(struct neep_wl_buffer *buffer); // NULL is fine
void neep_wl_buffer_unref(struct neep_wl_buffer *buffer);                 // NULL is fine

/* Makes the wl_buffer of the request `call` (wl_shm_pool.create_buffer), whose numbers are checked here. Returns what handlers return. */
int neep_wl_buffer_create(struct neep_wl_call *call, struct neep_wl_pool *pool);

/* Makes the buffer of `object`, a new wl_buffer, of checked numbers: `made` has its offset, image and layout. Returns 0 or
 * -ENOMEM. */
int neep_wl_buffer_init(
	struct neep_wl_object *object, const struct neep_wl_buffer *made, struct neep_wl_pool *pool);

/* Whether the compositor has it, and so will release it. */
bool neep_wl_buffer_is_at_host(const struct neep_wl_buffer *buffer);

/* Tells the compositor that its wl_buffer is destroyed. Returns 0 or a negative errno. */
int neep_wl_buffer_send_destroy(struct neep_wl_client *client, uint32_t host_id);

/* It is about to be attached: the compositor must know it, and has been asked of NEEP_WL_IMPORT_ASKED ones. Returns 0 or a
 * negative errno; the client has been told. */
int neep_wl_buffer_prepare(struct neep_wl_client *client, struct neep_wl_buffer *buffer);

/* Copies what is damaged, in the buffer's coordinates, to its mirror. Returns 0 or a negative errno; the client has been told. */
int neep_wl_buffer_copy(
	struct neep_wl_client *client, struct neep_wl_buffer *buffer, const struct neep_wl_damage *damage);

#endif
