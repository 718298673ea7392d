/* Mirrors: memory that the compositor sees, one for each wl_buffer of a client whose own memory it cannot see.
 *
 * Theory of operation. A mirror is a piece of memory at the host with a wl_shm_pool of it at the compositor. It
 * belongs to one buffer at a time, not to a pool of the client's: programs make pools for many buffers, most of which they never
 * attach, and resize them. A buffer gets its mirror when it is attached first. When the buffer goes and the compositor
 * has released it, the mirror is spare, and the next buffer that fits takes it: the compositor keeps its mapping, and a window
 * that is being resized costs neither memory nor round trips; hosts round sizes up to a few classes, which is as good for them
 * as it is here. A buffer that goes while the compositor still has it gives its mirror up instead: the compositor's own mapping
 * keeps the content on the screen, and nobody writes to it any more.
 *
 * Spare mirrors are few, and go when they have not been wanted for a while. */
#ifndef NEEP_WAYLAND_MIRROR_H
#define NEEP_WAYLAND_MIRROR_H

#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/loop.h"

struct neep_wl_client;
struct neep_wl_memory;
struct neep_wl_object;

struct neep_wl_mirror {
	struct neep_list link;         // neep_wl_mirrors.spare
	struct neep_wl_memory *memory; // NULL: the client's own, which the compositor was given
	uint32_t pool_host_id;         // the proxy's own wl_shm_pool
};

/* Double buffering of a window and of a menu. */
#define NEEP_WL_SPARE_MAX       4
#define NEEP_WL_SPARE_BYTES_MAX ((size_t)128 << 20)
#define NEEP_WL_SPARE_NS        INT64_C(2000000000)

/* The mirrors of a client. */
struct neep_wl_mirrors {
	struct neep_wl_client *client;
	struct neep_list spare; // neep_wl_mirror.link, latest first
	size_t spare_count;
	size_t spare_bytes;
	struct neep_timer expiry;
};

void neep_wl_mirrors_init(struct neep_wl_mirrors *mirrors, struct neep_wl_client *client);
/* Frees what is spare, at the end of the client: tells the compositor nothing. */
void neep_wl_mirrors_finish(struct neep_wl_mirrors *mirrors);

/* A mirror of at least `size` bytes, spare or new; a new one's pool is made with the wl_shm object `shm`. NULL: no memory. */
struct neep_wl_mirror *neep_wl_mirrors_take(
	struct neep_wl_mirrors *mirrors, const struct neep_wl_object *shm, size_t size);

/* In place of a mirror: the client's own memory `fd`, borrowed, of `size` bytes, which the compositor can be given
 * (neep_wl_host_can_pass()). Nothing is copied then. NULL: no memory. */
struct neep_wl_mirror *neep_wl_mirrors_pass(
	struct neep_wl_mirrors *mirrors, const struct neep_wl_object *shm, int fd, size_t size);

/* The compositor does not use it any more. Returns 0 or a negative errno, as do all that send something. */
int neep_wl_mirrors_put(struct neep_wl_mirrors *mirrors, struct neep_wl_mirror *mirror);

/* The compositor may still use it: ends its pool, and forgets it. */
int neep_wl_mirrors_give_up(struct neep_wl_mirrors *mirrors, struct neep_wl_mirror *mirror);

/* Frees it, at the end of the client. NULL is fine. */
void neep_wl_mirror_destroy(struct neep_wl_mirror *mirror);

#endif
