/* What one turn of a queue does, on a device in this process: how much, and whom it tells. */
#include <linux/virtio_gpu.h>
#include <string.h>

#include "device/device.h"
#include "rutabaga/api.h"
#include "support/cmocka.h"
#include "support/fake_component.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/guest.h"

#define COMMANDS 8
#define SLOT     4096u
#define ROOM     1024u // behind a command: its reply
/* Long enough to be a turn of its own: 8 MiB, from the same MiB of the guest's over and over. */
#define WIDTH  2048u
#define HEIGHT 1024u
#define PIECES 8u
#define PIECE  (1u << 20)
#define PIXELS 0x200000u // where that lies

struct rig {
	struct guest control, cursor;
	struct rutabaga *rutabaga;
	struct neep_fake *fake;
	struct neep_sink *sink;
	struct neep_device_host host;
	struct neep_device *device;
};

static void fence_done(uint64_t user_data, const struct rutabaga_fence *fence) {
	neep_device_fence_done(((struct rig *)(uintptr_t)user_data)->device, fence);
}

static void resume_queue(struct neep_device_host *host, enum neep_device_queue queue) {
	(void)host;
	(void)queue;
}

static const struct neep_device_host_impl host_impl = { .resume_queue = resume_queue };

static void rig_open(struct rig *rig) {
	const struct guest_options ring = { .size = 512 };
	const struct rutabaga_builder builder = {
		.user_data = (uintptr_t)rig,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = fence_done,
	};
	const struct neep_device_options options = {
		.max_outputs = 1, .xres = 640, .yres = 480, .quota = neep_device_default_quota
	};
	*rig = (struct rig){ .host.impl = &host_impl };
	struct neep_error error;
	neep_log_set_level(NEEP_LOG_ERROR);
	guest_init(&rig->control, &ring);
	guest_init(&rig->cursor, &ring);
	assert_int_equal(neep_fake_rutabaga_init(&builder, &rig->rutabaga), 0);
	assert_true(neep_rutabaga_event_fd(rig->rutabaga) >= 0);
	rig->fake = neep_fake_of(rig->rutabaga);
	rig->sink = neep_sink_create("none", NULL, &error);
	rig->device = neep_device_create(&options, rig->rutabaga, rig->sink, &rig->host, &error);
	assert_non_null(rig->device);
	neep_device_set_features(rig->device, UINT64_MAX);
	neep_device_set_memory(rig->device, rig->control.memory);
	neep_device_set_queue(rig->device, NEEP_DEVICE_CONTROLQ, rig->control.ring);
	neep_device_set_queue(rig->device, NEEP_DEVICE_CURSORQ, rig->cursor.ring);
}

static void rig_close(struct rig *rig) {
	neep_device_set_queue(rig->device, NEEP_DEVICE_CONTROLQ, NULL);
	neep_device_set_queue(rig->device, NEEP_DEVICE_CURSORQ, NULL);
	neep_device_destroy(rig->device);
	neep_sink_destroy(rig->sink);
	assert_int_equal(rutabaga_finish(&rig->rutabaga), 0);
	guest_finish(&rig->cursor);
	guest_finish(&rig->control);
}

/* Offers a command in a slot of its own, with `pieces` times the pixels' memory behind it. */
static void offer(struct guest *guest, uint16_t slot, const void *cmd, size_t len, uint16_t pieces) {
	uint32_t at = GUEST_BUFFER + slot * SLOT;
	uint16_t head = (uint16_t)(slot * (pieces + 2)), next = head;
	memcpy(guest->mem + at, cmd, len);
	guest_set_desc(guest_desc(guest, next), guest_addr(at), (uint32_t)len, VRING_DESC_F_NEXT,
		(uint16_t)(next + 1));
	for (uint16_t i = 0; i < pieces; i++) {
		next++;
		guest_set_desc(guest_desc(guest, next), guest_addr(PIXELS), PIECE, VRING_DESC_F_NEXT,
			(uint16_t)(next + 1));
	}
	next++;
	guest_set_desc(guest_desc(guest, next), guest_addr(at + ROOM), ROOM, VRING_DESC_F_WRITE, 0);
	guest_offer(guest, head);
}

static size_t count_used(struct guest *guest) {
	struct guest_used used;
	size_t count = 0;
	while (guest_take_used(guest, 1, &used)) {
		count++;
	}
	return count;
}

/* Runs one command and asserts that it did what it said. */
static void run(struct rig *rig, const void *cmd, size_t len) {
	offer(&rig->control, 0, cmd, len, 0);
	assert_true(neep_device_run_queue(rig->device, NEEP_DEVICE_CONTROLQ));
	assert_int_equal(count_used(&rig->control), 1);
	struct virtio_gpu_ctrl_hdr reply;
	memcpy(&reply, rig->control.mem + GUEST_BUFFER + ROOM, sizeof(reply));
	assert_int_equal(reply.type, VIRTIO_GPU_RESP_OK_NODATA);
}

static void make_context(struct rig *rig) {
	const struct virtio_gpu_ctx_create create = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = 1 },
		.context_init = NEEP_FAKE_CAPSET,
	};
	run(rig, &create, sizeof(create));
}

