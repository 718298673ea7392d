/* What the public test of the published library does with cross-domain, against its header alone: a capset, a context,
 * buffers of many sizes, a fence that waits. Prints TAP. */
#include <pthread.h>
#include <rutabaga_gfx/rutabaga_gfx_ffi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE         4096
#define QUERY_RING   1
#define CHANNEL_RING 2
#define BUFFER       3
#define CTX          1
#define SIZE_STEP    512
#define SIZE_MAX_PX  2048

struct init {
	uint32_t header[2];
	uint32_t query_ring;
	uint32_t channel_ring;
	uint32_t channel_type;
};

struct query {
	uint32_t header[2];
	uint32_t width;
	uint32_t height;
	uint32_t format;
	uint32_t flags;
};

struct requirements {
	uint32_t strides[4];
	uint32_t offsets[4];
	uint64_t modifier;
	uint64_t size;
	uint32_t blob_id;
	uint32_t map_info;
	int32_t unused[2];
};

static struct rutabaga *rutabaga;
static uint8_t *rings[3];
static _Atomic uint64_t last_fence;
static int count, failures;

static void check(int ok, const char *what) {
	printf("%sok %d - %s\n", ok ? "" : "not ", ++count, what);
	failures += !ok;
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	(void)user_data;
	atomic_store(&last_fence, fence->fence_id);
}

static int listen_at(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ? -1 : fd;
}

static int build(const char *path) {
	struct rutabaga_channel channel = { path, RUTABAGA_CHANNEL_TYPE_WAYLAND };
	struct rutabaga_channels channels = { &channel, 1 };
	struct rutabaga_builder builder = {
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.channels = &channels,
	};
	if (rutabaga_calculate_capset_mask("cross-domain", &builder.capset_mask) != 0) {
		return -1;
	}
	return rutabaga_init(&builder, &rutabaga);
}

static int submit(void *command, uint32_t size) {
	struct rutabaga_command submitted = { .ctx_id = CTX, .cmd = command, .cmd_size = size };
	return rutabaga_submit_command(rutabaga, &submitted);
}

static int fence(uint32_t ring_idx, uint64_t fence_id) {
	struct rutabaga_fence created = {
		.flags = RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX,
		.fence_id = fence_id,
		.ctx_id = CTX,
		.ring_idx = ring_idx,
	};
	return rutabaga_create_fence(rutabaga, &created);
}

static int make_ring(uint32_t resource_id) {
	rings[resource_id] = aligned_alloc(PAGE, PAGE);
	memset(rings[resource_id], 0, PAGE);
	struct iovec iov = { rings[resource_id], PAGE };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_GUEST,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
		.size = PAGE,
	};
	int rc = rutabaga_resource_create_blob(rutabaga, 0, resource_id, &create, &iovecs, NULL);
	return rc != 0 ? rc : rutabaga_context_attach_resource(rutabaga, CTX, resource_id);
}

static int use_buffer(const struct requirements *reply) {
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE | RUTABAGA_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = reply->blob_id,
		.size = reply->size,
	};
	struct rutabaga_handle handle;
	uint32_t map_info = 0;
	if (rutabaga_resource_create_blob(rutabaga, CTX, BUFFER, &create, NULL, NULL) != 0 ||
		rutabaga_context_attach_resource(rutabaga, CTX, BUFFER) != 0 ||
		rutabaga_resource_map_info(rutabaga, BUFFER, &map_info) != 0 || map_info == 0 ||
		rutabaga_resource_export_blob(rutabaga, BUFFER, &handle) != 0) {
		return -1;
	}
	close((int)handle.os_handle);
	return rutabaga_context_detach_resource(rutabaga, CTX, BUFFER) |
	       rutabaga_resource_unref(rutabaga, BUFFER);
}

static int one_size(uint32_t width, uint32_t height, uint64_t fence_id) {
	struct requirements reply;
	struct query query = { { 24 << 16 | 2, 0 }, width, height, 0x34325258, 0x11 };
	if (submit(&query, sizeof(query)) != 0 || fence(0, fence_id) != 0 ||
		atomic_load(&last_fence) != fence_id) {
		return -1;
	}
	memcpy(&reply, rings[QUERY_RING], sizeof(reply));
	return reply.strides[0] < width * 4 ? -1 : use_buffer(&reply);
}

static int all_sizes(void) {
	uint64_t fence_id = 0;
	for (uint32_t width = 0; width <= SIZE_MAX_PX; width += SIZE_STEP) {
		for (uint32_t height = 0; height <= SIZE_MAX_PX; height += SIZE_STEP) {
			if (one_size(width, height, ++fence_id) != 0) {
				return -1;
			}
		}
	}
	return 0;
}

/* Gives up after a minute or more. */
static void await_fence(uint64_t fence_id) {
	for (int i = 0; i < 60000 && atomic_load(&last_fence) != fence_id; i++) {
		usleep(1000);
	}
}

static int poll_waits(int listen_fd) {
	uint32_t command[4] = { 16 << 16 | 3 };
	int host = accept(listen_fd, NULL, NULL);
	int ok = submit(command, sizeof(command)) == 0 && fence(1, 1000) == 0;
	usleep(10000);
	ok = ok && atomic_load(&last_fence) != 1000 && write(host, "event", 5) == 5;
	await_fence(1000);
	ok = ok && atomic_load(&last_fence) == 1000 && memcmp(rings[CHANNEL_RING] + 352, "event", 5) == 0;
	ok = ok && submit(command, sizeof(command)) == 0 && fence(1, 1001) == 0;
	close(host);
	await_fence(1001);
	return ok && atomic_load(&last_fence) == 1001 ? 0 : -1;
}

static int finish(void) {
	int rc = fence(1, 1002);
	for (uint32_t id = QUERY_RING; id <= CHANNEL_RING; id++) {
		rc |= rutabaga_context_detach_resource(rutabaga, CTX, id) |
		      rutabaga_resource_unref(rutabaga, id);
		free(rings[id]);
	}
	rc |= rutabaga_context_destroy(rutabaga, CTX);
	rc |= atomic_load(&last_fence) != 1002;
	return rc | rutabaga_finish(&rutabaga);
}

int main(void) {
	char folder[] = "/tmp/neep-ffi-XXXXXX", path[64];
	uint32_t capset[4] = { 0 };
	struct init init = { { sizeof(init) << 16 | 1, 0 }, QUERY_RING, CHANNEL_RING, 1 };
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	snprintf(path, sizeof(path), "%s/wayland", folder);
	int listen_fd = listen_at(path);
	check(listen_fd >= 0 && build(path) == 0, "init with a socket");
	check(rutabaga_get_capset(rutabaga, 5, 0, (uint8_t *)capset, sizeof(capset)) == 0 && capset[0] == 1,
		"capset version 1");
	check(rutabaga_context_create(rutabaga, CTX, 5, "test", 4) == 0, "context");
	check(make_ring(QUERY_RING) == 0 && make_ring(CHANNEL_RING) == 0, "rings");
	check(submit(&init, sizeof(init)) == 0, "INIT");
	check(all_sizes() == 0, "requirements and buffers of all sizes");
	check(poll_waits(listen_fd) == 0, "POLL waits for the compositor, and for its end");
	check(finish() == 0, "rings, then context, end");
	close(listen_fd);
	unlink(path);
	rmdir(folder);
	printf("1..%d\n", count);
	return failures != 0;
}
