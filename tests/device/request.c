/* Requests: descriptors of any shape, and what must hold for every reply. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "device/harness_internal.h"
#include "driver/frontend.h"
#include "util/fd.h"

/* Bytes that are nobody's, around every descriptor. One byte keeps neighbours from being merged. */
#define GUARD_WHOLE 64
#define GUARD_SPLIT 1

struct layout {
	struct check_request *request;
	size_t guard;
	size_t at; // bytes of the memory that are placed
	uint32_t count;
};

/* Two passes: without pieces it counts. */
static void place(struct layout *layout, const void *from, size_t len, size_t piece_max) {
	struct check_request *request = layout->request;
	for (size_t done = 0; done < len;) {
		size_t part = piece_max != 0 && len - done > piece_max ? piece_max : len - done;
		if (request->pieces != NULL) {
			struct neep_guest_piece *piece = &request->pieces[layout->count];
			piece->guest_addr = request->memory.first.guest_addr + layout->at;
			piece->host = (uint8_t *)request->memory.first.host + layout->at;
			piece->len = part;
			if (from != NULL) {
				memcpy(piece->host, (const uint8_t *)from + done, part);
			}
		}
		layout->at += part + layout->guard;
		layout->count++;
		done += part;
	}
}

static struct layout place_all(struct check_request *request, uint32_t *readable_count) {
	bool is_split = request->cmd_piece != 0 || request->reply_piece != 0;
	struct layout layout = { .request = request, .guard = is_split ? GUARD_SPLIT : GUARD_WHOLE };
	layout.at = GUARD_WHOLE;
	place(&layout, request->cmd, request->cmd_len, request->cmd_piece);
	place(&layout, request->payload, request->payload_len, request->cmd_piece);
	*readable_count = layout.count;
	place(&layout, NULL, request->room, request->reply_piece);
	layout.at += GUARD_WHOLE;
	return layout;
}

static void build(struct check *check, struct check_request *request) {
	uint32_t readable_count;
	struct layout layout = place_all(request, &readable_count);
	assert_true(layout.count > 0);
	assert_int_equal(neep_driver_alloc(check->driver, layout.at, &request->memory), 0);
	memset(request->memory.first.host, CHECK_SENTINEL, layout.at);
	request->pieces = calloc(layout.count, sizeof(*request->pieces));
	assert_non_null(request->pieces);
	place_all(request, &readable_count);
	request->buffer = (struct neep_queue_buffer){
		.pieces = request->pieces,
		.readable_count = readable_count,
		.writable_count = layout.count - readable_count,
	};
	request->image = malloc(layout.at);
	request->reply = malloc(request->room + 1);
	assert_non_null(request->image);
	assert_non_null(request->reply);
	memcpy(request->image, request->memory.first.host, layout.at);
	request->check = check;
	request->is_done = false;
}

/* Returns whether anything came back. */
static bool collect(struct check *check) {
	uint64_t before = check->sequence;
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		struct neep_queue_buffer *buffer;
		struct neep_queue *queue = neep_driver_queue(check->driver, (enum neep_driver_queue)i);
		while ((buffer = neep_queue_get(queue)) != NULL) {
			struct check_request *request =
				neep_container_of(buffer, struct check_request, buffer);
			assert_false(request->is_done);
			request->is_done = true;
			request->used_len = buffer->used_len;
			request->sequence = ++check->sequence;
		}
		assert_false(neep_queue_is_broken(queue));
	}
	return check->sequence != before;
}

static bool arm(struct check *check) {
	bool has_used = false;
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		has_used |= neep_queue_arm(neep_driver_queue(check->driver, (enum neep_driver_queue)i));
	}
	return has_used;
}