/* Resource 1, as programs of the guest can make it. */
static void make_image(struct rig *rig) {
	const struct virtio_gpu_resource_create_3d create = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
		.resource_id = 1,
		.target = 2,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.bind = 2,
		.width = WIDTH,
		.height = HEIGHT,
		.depth = 1,
		.array_size = 1,
		.flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
	};
	struct {
		struct virtio_gpu_resource_attach_backing cmd;
		struct virtio_gpu_mem_entry entries[PIECES];
	} attach = {
		.cmd = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
			.resource_id = 1,
			.nr_entries = PIECES },
	};
	for (size_t i = 0; i < PIECES; i++) {
		attach.entries[i] =
			(struct virtio_gpu_mem_entry){ .addr = guest_addr(PIXELS), .length = PIECE };
	}
	run(rig, &create, sizeof(create));
	run(rig, &attach, sizeof(attach));
}

/* Each of the commands is a turn, and the other queue gets its own in between. */
static void assert_turns(struct rig *rig) {
	for (size_t i = 0; i < COMMANDS; i++) {
		assert_true(neep_device_run_queue(rig->device, NEEP_DEVICE_CONTROLQ));
		assert_int_equal(count_used(&rig->control), 1);
	}
	assert_false(neep_device_run_queue(rig->device, NEEP_DEVICE_CONTROLQ));
}

static void turn_ends_when_transfers_have_copied_enough(void **state) {
	static const uint32_t types[] = { VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D };
	(void)state;
	struct rig rig;
	rig_open(&rig);
	make_image(&rig);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(types); i++) {
		const struct virtio_gpu_transfer_to_host_2d flat = {
			.hdr.type = types[i], .r = { .width = WIDTH, .height = HEIGHT }, .resource_id = 1
		};
		const struct virtio_gpu_transfer_host_3d deep = {
			.hdr.type = types[i], .box = { .w = WIDTH, .h = HEIGHT, .d = 1 }, .resource_id = 1
		};
		bool is_flat = types[i] == VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D;
		for (uint16_t slot = 0; slot < COMMANDS; slot++) {
			offer(&rig.control, slot, is_flat ? (const void *)&flat : &deep,
				is_flat ? sizeof(flat) : sizeof(deep), 0);
		}
		assert_turns(&rig);
	}
	rig_close(&rig);
}

static void turn_ends_when_streams_have_copied_enough(void **state) {
	(void)state;
	struct rig rig;
	rig_open(&rig);
	make_context(&rig);
	const struct virtio_gpu_cmd_submit submit = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1 }, .size = 4 * PIECE
	};
	/* Two make a turn. */
	for (uint16_t slot = 0; slot < COMMANDS; slot++) {
		offer(&rig.control, slot, &submit, sizeof(submit), 4);
	}
	for (size_t i = 0; i < COMMANDS / 2; i++) {
		assert_true(neep_device_run_queue(rig.device, NEEP_DEVICE_CONTROLQ));
		assert_int_equal(count_used(&rig.control), 2);
	}
	rig_close(&rig);
}

/* A cursor command that waits for a context leaves with it, in a turn of the control queue. */
static void both_queues_interrupt_when_a_turn_of_one_answers_on_both(void **state) {
	(void)state;
	struct rig rig;
	rig_open(&rig);
	make_context(&rig);
	neep_fake_hold(rig.fake, 1, NEEP_FAKE_ALL_RINGS, true);
	const struct virtio_gpu_update_cursor move = {
		.hdr = { .type = VIRTIO_GPU_CMD_MOVE_CURSOR,
			.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
			.ctx_id = 1 },
	};
	offer(&rig.cursor, 0, &move, sizeof(move), 0);
	assert_true(neep_device_run_queue(rig.device, NEEP_DEVICE_CURSORQ));
	assert_int_equal(count_used(&rig.cursor), 0);
	guest_interrupted(&rig.cursor);
	const struct virtio_gpu_ctx_destroy destroy = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = 1 },
	};
	run(&rig, &destroy, sizeof(destroy));
	assert_int_equal(count_used(&rig.cursor), 1);
	assert_true(guest_interrupted(&rig.cursor));
	rig_close(&rig);
}

/* Such go back unused, some at a time; nobody kicks again for what stands behind them. */
static void command_is_done_when_it_stands_behind_many_malformed_ones(void **state) {
	enum { MALFORMED = 300 };
	(void)state;
	struct rig rig;
	rig_open(&rig);
	for (uint16_t i = 0; i < MALFORMED; i++) {
		guest_set_desc(guest_desc(&rig.cursor, (uint16_t)(i + 2)), guest_addr(GUEST_BUFFER), 0, 0, 0);
		guest_offer(&rig.cursor, (uint16_t)(i + 2));
	}
	const struct virtio_gpu_update_cursor move = { .hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR };
	offer(&rig.cursor, 0, &move, sizeof(move), 0);
	while (neep_device_run_queue(rig.device, NEEP_DEVICE_CURSORQ)) {
	}
	assert_int_equal(count_used(&rig.cursor), MALFORMED + 1);
	rig_close(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turn_ends_when_transfers_have_copied_enough),
		cmocka_unit_test(turn_ends_when_streams_have_copied_enough),
		cmocka_unit_test(both_queues_interrupt_when_a_turn_of_one_answers_on_both),
		cmocka_unit_test(command_is_done_when_it_stands_behind_many_malformed_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
