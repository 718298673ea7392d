/* What the process of a renderer may still do once the first byte of a guest is read. In the order of the calls; the process has
 * one thread until the last. */
#ifndef NEEP_RENDERER_SANDBOX_H
#define NEEP_RENDERER_SANDBOX_H

#include "renderer/options.h"

/* Descriptors, limits, privileges, environment, files: everything that a driver can be loaded under. What the host does not let us
 * do is told, and the rest is done. */
void neep_renderer_sandbox_prepare(const struct neep_renderer_options *options);

/* Leaves the system calls that drivers need; all others fail with EPERM. Returns 0, or a negative errno with `error` set. */
int neep_renderer_sandbox_close(const struct neep_renderer_options *options, struct neep_error *error);

/* Puts a small read-only picture of the host's files in the place of them: what a Vulkan loader and drivers read, and the GPUs.
 * For a process in user, mount and pid namespaces of its own. Returns 0, or a negative errno: then the files are as they
 * were. */
int neep_renderer_view_enter(void);

/* The filter of neep_renderer_sandbox_close(). */
int neep_renderer_filter_load(void);

#endif