/* Collects, and sleeps until the deadline where there is nothing. */
static void pump(struct check *check, int64_t deadline) {
	/* What the caller waits for may have come. */
	if (collect(check)) {
		return;
	}
	if (arm(check)) {
		collect(check);
		return;
	}
	struct neep_frontend *frontend = neep_driver_frontend(check->driver);
	struct pollfd fds[NEEP_DRIVER_QUEUE_COUNT + 2];
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		struct neep_queue *queue = neep_driver_queue(check->driver, (enum neep_driver_queue)i);
		fds[i] = (struct pollfd){ .fd = neep_queue_call_fd(queue), .events = POLLIN };
	}
	fds[2] = (struct pollfd){ .fd = neep_frontend_socket(frontend), .events = POLLIN };
	fds[3] = (struct pollfd){ .fd = neep_frontend_channel(frontend), .events = POLLIN };
	int64_t left = deadline - neep_clock_ns();
	int timeout = left <= 0 ? 0 : (int)(left / NEEP_NS_PER_MS) + 1;
	int count = poll(fds, NEEP_ARRAY_LEN(fds), timeout);
	assert_true(count >= 0 || errno == EINTR);
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		if (fds[i].revents != 0) {
			neep_eventfd_drain(fds[i].fd);
		}
	}
	if ((fds[2].revents | fds[3].revents) != 0 && neep_frontend_serve(frontend) < 0) {
		fail_msg("the device is gone");
	}
	collect(check);
}

static void add(struct check *check, struct check_request *request) {
	struct neep_queue *queue = neep_driver_queue(check->driver, request->queue);
	int64_t deadline = neep_clock_ns() + CHECK_TIMEOUT_NS;
	int result;
	build(check, request);
	while ((result = neep_queue_add(queue, &request->buffer)) == -ENOSPC) {
		assert_true(neep_clock_ns() < deadline);
		neep_queue_kick(queue);
		pump(check, deadline);
	}
	assert_int_equal(result, 0);
}

void check_submit_many(struct check *check, struct check_request *requests, size_t count) {
	for (size_t i = 0; i < count; i++) {
		add(check, &requests[i]);
	}
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_kick(neep_driver_queue(check->driver, (enum neep_driver_queue)i));
	}
}

void check_submit(struct check *check, struct check_request *request) {
	check_submit_many(check, request, 1);
}

bool check_poll(struct check *check, struct check_request *request) {
	collect(check);
	return request->is_done;
}

void check_sleep(struct check *check, int64_t ns) {
	int64_t deadline = neep_clock_ns() + ns;
	do {
		pump(check, deadline);
	} while (neep_clock_ns() < deadline);
}

/* The device may have written the first used_len bytes of the writable part, and nothing else. */
static void take_reply(struct check_request *request) {
	const uint8_t *memory = request->memory.first.host;
	size_t done = 0;
	assert_in_range(request->used_len, 0, request->room);
	for (uint32_t i = 0; i < request->buffer.writable_count; i++) {
		const struct neep_guest_piece *piece = &request->pieces[request->buffer.readable_count + i];
		size_t offset = (size_t)((const uint8_t *)piece->host - memory);
		size_t written = request->used_len > done ? request->used_len - done : 0;
		if (written > piece->len) {
			written = (size_t)piece->len;
		}
		memcpy(request->reply + done, piece->host, (size_t)piece->len);
		memcpy(request->image + offset, piece->host, written);
		done += (size_t)piece->len;
	}
	if (memcmp(request->image, memory, (size_t)request->memory.size) != 0) {
		fail_msg("bytes outside the %u bytes of the reply have changed", request->used_len);
	}
}

void check_wait(struct check *check, struct check_request *request) {
	int64_t deadline = neep_clock_ns() + CHECK_TIMEOUT_NS;
	collect(check);
	while (!request->is_done) {
		if (neep_clock_ns() >= deadline) {
			fail_msg("a request does not come back");
		}
		pump(check, deadline);
	}
	take_reply(request);
}

static void free_parts(struct check_request *request) {
	free(request->pieces);
	free(request->image);
	free(request->reply);
	request->pieces = NULL;
	request->image = NULL;
	request->reply = NULL;
}

void check_release(struct check *check, struct check_request *request) {
	neep_driver_free(check->driver, &request->memory);
	free_parts(request);
}

void check_forget(struct check *check, struct check_request *request) {
	(void)check;
	request->is_done = true;
	request->used_len = 0;
}

/* ---- the form of a reply ---- */

