/* The list of memory entries behind RESOURCE_ATTACH_BACKING and RESOURCE_CREATE_BLOB. */
#include "device/device_internal.h"

#include <stdlib.h>

#include "util/checked.h"

/* Entries are copied out of guest memory in pieces of this many. */
#define ENTRIES_PER_COPY 256

struct backing_builder {
	struct neep_backing *backing;
	size_t capacity;
	size_t limit;
};

static uint32_t append(struct backing_builder *builder, void *host, size_t len) {
	struct neep_backing *backing = builder->backing;
	if (backing->count > 0) {
		struct iovec *last = &backing->iovecs[backing->count - 1];
		if ((char *)last->iov_base + last->iov_len == (char *)host) {
			last->iov_len += len;
			return VIRTIO_GPU_RESP_OK_NODATA;
		}
	}
	if (backing->count >= builder->limit) {
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (backing->count == builder->capacity) {
		size_t capacity = builder->capacity == 0 ? 16 : builder->capacity * 2;
		struct iovec *bigger = reallocarray(backing->iovecs, capacity, sizeof(*bigger));
		if (bigger == NULL) {
			return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		}
		backing->iovecs = bigger;
		builder->capacity = capacity;
	}
	backing->iovecs[backing->count++] = (struct iovec){ .iov_base = host, .iov_len = len };
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* An entry may span regions that are neighbours in guest memory and not on the host. */
static uint32_t append_entry(struct neep_device *device, struct backing_builder *builder,
	const struct virtio_gpu_mem_entry *entry) {
	uint64_t addr = entry->addr;
	uint64_t left = entry->length;
	uint64_t end;
	if (!neep_add(addr, left, &end)) {
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	while (left > 0) {
		uint64_t contiguous;
		void *host = neep_memory_translate(device->memory, addr, left, &contiguous);
		if (host == NULL) {
			return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
		}
		uint32_t resp = append(builder, host, (size_t)contiguous);
		if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
			return resp;
		}
		addr += contiguous;
		left -= contiguous;
	}
	/* A sum of up to 2^32 lengths below 2^32 fits. */
	builder->backing->size += entry->length;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t read_entries(struct neep_device *device, struct neep_request *request, uint32_t nr_entries,
	struct backing_builder *builder) {
	struct virtio_gpu_mem_entry entries[ENTRIES_PER_COPY];
	for (uint32_t done = 0; done < nr_entries;) {
		uint32_t count = nr_entries - done < ENTRIES_PER_COPY ? nr_entries - done : ENTRIES_PER_COPY;
		request_read_payload(
			request, (size_t)done * sizeof(entries[0]), entries, count * sizeof(entries[0]));
		for (uint32_t i = 0; i < count; i++) {
			uint32_t resp = append_entry(device, builder, &entries[i]);
			if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
				return request_refuse(device, request, resp,
					resp == VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
						? "too many scattered entries"
						: "a memory entry lies outside guest memory");
			}
		}
		done += count;
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t backing_read(struct neep_device *device, struct neep_request *request, uint32_t nr_entries,
	struct neep_backing *backing) {
	*backing = (struct neep_backing){ .iovecs = NULL };
	/* The count is held against the bytes that are there before anything is allocated for it. */
	if (nr_entries > request_payload_size(request) / sizeof(struct virtio_gpu_mem_entry)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"nr_entries says more than the request holds");
	}
	/* Neighbours count as one, and a request can name the same memory over and over: without a limit the list of a hostile
	 * driver takes most of a minute to read. */
	if (nr_entries > device->options.quota.total_backing_entries) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
			"more entries than all resources have");
	}
	device->turn_bytes += (uint64_t)nr_entries * sizeof(struct virtio_gpu_mem_entry);
	if (nr_entries > 0 && device->memory == NULL) {
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	struct backing_builder builder = {
		.backing = backing,
		.limit = device->options.quota.backing_entries,
	};
	uint32_t resp = read_entries(device, request, nr_entries, &builder);
	if (resp != VIRTIO_GPU_RESP_OK_NODATA) {
		free(backing->iovecs);
		*backing = (struct neep_backing){ .iovecs = NULL };
	}
	return resp;
}
