/* A guest's Wayland client on a real compositor, over the device process as it is installed, sandbox and all. */
#include <linux/virtio_gpu.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cross_domain/protocol.h"
#include "daemon/process.h"
#include "driver/driver.h"
#include "driver/gpu.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define OK         VIRTIO_GPU_RESP_OK_NODATA
#define CTX        1
#define QUERY      1
#define CHANNEL    2
#define POOL       3
#define WESTON     "/usr/bin/weston"
#define CAPSET_ID  5
#define DISPLAY_ID 1

struct client {
	struct neep_driver *driver;
	struct neep_guest_buffer rings[3]; // by resource
	uint8_t in[65536];                 // what the compositor said
	size_t in_len;
};

static pid_t weston, device;

static void start_weston(void) {
	weston = process_start(WESTON,
		"--backend=headless-backend.so --use-pixman --socket=wayland-t --idle-time=0 --no-config");
}

static int setup(void **state) {
	(void)state;
	folder_enter();
	fd_check_setup(state);
	char folder[128];
	assert_non_null(getcwd(folder, sizeof(folder)));
	chmod(folder, 0700);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	setenv("WAYLAND_DISPLAY", "wayland-t", 1);
	start_weston();
	file_await("wayland-t");
	/* The file is there before anybody listens. */
	close(socket_connect("wayland-t"));
	device = process_start(
		daemon_program(), "--socket-path s --display none --capset-names cross-domain --control c");
	return 0;
}

static int teardown(void **state) {
	kill(weston, SIGTERM);
	process_wait(weston);
	kill(device, SIGTERM);
	process_wait(device);
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static void add_ring(struct client *client, uint32_t resource_id) {
	struct neep_guest_buffer *ring = &client->rings[resource_id];
	assert_int_equal(neep_driver_alloc(client->driver, NEEP_XD_RING_SIZE, ring), 0);
	struct neep_cmd_blob blob = {
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size = NEEP_XD_RING_SIZE,
		.backing = ring,
	};
	assert_int_equal(neep_cmd_create_blob(client->driver, &blob), OK);
	assert_int_equal(neep_cmd_ctx_attach_resource(client->driver, CTX, resource_id), OK);
}

static int submit(struct client *client, const void *bytes, size_t size) {
	return neep_cmd_submit_3d(client->driver, CTX, bytes, (uint32_t)size);
}

static void open_client(struct client *client) {
	struct neep_error error;
	*client = (struct client){ .driver = neep_driver_open("s", &neep_driver_default_options, &error) };
	if (client->driver == NULL) {
		fail_msg("%s", error.text);
	}
	uint32_t capset[NEEP_XD_CAPSET_WORDS];
	assert_int_equal(neep_cmd_get_capset(client->driver, CAPSET_ID, 0, capset, sizeof(capset)),
		VIRTIO_GPU_RESP_OK_CAPSET);
	assert_int_equal(capset[1], 2);
	assert_int_equal(neep_cmd_ctx_create(client->driver, CTX, CAPSET_ID, "test"), OK);
	add_ring(client, QUERY);
	add_ring(client, CHANNEL);
	const uint32_t init[] = { 20 << 16 | NEEP_XD_INIT, 0, QUERY, CHANNEL, 1 };
	assert_int_equal(submit(client, init, sizeof(init)), OK);
}

static void send_words(struct client *client, const uint32_t *words, size_t count, uint32_t blob) {
	uint32_t bytes[NEEP_XD_TRANSFER_SIZE / 4 + 64] = { 0 };
	uint32_t size = (uint32_t)(NEEP_XD_TRANSFER_SIZE + count * 4);
	bytes[0] = size << 16 | NEEP_XD_SEND;
	bytes[2] = blob != 0;
	bytes[3] = (uint32_t)(count * 4);
	bytes[4] = blob;
	bytes[32] = NEEP_XD_ID_BLOB;
	memcpy(bytes + NEEP_XD_TRANSFER_SIZE / 4, words, count * 4);
	assert_int_equal(submit(client, bytes, size), OK);
}

/* POLL and its fence; returns the bytes of the message. */
static uint32_t next_message(struct client *client) {
	struct {
		struct virtio_gpu_cmd_submit cmd;
		uint32_t poll[4];
	} request = {
		.cmd.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
			.fence_id = 1,
			.ctx_id = CTX,
			.ring_idx = NEEP_XD_CHANNEL_RING },
		.cmd.size = 16,
		.poll = { 16 << 16 | NEEP_XD_POLL },
	};
	struct virtio_gpu_ctrl_hdr reply;
	assert_true(neep_driver_call(client->driver, &request, sizeof(request), &reply, sizeof(reply)) > 0);
	assert_int_equal(reply.type, OK);
	const uint8_t *ring = client->rings[CHANNEL].first.host;
	uint32_t words[4];
	memcpy(words, ring, sizeof(words));
	assert_int_equal(words[0], NEEP_XD_RECEIVE);
	assert_true(client->in_len + words[3] <= sizeof(client->in));
	memcpy(client->in + client->in_len, ring + NEEP_XD_TRANSFER_SIZE, words[3]);
	client->in_len += words[3];
	return words[3];
}

/* The event at `at`, or false when it is not there as a whole. */
static bool event_at(const struct client *client, size_t at, uint32_t header[2]) {
	if (client->in_len - at < 8) {
		return false;
	}
	memcpy(header, client->in + at, 8);
	return client->in_len - at >= header[1] >> 16;
}

