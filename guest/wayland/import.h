/* wl_buffers of the compositor's zwp_linux_dmabuf_v1, where the host can send what clients share as dma-bufs of its own
 * (neep_wl_host.sends_dmabufs): the compositor's GPU reads them, and nothing is copied there either.
 *
 * Theory of operation. Clients see the proxy's zwp_linux_dmabuf_v1 (offer.h), with its device and its formats, and nothing of
 * this. The proxy binds the compositor's as well, in version 3, whose events say for which formats it takes rows that lie one
 * after the other. A client's buffer of such a format, in memory of the host, is asked for with params.create, which may fail
 * without harm, when the client makes it; requests that attach it wait for the answer. Is it no, then the buffer goes the way of
 * all others, and no other one is asked for: as a rule the next one is refused for the same reason. Is it yes, then the
 * compositor has chosen the wl_buffer's id, and the client's object gets that. */
#ifndef NEEP_WAYLAND_IMPORT_H
#define NEEP_WAYLAND_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct neep_wl_buffer;
struct neep_wl_client;
struct neep_wl_object;

/* Compositors have fewer that GPUs can read. */
#define NEEP_WL_IMPORT_FORMATS_MAX 128

enum neep_wl_import {
	NEEP_WL_IMPORT_NONE, // it is to have a mirror
	NEEP_WL_IMPORT_ASKED,
	NEEP_WL_IMPORT_DONE, // the compositor has a wl_buffer of the client's dma-buf
};

/* What a client's compositor takes. */
struct neep_wl_imports {
	struct neep_wl_object *dmabuf; // the proxy's own; NULL: none
	bool was_refused;              // a buffer: no more are asked for
	size_t format_count;
	uint32_t formats[NEEP_WL_IMPORT_FORMATS_MAX]; // of DRM
};

/* Binds the compositor's zwp_linux_dmabuf_v1 if it can be of use; its events come before the answer to the next sync. There is an
 * offer. Returns 0 or a negative errno. */
int neep_wl_import_bind(struct neep_wl_client *client, const struct neep_wl_object *registry);

/* The client has made a buffer: asks for it if that may do. Returns 0 or a negative errno. */
int neep_wl_import_ask(struct neep_wl_client *client, struct neep_wl_buffer *buffer);

#endif
