/* A program as one built against the headers of 0.1.2 looks to the library: it knows nothing of ours, its builder ends
 * with channels, its command with cmd, and behind both lies memory that faults. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "guarded.h"

struct rutabaga;

struct rutabaga_fence {
	uint32_t flags;
	uint64_t fence_id;
	uint32_t ctx_id;
	uint32_t ring_idx;
};

struct rutabaga_debug {
	uint32_t debug_type;
	const char *message;
};

struct rutabaga_channel {
	const char *channel_name;
	uint32_t channel_type;
};

struct rutabaga_channels {
	struct rutabaga_channel *channels;
	size_t num_channels;
};

struct rutabaga_builder {
	uint64_t user_data;
	uint64_t capset_mask;
	uint64_t wsi;
	void (*fence_cb)(uint64_t user_data, const struct rutabaga_fence *fence);
	void (*debug_cb)(uint64_t user_data, const struct rutabaga_debug *debug);
	struct rutabaga_channels *channels;
};
_Static_assert(sizeof(struct rutabaga_builder) == 48, "the builder of 0.1.2");

struct rutabaga_create_3d {
	uint32_t target, format, bind, width, height, depth, array_size, last_level, nr_samples, flags;
};

struct rutabaga_create_blob {
	uint32_t blob_mem, blob_flags;
	uint64_t blob_id, size;
};

struct rutabaga_handle;

struct rutabaga_transfer {
	uint32_t x, y, z, w, h, d, level, stride, layer_stride;
	uint64_t offset;
};

struct rutabaga_iovecs {
	struct iovec *iovecs;
	size_t num_iovecs;
};

struct rutabaga_command {
	uint32_t ctx_id;
	uint32_t cmd_size;
	uint8_t *cmd;
};

int32_t rutabaga_init(const struct rutabaga_builder *builder, struct rutabaga **ptr);
int32_t rutabaga_finish(struct rutabaga **ptr);
int32_t rutabaga_get_num_capsets(struct rutabaga *ptr, uint32_t *num_capsets);
int32_t rutabaga_resource_create_3d(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_create_3d *create_3d);
int32_t rutabaga_resource_attach_backing(
	struct rutabaga *ptr, uint32_t resource_id, const struct rutabaga_iovecs *iovecs);
int32_t rutabaga_resource_transfer_write(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer);
int32_t rutabaga_resource_transfer_read(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_transfer *transfer, const struct iovec *iovec);
int32_t rutabaga_resource_create_blob(struct rutabaga *ptr, uint32_t ctx_id, uint32_t resource_id,
	const struct rutabaga_create_blob *create_blob, const struct rutabaga_iovecs *iovecs,
	const struct rutabaga_handle *handle);
int32_t rutabaga_resource_unref(struct rutabaga *ptr, uint32_t resource_id);
int32_t rutabaga_submit_command(struct rutabaga *ptr, struct rutabaga_command *cmd);
int32_t rutabaga_create_fence(struct rutabaga *ptr, const struct rutabaga_fence *fence);

static int count, fences;

static void check(int ok, const char *what) {
	printf("%sok %d - %s\n", ok ? "" : "not ", ++count, what);
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	fences += user_data == 5 && fence->fence_id == UINT64_C(0x100000001) && fence->ring_idx == 0;
}

static void on_debug(uint64_t user_data, const struct rutabaga_debug *debug) {
	(void)user_data;
	printf("# %u %s\n", debug->debug_type, debug->message);
}

/* The calls of QEMU's device for a 2D guest. */
static void draw(struct rutabaga *rutabaga) {
	uint32_t pixels[16 * 8], back[16 * 8] = { 0 };
	for (uint32_t i = 0; i < 16 * 8; i++) {
		pixels[i] = i + 1;
	}
	struct iovec iov = { pixels, sizeof(pixels) }, out = { back, sizeof(back) };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	struct rutabaga_create_3d create = { 2, 2, 2, 16, 8, 1, 1, 0, 0, 1 };
	struct rutabaga_transfer part = { .x = 4, .y = 2, .w = 3, .h = 2, .d = 1 };
	struct rutabaga_transfer all = { .w = 16, .h = 8, .d = 1 };
	check(rutabaga_resource_create_3d(rutabaga, 1, guarded_copy(&create, sizeof(create))) == 0, "create");
	check(rutabaga_resource_attach_backing(rutabaga, 1, &iovecs) == 0, "attach");
	check(rutabaga_resource_transfer_write(rutabaga, 0, 1, guarded_copy(&part, sizeof(part))) == 0,
		"write");
	check(rutabaga_resource_transfer_read(rutabaga, 0, 1, guarded_copy(&all, sizeof(all)), &out) == 0,
		"read");
	int good = 1;
	for (uint32_t y = 0; y < 8; y++) {
		for (uint32_t x = 0; x < 16; x++) {
			int inside = x >= 4 && x < 7 && y >= 2 && y < 4;
			good = good && back[y * 16 + x] == (inside ? pixels[y * 16 + x] : 0);
		}
	}
	check(good, "the rectangle and nothing else came through");
	check(rutabaga_resource_unref(rutabaga, 1) == 0, "unref");
}

/* A blob of the guest's memory; all that the call is given lies before memory that faults. */
static void share(struct rutabaga *rutabaga) {
	static char page[4096];
	struct iovec iov = { page, sizeof(page) };
	struct rutabaga_iovecs iovecs = { guarded_copy(&iov, sizeof(iov)), 1 };
	struct rutabaga_create_blob create = { .blob_mem = 1, .size = sizeof(page) };
	check(rutabaga_resource_create_blob(rutabaga, 0, 2, guarded_copy(&create, sizeof(create)),
		      guarded_copy(&iovecs, sizeof(iovecs)), NULL) == 0,
		"create a blob");
	check(rutabaga_resource_unref(rutabaga, 2) == 0, "unref the blob");
}

int main(void) {
	struct rutabaga_channel channel = { "/nowhere", 1 };
	struct rutabaga_channels channels = { guarded_copy(&channel, sizeof(channel)), 1 };
	struct rutabaga_builder builder = { 5, 0, 1, on_fence, on_debug,
		guarded_copy(&channels, sizeof(channels)) };
	struct rutabaga_fence fence = { 1, UINT64_C(0x100000001), 0, 0 };
	struct rutabaga_command command = { 9, 4, (uint8_t *)"nop" };
	struct rutabaga *rutabaga = NULL;
	uint32_t capsets = 9;
	check(rutabaga_init(guarded_copy(&builder, sizeof(builder)), &rutabaga) == 0,
		"init with the short builder");
	check(rutabaga_get_num_capsets(rutabaga, &capsets) == 0 && capsets == 0, "no capsets");
	draw(rutabaga);
	share(rutabaga);
	check(rutabaga_submit_command(rutabaga, guarded_copy(&command, sizeof(command))) < 0,
		"submit of the short command to no context");
	check(rutabaga_create_fence(rutabaga, guarded_copy(&fence, sizeof(fence))) == 0 && fences == 1,
		"fence");
	check(rutabaga_finish(&rutabaga) == 0 && rutabaga == NULL, "finish");
	/* What the next word in memory is must not matter either. */
	struct {
		struct rutabaga_builder builder;
		uint64_t garbage;
	} on_stack = { builder, UINT64_MAX };
	check(rutabaga_init(&on_stack.builder, &rutabaga) == 0, "init with garbage behind the builder");
	check(rutabaga_finish(&rutabaga) == 0, "finish");
	printf("1..%d\n", count);
	return 0;
}
