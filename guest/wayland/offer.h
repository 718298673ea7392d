/* zwp_linux_dmabuf_v1 of the proxy's own, where the compositor's is of no use: it has none, or what the host knows of dma-bufs is memory
 * for its wl_shm (neep_wl_host.blobs_are_memory).
 *
 * Theory of operation. A client that asks for a registry makes the proxy ask the compositor for a sync: when its answer comes, so have
 * all globals, and what the client asked for behind the registry has not been answered yet. If there is a wl_shm then and no
 * zwp_linux_dmabuf_v1, the proxy announces its own, and binds a wl_shm of its own to learn formats. Requests that need these wait
 * for the sync behind that. Buffers are those of buffer.h, or the
 * compositor's own by import.h. */
#ifndef NEEP_WAYLAND_OFFER_H
#define NEEP_WAYLAND_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wayland/import.h"

struct neep_wl_call;
struct neep_wl_client;
struct neep_wl_object;

/* Its number in the registry; compositors count from 1. */
#define NEEP_WL_OFFER_NAME UINT32_MAX

/* There are fewer that the proxy knows. */
#define NEEP_WL_OFFER_FORMATS_MAX 128

struct neep_wl_offer {
	uint32_t version;
	struct neep_wl_object *shm; // the proxy's own; NULL: the compositor has deleted it
	bool has_formats;           // all there are
	size_t format_count;
	uint32_t formats[NEEP_WL_OFFER_FORMATS_MAX]; // of DRM, of one plane
	struct neep_wl_imports imports;
};

/* The client has got a registry. Returns 0 or a negative errno. */
int neep_wl_offer_watch(struct neep_wl_client *client, const struct neep_wl_object *registry);

/* The client binds NEEP_WL_OFFER_NAME: a handler of wl_registry.bind. There is an offer. */
int neep_wl_offer_bind(struct neep_wl_call *call);

/* A format of wl_shm that the compositor has. */
void neep_wl_offer_add_format(struct neep_wl_offer *offer, uint32_t shm_format);

/* Whether a dma-buf may have this format of DRM. */
bool neep_wl_offer_has_format(const struct neep_wl_offer *offer, uint32_t format);

void neep_wl_offer_destroy(struct neep_wl_offer *offer); // NULL is fine

#endif
