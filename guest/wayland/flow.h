/* Flow control of what is written to pipes of the host. cross-domain has none: hosts keep, or wait for, what a pipe has no room for. neep's
 * device has fences for it, on rings above those that the protocol knows; other hosts may refuse them, and then the fence
 * never signals, or they let it signal at once. So one is tried, and until that one has signalled there is no flow
 * control. */
#ifndef NEEP_WAYLAND_FLOW_H
#define NEEP_WAYLAND_FLOW_H

#include <stdbool.h>

#include "util/loop.h"
#include "wayland/virtgpu.h"

struct neep_wl_flow {
	struct neep_loop *loop;
	struct neep_wl_virtgpu *gpu;
	int fence_fd; // the first; -1: not tried, or signalled
	struct neep_source source;
	bool was_tried;
	bool works;
};

/* Embedded; `gpu` outlives it. */
void neep_wl_flow_init(struct neep_wl_flow *flow, struct neep_loop *loop, struct neep_wl_virtgpu *gpu);
void neep_wl_flow_finish(struct neep_wl_flow *flow);

/* Finds out whether there is flow control, the first time. Returns 0 or a negative errno of neep_wl_virtgpu_submit(). */
int neep_wl_flow_try(struct neep_wl_flow *flow);

#endif
