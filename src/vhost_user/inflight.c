/* Inflight tracking: the area of shared memory that outlives a device, and which rings write to it. */
#include "virtio/inflight.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/checked.h"
#include "vhost_user/vhost_user_internal.h"
#include "virtio/sigbus.h"

struct neep_vhost_user_inflight_area {
	struct neep_inflight_area base;
	int guard;
	struct neep_inflight_queue *queues[NEEP_VHOST_USER_QUEUES_MAX]; // NULL where the area has none
};

static uint64_t area_len(
	const struct neep_vhost_user *server, const struct neep_vhost_user_inflight *request) {
	bool is_packed = (server->features & VU_BIT(VIRTIO_F_RING_PACKED)) != 0;
	return neep_inflight_area_len(request->queue_count, request->queue_size, is_packed);
}

static bool request_is_valid(
	const struct neep_vhost_user *server, const struct neep_vhost_user_inflight *request) {
	return request->queue_count > 0 && request->queue_count <= server->options.queue_count &&
	       request->queue_size > 0 && request->queue_size <= NEEP_VRING_SIZE_MAX;
}

/* The area becomes ours when it comes back in SET_INFLIGHT_FD. */
int neep_vhost_user_get_inflight_fd(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_inflight reply = message->payload.inflight;
	if (!request_is_valid(server, &reply)) {
		return -EINVAL;
	}
	reply.mmap_size = area_len(server, &reply);
	reply.mmap_offset = 0;
	int fd = neep_memfd_create("neep-inflight", reply.mmap_size);
	if (fd < 0) {
		return fd;
	}
	neep_vhost_user_answer(server, &reply, sizeof(reply), fd);
	return 0;
}

static bool any_ring_runs(const struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		if (server->rings[i].is_live) {
			return true;
		}
	}
	return false;
}

static void area_leave(struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		neep_vring_set_inflight(server->rings[i].vring, NULL);
	}
	neep_vhost_user_inflight_destroy(server->inflight);
	server->inflight = NULL;
}

void neep_vhost_user_inflight_destroy(struct neep_vhost_user_inflight_area *area) {
	if (area == NULL) {
		return;
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(area->queues); i++) {
		neep_inflight_detach(area->queues[i]);
	}
	neep_sigbus_unguard(area->guard);
	munmap(area->base.base, area->base.len);
	free(area);
}

void neep_vhost_user_inflight_fit(struct neep_vhost_user_ring *ring, const struct neep_vring_config *config) {
	const struct neep_vhost_user_inflight_area *area = ring->server->inflight;
	if (area == NULL ||
		(area->base.is_packed == config->is_packed && area->base.queue_size >= config->size)) {
		return;
	}
	neep_log_guest(&ring->server->log_limit, VU_TOPIC,
		"queue %u: the inflight area does not fit the ring", ring->index);
	neep_vring_set_inflight(ring->vring, NULL);
}

static struct neep_vhost_user_inflight_area *area_map(
	const struct neep_vhost_user *server, const struct neep_vhost_user_inflight *request, int fd) {
	struct stat st;
	uint64_t len = area_len(server, request);
	if (request->mmap_size < len || request->mmap_offset > INT64_MAX || fstat(fd, &st) < 0 ||
		st.st_size < 0 || !neep_range_within(request->mmap_offset, len, (uint64_t)st.st_size)) {
		return NULL;
	}
	void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)request->mmap_offset);
	if (base == MAP_FAILED) {
		return NULL;
	}
	struct neep_vhost_user_inflight_area *area = calloc(1, sizeof(*area));
	if (area == NULL) {
		munmap(base, len);
		return NULL;
	}
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	area->guard = neep_sigbus_guard(base, (len + page - 1) / page * page, page);
	area->base = (struct neep_inflight_area){
		.base = base,
		.len = len,
		.queue_count = request->queue_count,
		.queue_size = request->queue_size,
		.is_packed = (server->features & VU_BIT(VIRTIO_F_RING_PACKED)) != 0,
	};
	return area;
}

int neep_vhost_user_set_inflight_fd(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_inflight *request = &message->payload.inflight;
	neep_autoclose int fd = neep_fds_take(&message->fds, 0);
	if (!request_is_valid(server, request)) {
		return -EINVAL;
	}
	if (any_ring_runs(server)) {
		return -EBUSY;
	}
	struct neep_vhost_user_inflight_area *area = area_map(server, request, fd);
	if (area == NULL) {
		return -EINVAL;
	}
	area_leave(server);
	server->inflight = area;
	struct neep_error error = { 0 };
	for (uint16_t i = 0; i < request->queue_count; i++) {
		area->queues[i] = neep_inflight_attach(&area->base, i, &error);
		if (area->queues[i] == NULL) {
			neep_log_guest(&server->log_limit, VU_TOPIC, "%s", error.text);
			area_leave(server);
			return -EINVAL;
		}
		neep_vring_set_inflight(server->rings[i].vring, area->queues[i]);
	}
	return 0;
}
