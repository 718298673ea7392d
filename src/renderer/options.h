/* The command line of neep-renderer: that of the spawner, and what the spawner adds for the renderers it starts. */
#ifndef NEEP_RENDERER_OPTIONS_H
#define NEEP_RENDERER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"
#include "util/log.h"

enum neep_renderer_action {
	NEEP_RENDERER_SPAWN,
	NEEP_RENDERER_SERVE,
	NEEP_RENDERER_HELP,
	NEEP_RENDERER_VERSION,
};

struct neep_renderer_options {
	enum neep_renderer_action action;
	enum neep_log_level log_level;
	bool has_sandbox;
	uint64_t max_memory; // bytes; 0: no limit
	uint64_t max_mapped; // bytes that a guest can map; 0: no limit
	uint32_t max_cpu;    // seconds of CPU time; 0: no limit
	uint32_t spin_us;    // how long a ring is watched
	/* Of one renderer: NEEP_RENDERER_SERVE only. */
	uint32_t ctx_id;
	const char *name;
	bool has_namespaces; // it was started in namespaces of its own
	bool is_lost;        // as in struct neep_worker_spawn
};

/* Strings stay those of argv. Returns 0, or a negative errno with `error` set. */
int neep_renderer_options_parse(
	struct neep_renderer_options *options, int argc, char **argv, struct neep_error *error);

void neep_renderer_options_print_help(FILE *out);

#endif
