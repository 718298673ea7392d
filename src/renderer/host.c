#include <rutabaga_gfx/rutabaga_gfx_ffi.h>

#include "renderer/renderer_internal.h"

static struct neep_renderer *renderer_from_host(struct neep_vk_host *host) {
	return neep_container_of(host, struct neep_renderer, host);
}

static int publish_blob(struct neep_vk_host *host, uint64_t blob_id, uint64_t size, int fd) {
	struct neep_renderer *renderer = renderer_from_host(host);
	struct neep_worker_blob blob = {
		.header = { .type = NEEP_WORKER_BLOB, .size = sizeof(blob) },
		.blob_id = blob_id,
		.size = size,
		.map_info = RUTABAGA_MAP_CACHE_CACHED,
	};
	struct neep_send send = { .buf = &blob, .len = sizeof(blob), .fds = &fd, .fd_count = 1 };
	return neep_send_all(renderer->socket.fd, &send);
}

static int find_resource(struct neep_vk_host *host, uint32_t resource_id, struct neep_vk_resource *resource) {
	return neep_renderer_resources_find(&renderer_from_host(host)->resources, resource_id, resource);
}

static void lost(struct neep_vk_host *host, const char *reason) {
	neep_renderer_lose(renderer_from_host(host), reason);
}

const struct neep_vk_host_impl neep_renderer_host_impl = {
	.publish_blob = publish_blob,
	.find_resource = find_resource,
	.lost = lost,
};
