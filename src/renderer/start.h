/* How the spawner makes the process of a renderer. Room-internal. */
#ifndef NEEP_RENDERER_START_H
#define NEEP_RENDERER_START_H

#include <sys/types.h>

#include "renderer/options.h"

struct neep_renderer_start {
	const struct neep_renderer_options *options; // the spawner's
	uint32_t ctx_id;
	const char *name; // printable
	bool is_lost;     // as in struct neep_worker_spawn
	int socket;       // borrowed: the renderer's end of its context socket
};

/* Starts this very program as a renderer, in namespaces of its own where the host lets us; says so once where not. Returns its
 * pid, or a negative errno. */
pid_t neep_renderer_start(const struct neep_renderer_start *start);

#endif
