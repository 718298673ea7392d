/* wl_shm and its pools.
 *
 * A pool whose fd the compositor can be given as it is (neep_wl_host_can_pass()), or as memory that the host can be told
 * of (neep_wl_host_import()), is passed on, and so is all that happens to it: the compositor has the client's file, maps
 * more of it when the pool grows, and checks sizes, as without a proxy. Of other pools the compositor never hears: the
 * proxy maps them, and copies what is committed (buffer.h). */
#ifndef NEEP_WAYLAND_SHM_H
#define NEEP_WAYLAND_SHM_H

#include "wayland/client.h"
#include "wayland/mirror.h"
#include "wayland/pool.h"

/* What all pools of a client share. */
struct neep_wl_shm {
	struct neep_wl_object *global; // a wl_shm, which the proxy's own pools are made with
	struct neep_wl_mirrors mirrors;
	size_t pool_count;
	uint64_t surface_count; // so far
	uint64_t copied_bytes;  // so far, for the log and for tests
};

/* The client's, made when it is not there yet; NULL: no memory. */
struct neep_wl_shm *neep_wl_shm_get(struct neep_wl_client *client);

/* At the end of the client, after its objects have gone. NULL is fine. */
void neep_wl_shm_destroy(struct neep_wl_shm *shm);

#endif
