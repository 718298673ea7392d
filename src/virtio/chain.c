#include <errno.h>
#include <stdlib.h>

#include "virtio/vring_internal.h"

#define IOV_CAPACITY_MIN 8

static bool fault(struct vring_box *box, const char *why) {
	box->fault = why;
	return false;
}

static bool iov_grow(struct vring_box *box) {
	uint32_t capacity = box->iov_capacity > 0 ? 2 * box->iov_capacity : IOV_CAPACITY_MIN;
	if (capacity > VRING_SEGMENTS_MAX) {
		return fault(box, "a buffer in too many pieces");
	}
	struct iovec *iov = realloc(box->iov, capacity * sizeof(*iov));
	if (iov == NULL) {
		return fault(box, "no memory for its description");
	}
	box->iov = iov;
	box->iov_capacity = capacity;
	return true;
}

static bool segment_append(struct vring_box *box, uint8_t *host, uint64_t len, bool is_writable) {
	struct neep_vring_element *element = &box->element;
	uint32_t *count = is_writable ? &element->writable_count : &element->readable_count;
	uint32_t total = element->readable_count + element->writable_count;
	if (*count > 0) {
		struct iovec *last = &box->iov[total - 1];
		if ((uint8_t *)last->iov_base + last->iov_len == host) {
			last->iov_len += len;
			return true;
		}
	}
	if (total == box->iov_capacity && !iov_grow(box)) {
		return false;
	}
	box->iov[total] = (struct iovec){ .iov_base = host, .iov_len = len };
	(*count)++;
	return true;
}

bool neep_vring_chain_add(
	struct neep_vring *ring, struct vring_box *box, const struct vring_descriptor *descriptor) {
	struct neep_vring_element *element = &box->element;
	bool is_writable = (descriptor->flags & VRING_DESC_F_WRITE) != 0;
	uint64_t addr = descriptor->addr;
	uint64_t left = descriptor->len;
	if (++box->descriptors > NEEP_VRING_CHAIN_MAX) {
		return fault(box, "a chain that is too long");
	}
	if (left == 0) {
		return fault(box, "a descriptor of length 0");
	}
	if (!is_writable && element->writable_count > 0) {
		return fault(box, "a readable descriptor after a writable one");
	}
	*(is_writable ? &element->writable_size : &element->readable_size) += left;
	while (left > 0) {
		uint64_t len;
		uint8_t *host = neep_memory_translate(ring->memory, addr, left, &len);
		if (host == NULL) {
			return fault(box, "a descriptor outside guest memory");
		}
		if (!segment_append(box, host, len, is_writable)) {
			return false;
		}
		addr += len; // regions end below 2^64
		left -= len;
	}
	return true;
}

void neep_vring_chain_finish(struct vring_box *box) {
	box->element.readable = box->iov;
	box->element.writable = box->iov + box->element.readable_count;
}

void neep_vring_chain_reset(struct vring_box *box) {
	if (box->iov_capacity > VRING_SPARE_IOV_MAX) {
		free(box->iov);
		box->iov = NULL;
		box->iov_capacity = 0;
	}
	box->element = (struct neep_vring_element){ 0 };
	box->descriptors = 0;
	box->fault = NULL;
}

/* A table that crosses regions; `len` is at most NEEP_VRING_CHAIN_MAX descriptors. */
static bool table_copy(struct neep_vring *ring, uint64_t addr, uint64_t len, struct vring_table *table) {
	uint8_t *copy = malloc(len);
	if (copy == NULL) {
		return false;
	}
	for (uint64_t done = 0; done < len;) {
		uint64_t part;
		const uint8_t *host = neep_memory_translate(ring->memory, addr + done, len - done, &part);
		if (host == NULL) {
			free(copy);
			return false;
		}
		memcpy(copy + done, host, part);
		done += part;
	}
	table->copy = copy;
	table->base = copy;
	return true;
}

bool neep_vring_table_open(struct neep_vring *ring, struct vring_box *box,
	const struct vring_descriptor *descriptor, struct vring_table *table) {
	uint64_t contiguous;
	uint32_t len = descriptor->len;
	*table = (struct vring_table){ .count = len / (uint32_t)sizeof(struct vring_desc) };
	if (!ring->config.has_indirect) {
		return fault(box, "an indirect table without the feature");
	}
	if ((descriptor->flags & VRING_DESC_F_NEXT) != 0) {
		return fault(box, "an indirect table in mid-chain");
	}
	if (len == 0 || len % sizeof(struct vring_desc) != 0) {
		return fault(box, "an indirect table of a wrong length");
	}
	if (table->count > NEEP_VRING_CHAIN_MAX) {
		return fault(box, "an indirect table that is too long");
	}
	table->base = neep_memory_translate(ring->memory, descriptor->addr, len, &contiguous);
	if (table->base == NULL) {
		return fault(box, "an indirect table outside guest memory");
	}
	if (contiguous < len && !table_copy(ring, descriptor->addr, len, table)) {
		return fault(box, "an indirect table outside guest memory");
	}
	return true;
}

void neep_vring_table_close(struct vring_table *table) {
	free(table->copy);
	table->copy = NULL;
}
