/* vhost-user-neep as a whole: loop, rutabaga, display, device, and a front-end's session around them.
 *
 * One thread. A session is one front-end's connection; the device and what it holds are reset between two of them. */
#ifndef NEEP_DAEMON_DAEMON_H
#define NEEP_DAEMON_DAEMON_H

#include <stddef.h>

#include "daemon/options.h"
#include "util/error.h"
#include "util/loop.h"

struct neep_component_impl;
struct neep_daemon;

/* Creates everything and listens. options->fd is consumed, also on failure; other parts of `options` are borrowed until
 * neep_daemon_destroy(). NULL with `error` set. */
struct neep_daemon *neep_daemon_create(const struct neep_options *options, struct neep_error *error);

/* As above with components of the library's inner interface beside the built-in ones, for tests. */
struct neep_daemon *neep_daemon_create_with(const struct neep_options *options,
	const struct neep_component_impl *const *extra, size_t extra_count, struct neep_error *error);

/* Ends the session, if any, and removes the socket files. NULL is fine. */
void neep_daemon_destroy(struct neep_daemon *daemon);

/* Serves until the session is over (options->keeps_listening: for ever), or neep_loop_stop(). Returns 0 or a negative
 * errno. */
int neep_daemon_run(struct neep_daemon *daemon);

/* Borrowed. */
struct neep_loop *neep_daemon_loop(struct neep_daemon *daemon);

#endif
