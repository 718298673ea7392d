/* A guest's buffer from pop to push: reading the command, writing the reply. */
#include "device/device_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/iov.h"
#include "util/trace.h"

static struct neep_request *request_alloc(struct neep_device *device) {
	if (neep_list_is_empty(&device->free_requests)) {
		return calloc(1, sizeof(struct neep_request));
	}
	struct neep_request *request =
		neep_container_of(device->free_requests.next, struct neep_request, link);
	neep_list_remove(&request->link);
	return request;
}

static void request_free(struct neep_device *device, struct neep_request *request) {
	free(request->long_reply);
	request->long_reply = NULL;
	neep_list_insert(&device->free_requests, &request->link);
}

/* A ring that is full of commands has as many requests: their number is bounded by the ring size. */
struct neep_request *request_pop(struct neep_device *device, struct neep_vring *ring) {
	struct neep_vring_element *element;
	if (neep_vring_pop(ring, &element) != 1) {
		return NULL;
	}
	struct neep_request *request = request_alloc(device);
	if (request == NULL) {
		neep_vring_push(ring, element, NULL, 0);
		return NULL;
	}
	neep_list_init(&request->link);
	request->ring = ring;
	request->element = element;
	request->op = NULL;
	request->reply_size = sizeof(struct virtio_gpu_ctrl_hdr);
	request->is_fenced = false;
	request->is_done = false;
	request->has_fence = false;
	/* What is not there reads as zeros, so a short header can be no valid command. */
	size_t got = neep_iov_read(
		element->readable, element->readable_count, 0, &request->cmd, sizeof(request->cmd));
	memset((char *)&request->cmd + got, 0, sizeof(request->cmd) - got);
	return request;
}

size_t request_payload_size(const struct neep_request *request) {
	uint64_t size = request->element->readable_size;
	return size <= request->op->cmd_size ? 0 : (size_t)(size - request->op->cmd_size);
}

size_t request_read_payload(const struct neep_request *request, size_t offset, void *out, size_t len) {
	return neep_iov_read(request->element->readable, request->element->readable_count,
		request->op->cmd_size + offset, out, len);
}

uint32_t request_refuse(
	struct neep_device *device, const struct neep_request *request, uint32_t resp, const char *why) {
	neep_log_guest(&device->log_limit, TOPIC, "%s (0x%04x) refused with 0x%04x: %s",
		request->op != NULL ? request->op->name : "command", request->cmd.hdr.type, resp, why);
	return resp;
}

uint32_t request_refuse_resource(struct neep_device *device, const struct neep_request *request) {
	return request_refuse(
		device, request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID, "there is no such resource");
}

uint32_t request_refuse_scanout(struct neep_device *device, const struct neep_request *request) {
	return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "no such scanout");
}

uint32_t resp_from_errno(int ret) {
	switch (ret) {
	case 0:
		return VIRTIO_GPU_RESP_OK_NODATA;
	case -ENOMEM:
	case -ENOSPC:
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	case -ENOENT:
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	case -ESRCH:
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	case -EINVAL:
	case -EOVERFLOW:
	case -ENOTSUP:
	case -EBUSY:
	case -EEXIST:
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	default:
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
}

static bool resp_is_ok(uint32_t resp) {
	return resp < VIRTIO_GPU_RESP_ERR_UNSPEC;
}

void request_push(struct neep_device *device, struct neep_request *request) {
	const void *reply = request->long_reply != NULL ? (const void *)request->long_reply
							: (const void *)&request->reply;
	size_t len = request->reply_size;
	/* A reply that does not fit is not cut: see check_sizes() for who gets here without room. */
	if (request->element->writable_size < len) {
		len = 0;
	}
	neep_vring_push(request->ring, request->element, reply, len);
	if (!device->is_in_batch) {
		neep_vring_notify(request->ring);
	}
	request_free(device, request);
}

static void fill_header(struct neep_request *request, uint32_t resp) {
	struct virtio_gpu_ctrl_hdr hdr = { .type = resp };
	if (request->is_fenced) {
		hdr.flags = request->cmd.hdr.flags;
		hdr.fence_id = request->cmd.hdr.fence_id;
		hdr.ctx_id = request->cmd.hdr.ctx_id;
		hdr.ring_idx =
			(hdr.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) != 0 ? request->cmd.hdr.ring_idx : 0;
	}
	if (!resp_is_ok(resp)) {
		free(request->long_reply);
		request->long_reply = NULL;
		request->reply_size = sizeof(hdr);
	}
	memcpy(request->long_reply != NULL ? (void *)request->long_reply : (void *)&request->reply, &hdr,
		sizeof(hdr));
}

void request_wait(struct neep_device *device, struct neep_request *request) {
	neep_assert(device->waiting == NULL);
	device->waiting = request;
}

void request_finish(struct neep_device *device, struct neep_request *request, uint32_t resp) {
	device->stats.commands++;
	device->stats.errors += resp_is_ok(resp) ? 0 : 1;
	NEEP_TRACE2(cmd_end, request->cmd.hdr.type, resp);
	bool resumes = device->waiting == request;
	request->resp = resp;
	fill_header(request, resp);
	if (request->is_fenced) {
		fence_queue(device, request);
	} else {
		request_push(device, request);
	}
	if (resumes) {
		device->waiting = NULL;
		if (!device->is_in_batch) {
			device->host->impl->resume_queue(device->host, NEEP_DEVICE_CONTROLQ);
		}
	}
}
