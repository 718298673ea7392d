#include "wayland/flow.h"

#include "util/fd.h"
#include "wayland/channel.h"

static void fence_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_wl_flow *flow = neep_container_of(source, struct neep_wl_flow, source);
	neep_source_remove(source);
	neep_close_fd(&flow->fence_fd);
	flow->works = true;
}

void neep_wl_flow_init(struct neep_wl_flow *flow, struct neep_loop *loop, struct neep_wl_virtgpu *gpu) {
	*flow = (struct neep_wl_flow){ .loop = loop, .gpu = gpu, .fence_fd = -1 };
	flow->source = (struct neep_source){ .fd = -1, .ready = fence_ready };
}

void neep_wl_flow_finish(struct neep_wl_flow *flow) {
	neep_source_remove(&flow->source);
	neep_close_fd(&flow->fence_fd);
}

int neep_wl_flow_try(struct neep_wl_flow *flow) {
	/* A POLL does nothing: what counts is the ring of its fence. */
	uint8_t command[NEEP_WL_CHANNEL_COMMAND_MAX];
	struct neep_wl_submit submit = {
		.command = command,
		.len = neep_wl_channel_poll(command),
		.ring = NEEP_WL_RING_FLOW,
		.fence_fd = &flow->fence_fd,
	};
	if (flow->was_tried) {
		return 0;
	}
	flow->was_tried = true;
	int result = neep_wl_virtgpu_submit(flow->gpu, &submit);
	flow->source.fd = flow->fence_fd;
	return result < 0 ? result : neep_source_add(flow->loop, &flow->source, EPOLLIN);
}
