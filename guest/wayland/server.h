/* All clients of the proxy. One thread, that of the loop. */
#ifndef NEEP_WAYLAND_SERVER_H
#define NEEP_WAYLAND_SERVER_H

#include "util/error.h"
#include "util/loop.h"
#include "wayland/options.h"

struct neep_wl_server;

/* Listens as `options`, which must outlive the server, say. NULL with `error` set. */
struct neep_wl_server *neep_wl_server_create(
	struct neep_loop *loop, const struct neep_wl_options *options, struct neep_error *error);

/* Sends on what programs that have ended have left in their sockets, without waiting for anybody. */
void neep_wl_server_drain(struct neep_wl_server *server);

/* Ends all clients and removes the socket. NULL is fine. */
void neep_wl_server_destroy(struct neep_wl_server *server);

/* What WAYLAND_DISPLAY must be for clients. */
const char *neep_wl_server_display(const struct neep_wl_server *server);

#endif
