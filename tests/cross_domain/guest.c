#include "guest.h"

#include <linux/virtio_gpu.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/process.h"
#include "driver/gpu.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define OK        VIRTIO_GPU_RESP_OK_NODATA
#define CTX       1
#define QUERY     1
#define CHANNEL   2
#define CAPSET_ID 5
/* Each blob has as much of the window. */
#define BLOB_MAX (1 << 20)

pid_t guest_device_start(const char *words) {
	char all[512];
	snprintf(all, sizeof(all),
		"--socket-path s --keep-listening --display none --capset-names cross-domain %s", words);
	return process_start(daemon_program(), all);
}

static void stop(pid_t pid) {
	kill(pid, SIGTERM);
	process_wait(pid);
}

int guest_device_stop(void **state, pid_t device, pid_t server) {
	if (server > 0) {
		stop(server);
	}
	stop(device);
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static void submit(struct guest *guest, const void *bytes, size_t size) {
	assert_int_equal(neep_cmd_submit_3d(guest->driver, CTX, bytes, (uint32_t)size), OK);
}

static void add_ring(struct guest *guest, uint32_t resource_id) {
	struct neep_guest_buffer *ring = &guest->rings[resource_id];
	assert_int_equal(neep_driver_alloc(guest->driver, NEEP_XD_RING_SIZE, ring), 0);
	struct neep_cmd_blob blob = {
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size = NEEP_XD_RING_SIZE,
		.backing = ring,
	};
	assert_int_equal(neep_cmd_create_blob(guest->driver, &blob), OK);
	assert_int_equal(neep_cmd_ctx_attach_resource(guest->driver, CTX, resource_id), OK);
}

void guest_open(struct guest *guest, uint32_t channel_type) {
	struct neep_error error;
	*guest = (struct guest){
		.driver = neep_driver_open("s", &neep_driver_default_options, &error),
		.in = malloc(GUEST_IN_MAX),
	};
	if (guest->driver == NULL) {
		fail_msg("%s", error.text);
	}
	uint32_t capset[NEEP_XD_CAPSET_WORDS];
	assert_int_equal(neep_cmd_get_capset(guest->driver, CAPSET_ID, 0, capset, sizeof(capset)),
		VIRTIO_GPU_RESP_OK_CAPSET);
	assert_true((capset[NEEP_XD_CAPSET_CHANNELS] >> channel_type & 1) != 0);
	assert_int_equal(neep_cmd_ctx_create(guest->driver, CTX, CAPSET_ID, "test"), OK);
	add_ring(guest, QUERY);
	add_ring(guest, CHANNEL);
	const uint32_t init[] = { NEEP_XD_INIT_SIZE << 16 | NEEP_XD_INIT, 0, QUERY, CHANNEL, channel_type };
	submit(guest, init, sizeof(init));
}

void guest_close(struct guest *guest) {
	for (uint32_t i = 0; i < guest->blob_count; i++) {
		if ((guest->mapped >> i & 1) != 0) {
			assert_int_equal(neep_cmd_unmap_blob(guest->driver, GUEST_BLOB_ID + i), OK);
		}
		assert_int_equal(neep_cmd_unref(guest->driver, GUEST_BLOB_ID + i), OK);
	}
	for (uint32_t ring = QUERY; ring <= CHANNEL; ring++) {
		assert_int_equal(neep_cmd_ctx_detach_resource(guest->driver, CTX, ring), OK);
		assert_int_equal(neep_cmd_unref(guest->driver, ring), OK);
		neep_driver_free(guest->driver, &guest->rings[ring]);
	}
	assert_int_equal(neep_cmd_ctx_destroy(guest->driver, CTX), OK);
	neep_driver_destroy(guest->driver);
	free(guest->in);
}

int guest_try_send(
	struct guest *guest, const void *data, size_t len, const struct guest_id *ids, size_t count) {
	static uint8_t bytes[NEEP_XD_TRANSFER_SIZE + GUEST_PAGE];
	uint32_t words[NEEP_XD_TRANSFER_SIZE / 4] = { 0 };
	assert_true(len <= GUEST_PAGE && count <= NEEP_XD_IDS_MAX);
	words[0] = (uint32_t)(NEEP_XD_TRANSFER_SIZE + len) << 16 | NEEP_XD_SEND;
	words[NEEP_XD_TRANSFER_COUNT / 4] = (uint32_t)count;
	words[NEEP_XD_TRANSFER_LEN / 4] = (uint32_t)len;
	for (size_t i = 0; i < count; i++) {
		words[NEEP_XD_TRANSFER_IDS / 4 + i] = ids[i].id;
		words[NEEP_XD_TRANSFER_TYPES / 4 + i] = ids[i].type;
	}
	memcpy(bytes, words, sizeof(words));
	memcpy(bytes + NEEP_XD_TRANSFER_SIZE, data, len);
	return neep_cmd_submit_3d(guest->driver, CTX, bytes, (uint32_t)(NEEP_XD_TRANSFER_SIZE + len));
}

void guest_send(struct guest *guest, const void *data, size_t len, const struct guest_id *ids, size_t count) {
	assert_int_equal(guest_try_send(guest, data, len, ids, count), OK);
}

/* POLL, and the fence that completes when the ring has been written. */
static void poll_channel(struct guest *guest) {
	struct {
		struct virtio_gpu_cmd_submit cmd;
		uint32_t poll[NEEP_XD_POLL_SIZE / 4];
	} request = {
		.cmd.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
			.fence_id = 1,
			.ctx_id = CTX,
			.ring_idx = NEEP_XD_CHANNEL_RING },
		.cmd.size = NEEP_XD_POLL_SIZE,
		.poll = { NEEP_XD_POLL_SIZE << 16 | NEEP_XD_POLL },
	};
	struct virtio_gpu_ctrl_hdr reply;
	assert_true(neep_driver_call(guest->driver, &request, sizeof(request), &reply, sizeof(reply)) > 0);
	assert_int_equal(reply.type, OK);
}