static size_t reply_size(uint32_t type, uint32_t used_len) {
	switch (type) {
	case VIRTIO_GPU_RESP_OK_NODATA:
		return sizeof(struct virtio_gpu_ctrl_hdr);
	case VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
		return sizeof(struct virtio_gpu_resp_display_info);
	case VIRTIO_GPU_RESP_OK_CAPSET_INFO:
		return sizeof(struct virtio_gpu_resp_capset_info);
	case VIRTIO_GPU_RESP_OK_CAPSET:
		/* Its size is the capset's. */
		return used_len;
	case VIRTIO_GPU_RESP_OK_EDID:
		return sizeof(struct virtio_gpu_resp_edid);
	case VIRTIO_GPU_RESP_OK_RESOURCE_UUID:
		return sizeof(struct virtio_gpu_resp_resource_uuid);
	case VIRTIO_GPU_RESP_OK_MAP_INFO:
		return sizeof(struct virtio_gpu_resp_map_info);
	default:
		assert_in_range(type, VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return sizeof(struct virtio_gpu_ctrl_hdr);
	}
}

static void assert_padding(const struct check_request *request, uint32_t type) {
	uint32_t padding = 0;
	switch (type) {
	case VIRTIO_GPU_RESP_OK_CAPSET_INFO:
		padding = ((const struct virtio_gpu_resp_capset_info *)request->reply)->padding;
		break;
	case VIRTIO_GPU_RESP_OK_EDID:
		padding = ((const struct virtio_gpu_resp_edid *)request->reply)->padding;
		break;
	case VIRTIO_GPU_RESP_OK_MAP_INFO:
		padding = ((const struct virtio_gpu_resp_map_info *)request->reply)->padding;
		break;
	}
	assert_int_equal(padding, 0);
}

/* What the request's header asks the reply to repeat. */
static struct virtio_gpu_ctrl_hdr expected_header(
	const struct check *check, const struct check_request *request) {
	struct virtio_gpu_ctrl_hdr asked = { 0 }, expected = { 0 };
	uint32_t known = VIRTIO_GPU_FLAG_FENCE;
	if ((neep_driver_features(check->driver) & CHECK_BIT(VIRTIO_GPU_F_CONTEXT_INIT)) != 0) {
		known |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
	}
	if (request->cmd_len >= sizeof(asked)) {
		memcpy(&asked, request->cmd, sizeof(asked));
	}
	if ((asked.flags & VIRTIO_GPU_FLAG_FENCE) != 0) {
		expected.flags = asked.flags & known;
		expected.fence_id = asked.fence_id;
		expected.ctx_id = asked.ctx_id;
		expected.ring_idx =
			(expected.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) != 0 ? asked.ring_idx : 0;
	}
	return expected;
}

uint32_t check_reply(struct check *check, const struct check_request *request) {
	struct virtio_gpu_ctrl_hdr hdr;
	if (request->room < sizeof(hdr)) {
		assert_int_equal(request->used_len, 0);
		return CHECK_NONE;
	}
	assert_in_range(request->used_len, sizeof(hdr), request->room);
	memcpy(&hdr, request->reply, sizeof(hdr));
	assert_int_equal(request->used_len, reply_size(hdr.type, request->used_len));
	struct virtio_gpu_ctrl_hdr expected = expected_header(check, request);
	assert_int_equal(hdr.flags, expected.flags);
	assert_int_equal(hdr.fence_id, expected.fence_id);
	assert_int_equal(hdr.ctx_id, expected.ctx_id);
	assert_int_equal(hdr.ring_idx, expected.ring_idx);
	assert_memory_equal(hdr.padding, expected.padding, sizeof(hdr.padding));
	assert_padding(request, hdr.type);
	return hdr.type;
}

uint32_t check_run(struct check *check, struct check_request *request, void *reply, size_t reply_len) {
	check_submit(check, request);
	check_wait(check, request);
	uint32_t type = check_reply(check, request);
	if (reply != NULL) {
		memset(reply, 0, reply_len);
		memcpy(reply, request->reply, request->used_len < reply_len ? request->used_len : reply_len);
	}
	check_release(check, request);
	return type;
}
