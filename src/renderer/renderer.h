/* The renderer of one guest process: its context of Vulkan objects, a thread for each of its command rings, one that waits for
 * fences, and the main thread, which handles what the device process says (worker/protocol.h) and never waits for the others.
 *
 * It trusts the device process. The guest, whose bytes the ring threads read, may take it over: what it can do then is what
 * the sandbox leaves. */
#ifndef NEEP_RENDERER_RENDERER_H
#define NEEP_RENDERER_RENDERER_H

#include "renderer/options.h"

/* Locks the process up and serves the context whose socket is descriptor NEEP_WORKER_SPAWNER_FD until that closes. Does not
 * return when the context is lost: the process ends. Returns 0, or a negative errno with `error` set: it could not start, and the
 * device process was told. */
int neep_renderer_run(const struct neep_renderer_options *options, struct neep_error *error);

#endif