uint32_t guest_receive(struct guest *guest) {
	poll_channel(guest);
	const uint8_t *ring = guest->rings[CHANNEL].first.host;
	uint32_t words[NEEP_XD_TRANSFER_SIZE / 4];
	memcpy(words, ring, sizeof(words));
	assert_int_equal(words[0], NEEP_XD_RECEIVE);
	uint32_t count = words[NEEP_XD_TRANSFER_COUNT / 4], len = words[NEEP_XD_TRANSFER_LEN / 4];
	assert_true(guest->id_count + count <= NEEP_XD_IDS_MAX);
	assert_true(len <= GUEST_IN_MAX - guest->in_len);
	for (uint32_t i = 0; i < count; i++) {
		guest->ids[guest->id_count++] = (struct guest_id){
			.id = words[NEEP_XD_TRANSFER_IDS / 4 + i],
			.type = words[NEEP_XD_TRANSFER_TYPES / 4 + i],
			.size = words[NEEP_XD_TRANSFER_SIZES / 4 + i],
		};
	}
	memcpy(guest->in + guest->in_len, ring + NEEP_XD_TRANSFER_SIZE, len);
	guest->in_len += len;
	return len;
}

void guest_need(struct guest *guest, size_t len) {
	while (guest->in_len < len) {
		assert_true(guest_receive(guest) > 0);
	}
}

void guest_take(struct guest *guest, size_t len) {
	assert_true(len <= guest->in_len);
	guest->in_len -= len;
	memmove(guest->in, guest->in + len, guest->in_len);
}

void guest_await_end(struct guest *guest) {
	while (guest_receive(guest) > 0) {
		guest_take(guest, guest->in_len);
	}
}

struct guest_id guest_memory(struct guest *guest, uint32_t len) {
	/* One row of single bytes. */
	const uint32_t query[] = { NEEP_XD_REQUIREMENTS_SIZE << 16 | NEEP_XD_GET_IMAGE_REQUIREMENTS, 0, len,
		1, 0x20203852, 0x11 };
	submit(guest, query, sizeof(query));
	uint32_t reply[NEEP_XD_REPLY_LEN / 4];
	memcpy(reply, guest->rings[QUERY].first.host, sizeof(reply));
	return (struct guest_id){
		.id = reply[NEEP_XD_REPLY_BLOB_ID / 4],
		.type = NEEP_XD_ID_BLOB,
		.size = reply[NEEP_XD_REPLY_SIZE / 4],
	};
}

uint32_t guest_blob(struct guest *guest, const struct guest_id *memory) {
	uint32_t resource_id = GUEST_BLOB_ID + guest->blob_count++;
	assert_int_equal(memory->type, NEEP_XD_ID_BLOB);
	assert_in_range(memory->size, 1, BLOB_MAX);
	struct neep_cmd_blob blob = {
		.ctx_id = CTX,
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = memory->id,
		.size = (memory->size + GUEST_PAGE - 1) / GUEST_PAGE * GUEST_PAGE,
	};
	assert_int_equal(neep_cmd_create_blob(guest->driver, &blob), OK);
	assert_int_equal(neep_cmd_ctx_attach_resource(guest->driver, CTX, resource_id), OK);
	return resource_id;
}

uint8_t *guest_map(struct guest *guest, uint32_t resource_id) {
	uint32_t number = resource_id - GUEST_BLOB_ID, map_info;
	uint64_t offset = (uint64_t)number * BLOB_MAX, window_size;
	assert_in_range(number, 0, 31);
	assert_int_equal(neep_cmd_map_blob(guest->driver, resource_id, offset, &map_info),
		VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(map_info, VIRTIO_GPU_MAP_CACHE_CACHED);
	guest->mapped |= UINT32_C(1) << number;
	return (uint8_t *)neep_driver_window(guest->driver, &window_size) + offset;
}
