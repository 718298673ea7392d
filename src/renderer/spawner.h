/* The spawner: starts a process per SPAWN, waits for all of them, and tells how each ended (worker/protocol.h).
 *
 * One thread, no library of others, no guest bytes. It trusts the device process, whose socket is its descriptor
 * NEEP_WORKER_SPAWNER_FD, and nobody else. */
#ifndef NEEP_RENDERER_SPAWNER_H
#define NEEP_RENDERER_SPAWNER_H

#include "renderer/options.h"

/* Runs until its socket closes; then kills what is left, and waits for that. Returns 0, or a negative errno with `error` set. */
int neep_spawner_run(const struct neep_renderer_options *options, struct neep_error *error);

#endif
