#include <errno.h>
#include <string.h>

#include "cross_domain/cross_domain_internal.h"

void neep_xd_put_u32(uint8_t *message, size_t at, uint32_t value) {
	memcpy(message + at, &value, sizeof(value));
}

void neep_xd_put_u64(uint8_t *message, size_t at, uint64_t value) {
	memcpy(message + at, &value, sizeof(value));
}

bool neep_xd_is_ring(const struct neep_resource *resource) {
	return resource != NULL && resource->kind == NEEP_RUTABAGA_RESOURCE_BLOB && resource->has_backing &&
	       resource->backing.size >= NEEP_XD_RING_SIZE;
}

size_t neep_xd_ring_room(const struct neep_resource *ring) {
	size_t size = neep_xd_is_ring(ring) ? (size_t)ring->backing.size : NEEP_XD_RING_SIZE;
	return size < NEEP_XD_RING_MAX ? size : NEEP_XD_RING_MAX;
}

int neep_xd_ring_write(const struct neep_resource *ring, const void *data, size_t len) {
	if (!neep_xd_is_ring(ring)) {
		return -ENXIO;
	}
	struct neep_rows rows = {
		.image = (uint8_t *)(uintptr_t)data,
		.image_stride = len,
		.len = len,
		.count = 1,
		.offset = 0,
		.stride = len,
	};
	return neep_backing_write(&ring->backing, &rows);
}