/* wl_callback.done of `callback`; fails on wl_display.error. */
static bool has_event_of(const struct client *client, uint32_t object) {
	uint32_t header[2];
	for (size_t at = 0; event_at(client, at, header); at += header[1] >> 16) {
		assert_false(header[0] == DISPLAY_ID && (header[1] & 0xffff) == 0);
		if (header[0] == object) {
			return true;
		}
	}
	return false;
}

static void roundtrip(struct client *client, uint32_t callback) {
	const uint32_t sync[] = { DISPLAY_ID, 12 << 16 | 0, callback };
	send_words(client, sync, 3, 0);
	while (!has_event_of(client, callback)) {
		assert_true(next_message(client) > 0);
	}
}

/* The name of a global in the registry, object 2; 0: it is not there. */
static uint32_t find_global(const struct client *client, const char *interface) {
	uint32_t header[2], name, len;
	for (size_t at = 0; event_at(client, at, header); at += header[1] >> 16) {
		if (header[0] != 2) {
			continue;
		}
		memcpy(&name, client->in + at + 8, 4);
		memcpy(&len, client->in + at + 12, 4);
		if (len == strlen(interface) + 1 && memcmp(client->in + at + 16, interface, len) == 0) {
			return name;
		}
	}
	return 0;
}

static void list_globals(struct client *client) {
	const uint32_t get_registry[] = { DISPLAY_ID, 12 << 16 | 1, 2 };
	open_client(client);
	send_words(client, get_registry, 3, 0);
	roundtrip(client, 3);
}

static void close_client(struct client *client) {
	for (uint32_t ring = QUERY; ring <= CHANNEL; ring++) {
		assert_int_equal(neep_cmd_ctx_detach_resource(client->driver, CTX, ring), OK);
		assert_int_equal(neep_cmd_unref(client->driver, ring), OK);
		neep_driver_free(client->driver, &client->rings[ring]);
	}
	assert_int_equal(neep_cmd_ctx_destroy(client->driver, CTX), OK);
	neep_driver_destroy(client->driver);
}

static void globals_of_the_compositor_arrive(void **state) {
	(void)state;
	static struct client client;
	list_globals(&client);
	assert_int_not_equal(find_global(&client, "wl_compositor"), 0);
	assert_int_not_equal(find_global(&client, "wl_shm"), 0);
	assert_int_not_equal(find_global(&client, "xdg_wm_base"), 0);
	close_client(&client);
}

/* Makes a buffer of the host's, seen through the window, and the compositor takes it as memory of wl_shm. */
static void compositor_takes_a_pool_of_the_guest(void **state) {
	(void)state;
	static struct client client;
	list_globals(&client);
	const uint32_t query[] = { 24 << 16 | NEEP_XD_GET_IMAGE_REQUIREMENTS, 0, 8192, 1, 0x20203852, 0x11 };
	assert_int_equal(submit(&client, query, sizeof(query)), OK);
	const uint32_t *reply = client.rings[QUERY].first.host;
	struct neep_cmd_blob blob = {
		.ctx_id = CTX,
		.resource_id = POOL,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = reply[12],
		.size = reply[10],
	};
	uint32_t map_info;
	uint64_t window_size;
	assert_int_equal(neep_cmd_create_blob(client.driver, &blob), OK);
	assert_int_equal(neep_cmd_map_blob(client.driver, POOL, 0, &map_info), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(map_info, VIRTIO_GPU_MAP_CACHE_CACHED);
	memset(neep_driver_window(client.driver, &window_size), 0xff, 8192);
	assert_int_equal(neep_cmd_ctx_attach_resource(client.driver, CTX, POOL), OK);
	/* wl_registry.bind wl_shm as 4; create_pool 5; create_buffer 6: 32 by 32, 128 bytes a row, XRGB8888. */
	const uint32_t bind[] = { 2, 32 << 16 | 0, find_global(&client, "wl_shm"), 7, 0x735f6c77, 0x006d68, 1,
		4 };
	const uint32_t create_pool[] = { 4, 16 << 16 | 0, 5, 8192 };
	const uint32_t create_buffer[] = { 5, 32 << 16 | 0, 6, 0, 32, 32, 128, 1 };
	send_words(&client, bind, 8, 0);
	send_words(&client, create_pool, 4, POOL);
	send_words(&client, create_buffer, 8, 0);
	roundtrip(&client, 7);
	assert_true(has_event_of(&client, 4));
	assert_int_equal(neep_cmd_unmap_blob(client.driver, POOL), OK);
	assert_int_equal(neep_cmd_unref(client.driver, POOL), OK);
	close_client(&client);
}

static void guest_hears_of_the_end_of_the_compositor(void **state) {
	(void)state;
	static struct client client;
	list_globals(&client);
	kill(weston, SIGKILL);
	process_wait(weston);
	while (next_message(&client) > 0) {
	}
	close_client(&client);
	/* The device has not noticed that anything is wrong. */
	start_weston();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(globals_of_the_compositor_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(compositor_takes_a_pool_of_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_hears_of_the_end_of_the_compositor, setup, teardown),
	};
	if (access(WESTON, X_OK) != 0) {
		printf("1..0 # SKIP there is no %s\n", WESTON);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
