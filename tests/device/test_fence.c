/* Fences, checks 100 to 112: what a fenced reply promises, on the global timeline and on rings of contexts.
 *
 * Context STEER makes the fake component hold and complete fences of the others. */
#include "device/harness.h"
#include "device/threed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

#define STEER 63

static struct check *open_with_contexts(uint32_t first, uint32_t count) {
	struct check_options options = check_3d_options(0);
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, STEER, NEEP_FAKE_CAPSET), CHECK_OK);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(check_ctx_create(check, first + i, NEEP_FAKE_CAPSET), CHECK_OK);
	}
	return check;
}

static void check_100_fence_id_is_echoed_exactly_whatever_it_is(void **state) {
	static const uint64_t ids[] = { 0, 1, (UINT64_C(1) << 32) + 5, UINT64_MAX };
	(void)state;
	struct check *check = check_open(NULL);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		struct check_fenced fenced;
		struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
		check_fence_set(&cmd, 77, CHECK_GLOBAL, ids[i]);
		check_fenced_send(check, &fenced, &cmd, sizeof(cmd));
		assert_int_equal(check_fenced_finish(check, &fenced), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	check_close(check);
}

static uint32_t send_zeros(struct check *check, uint32_t type, size_t len, uint64_t fence_id) {
	struct check_fenced fenced;
	uint8_t cmd[128] = { 0 };
	struct virtio_gpu_ctrl_hdr hdr = { .type = type };
	check_fence_set(&hdr, 5, CHECK_GLOBAL, fence_id);
	memcpy(cmd, &hdr, sizeof(hdr));
	check_fenced_send(check, &fenced, cmd, len);
	return check_fenced_finish(check, &fenced);
}

static void check_101_fence_is_echoed_by_every_command_when_it_fails_and_when_it_succeeds(void **state) {
	(void)state;
	struct check_options options = check_3d_options(1 << 20);
	struct check *check = check_open(&options);
	for (uint32_t type = 0x00ff; type <= 0x020b; type++) {
		uint32_t whole = send_zeros(check, type, 128, type);
		uint32_t cut = send_zeros(check, type, sizeof(struct virtio_gpu_ctrl_hdr), type);
		bool is_known = (type >= 0x0100 && type <= 0x010d) || (type >= 0x0200 && type <= 0x0209);
		assert_true(is_known || whole == CHECK_UNSPEC);
		assert_true(is_known || cut == CHECK_UNSPEC);
	}
	assert_int_equal(send_zeros(check, VIRTIO_GPU_CMD_UPDATE_CURSOR, 56, 1), CHECK_UNSPEC);
	check_close(check);
}

static void check_101_fence_is_echoed_when_the_command_is_on_the_cursor_queue(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_update_cursor cmd = { .hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR };
	check_fence_set(&cmd.hdr, 0, CHECK_GLOBAL, 99);
	struct check_request request = {
		.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 24
	};
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_OK);
	cmd.pos.scanout_id = 99;
	request = (struct check_request){
		.queue = NEEP_DRIVER_CURSORQ, .cmd = &cmd, .cmd_len = sizeof(cmd), .room = 24
	};
	assert_int_equal(check_run(check, &request, NULL, 0), CHECK_BAD_SCANOUT);
	check_close(check);
}

/* The younger one's work is done first; its reply must not come first. */
static void answers_in_order(uint32_t ctx_id, int ring) {
	struct check *check = open_with_contexts(1, 1);
	struct check_fenced slow, quick;
	check_hold(check, STEER, ctx_id, ring, true);
	check_fenced_stream(check, &slow, 1, ring, 10);
	check_fenced_stream(check, &quick, 1, ring, 11);
	const uint32_t operands[] = { ctx_id, ring == CHECK_GLOBAL ? NEEP_FAKE_GLOBAL : (uint32_t)ring };
	assert_int_equal(check_fake_op(check, STEER, NEEP_FAKE_OP_COMPLETE_LAST, operands, 2), CHECK_OK);
	check_fenced_waits(check, &quick);
	check_fenced_waits(check, &slow);
	check_complete(check, STEER, ctx_id, ring, 1);
	assert_int_equal(check_fenced_finish(check, &quick), CHECK_OK);
	assert_int_equal(check_fenced_finish(check, &slow), CHECK_OK);
	assert_true(slow.request.sequence < quick.request.sequence);
	check_close(check);
}

static void check_102_reply_keeps_its_place_when_the_later_work_is_done_first(void **state) {
	(void)state;
	answers_in_order(0, CHECK_GLOBAL);
}

static void check_102_reply_keeps_its_place_when_it_is_on_a_ring(void **state) {
	(void)state;
	answers_in_order(1, 3);
}

struct place {
	uint32_t ctx_id;
	int ring;
};

/* A fence is pending on one timeline; fences of the other come and go without it. */
static void runs_beside(struct place held, struct place free) {
	struct check *check = open_with_contexts(1, 2);
	struct check_fenced pending, beside;
	check_hold(check, STEER, held.ctx_id, held.ring, true);
	check_fenced_stream(check, &pending, held.ctx_id, held.ring, 10);
	check_fenced_stream(check, &beside, free.ctx_id, free.ring, 12);
	assert_int_equal(check_fenced_finish(check, &beside), CHECK_OK);
	check_fenced_waits(check, &pending);
	/* Also when it comes late. */
	check_hold(check, STEER, free.ctx_id, free.ring, true);
	check_fenced_stream(check, &beside, free.ctx_id, free.ring, 14);
	check_complete(check, STEER, free.ctx_id, free.ring, NEEP_FAKE_ALL);
	assert_int_equal(check_fenced_finish(check, &beside), CHECK_OK);
	check_fenced_waits(check, &pending);
	check_complete(check, STEER, held.ctx_id, held.ring, 1);
	assert_int_equal(check_fenced_finish(check, &pending), CHECK_OK);
	check_close(check);
}

static void check_103_fence_overtakes_when_it_is_on_another_ring_of_the_context(void **state) {
	(void)state;
	runs_beside((struct place){ 1, 1 }, (struct place){ 1, 2 });
}

static void check_103_fence_overtakes_when_it_is_of_another_context(void **state) {
	(void)state;
	runs_beside((struct place){ 1, 1 }, (struct place){ 2, 63 });
}

static void check_104_fence_of_another_context_on_the_same_ring_number_completes_nothing(void **state) {
	(void)state;
	runs_beside((struct place){ 1, 1 }, (struct place){ 2, 1 });
}

static void check_105_ring_0_of_a_context_is_not_the_global_timeline(void **state) {
	(void)state;
	runs_beside((struct place){ 1, 0 }, (struct place){ 1, CHECK_GLOBAL });
}

static void check_105_global_timeline_is_not_ring_0_of_a_context(void **state) {
	(void)state;
	runs_beside((struct place){ 1, CHECK_GLOBAL }, (struct place){ 1, 0 });
}

static void check_106_fence_is_refused_at_once_when_its_ring_does_not_exist(void **state) {
	static const struct {
		struct place place;
		uint32_t resp;
	} cases[] = {
		{ { 1, 64 }, CHECK_BAD_PARAMETER },
		{ { 1, 255 }, CHECK_BAD_PARAMETER },
		{ { 7, 1 }, CHECK_BAD_CONTEXT },
		{ { 0, 0 }, CHECK_BAD_CONTEXT },
		{ { UINT32_MAX, 63 }, CHECK_BAD_CONTEXT },
	};
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct check_fenced fenced;
		check_fenced_stream(check, &fenced, cases[i].place.ctx_id, cases[i].place.ring, 5);
		assert_int_equal(check_fenced_finish(check, &fenced), cases[i].resp);
	}
	/* Nor does a command that needs no context get by. */
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct check_fenced fenced;
		struct virtio_gpu_ctrl_hdr cmd = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
		check_fence_set(&cmd, cases[i].place.ctx_id, cases[i].place.ring, 6);
		check_fenced_send(check, &fenced, &cmd, sizeof(cmd));
		assert_int_equal(check_fenced_finish(check, &fenced), cases[i].resp);
	}
	check_close(check);
}

static void check_107_command_is_answered_with_an_error_when_the_renderer_refuses_its_fence(void **state) {
	static const struct place places[] = { { 1, 2 }, { 1, CHECK_GLOBAL } };
	static const uint32_t errors[] = { EINVAL, ENOMEM, EIO };
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(places); i++) {
		for (size_t k = 0; k < NEEP_ARRAY_LEN(errors); k++) {
			struct check_fenced fenced;
			const uint32_t operands[] = { NEEP_FAKE_CALL_CREATE_FENCE, errors[k], 1 };
			assert_int_equal(
				check_fake_op(check, STEER, NEEP_FAKE_OP_REFUSE, operands, 3), CHECK_OK);
			check_fenced_stream(check, &fenced, 1, places[i].ring, 5);
			assert_true(check_fenced_finish(check, &fenced) >= CHECK_UNSPEC);
			check_fenced_stream(check, &fenced, 1, places[i].ring, 6);
			assert_int_equal(check_fenced_finish(check, &fenced), CHECK_OK);
		}
	}
	check_close(check);
}

/* The error takes its place in the order, and replies with data lose it. */
static void check_107_refused_fence_keeps_the_order_when_an_earlier_one_is_pending(void **state) {
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	struct check_fenced pending, refused;
	check_hold(check, STEER, 0, CHECK_GLOBAL, true);
	check_fenced_stream(check, &pending, 1, CHECK_GLOBAL, 5);
	const uint32_t operands[] = { NEEP_FAKE_CALL_CREATE_FENCE, EIO, 1 };
	assert_int_equal(check_fake_op(check, STEER, NEEP_FAKE_OP_REFUSE, operands, 3), CHECK_OK);
	struct virtio_gpu_get_capset cmd = { .hdr.type = VIRTIO_GPU_CMD_GET_CAPSET,
		.capset_id = NEEP_FAKE_CAPSET };
	check_fence_set(&cmd.hdr, 0, CHECK_GLOBAL, 6);
	check_fenced_send(check, &refused, &cmd, sizeof(cmd));
	check_fenced_waits(check, &refused);
	check_complete(check, STEER, 0, CHECK_GLOBAL, 1);
	assert_int_equal(check_fenced_finish(check, &refused), CHECK_UNSPEC);
	assert_int_equal(check_fenced_finish(check, &pending), CHECK_OK);
	assert_true(pending.request.sequence < refused.request.sequence);
	check_close(check);
}

static void check_108_pending_fences_come_back_before_the_reply_when_their_context_is_destroyed(
	void **state) {
	static const int rings[] = { 0, 1, 2, 33, 63 };
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	struct check_fenced fenced[2 * NEEP_ARRAY_LEN(rings)], destroy;
	check_hold(check, STEER, 1, CHECK_ALL_RINGS, true);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(fenced); i++) {
		check_fenced_stream(check, &fenced[i], 1, rings[i / 2], 100 - i);
	}
	check_fenced_waits(check, &fenced[0]);
	struct virtio_gpu_ctx_destroy cmd = { .hdr.type = VIRTIO_GPU_CMD_CTX_DESTROY };
	check_fence_set(&cmd.hdr, 1, 2, 200);
	check_fenced_send(check, &destroy, &cmd, sizeof(cmd));
	assert_int_equal(check_fenced_finish(check, &destroy), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(fenced); i++) {
		assert_true(check_poll(check, &fenced[i].request));
		check_fenced_finish(check, &fenced[i]);
		assert_true(fenced[i].request.sequence < destroy.request.sequence);
	}
	check_close(check);
}

/* Odd rings of the fake keep the fences of a context that is gone, and signal them late. */
static void check_108_fences_of_the_old_context_complete_nothing_when_its_id_is_used_again(void **state) {
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	struct check_fenced old, new;
	check_hold(check, STEER, 1, 1, true);
	check_fenced_stream(check, &old, 1, 1, 10);
	check_fenced_waits(check, &old);
	assert_int_equal(check_ctx_destroy(check, 1), CHECK_OK);
	check_fenced_finish(check, &old);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_hold(check, STEER, 1, 1, true);
	check_fenced_stream(check, &new, 1, 1, 10);
	check_fenced_waits(check, &new);
	check_complete(check, STEER, 1, 1, 1);
	assert_int_equal(check_fenced_finish(check, &new), CHECK_OK);
	check_close(check);
}

/* The memory that the device writes when it returns a buffer. */
struct used_memory {
	void *at;
	size_t len;
};

static struct used_memory used_memory(struct check *check) {
	struct neep_queue *queue = neep_driver_queue(check_driver(check), NEEP_DRIVER_CONTROLQ);
	struct neep_queue_raw raw = neep_queue_raw(queue);
	uint32_t size = neep_queue_setup(queue).size;
	if (raw.packed != NULL) {
		return (struct used_memory){ raw.packed, size * sizeof(*raw.packed) };
	}
	return (struct used_memory){ raw.used, sizeof(*raw.used) + size * sizeof(struct vring_used_elem) };
}

static void create_contexts(struct check *check) {
	assert_int_equal(check_ctx_create(check, STEER, NEEP_FAKE_CAPSET), CHECK_OK);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
}

static void check_109_ring_is_left_alone_when_the_driver_reset_with_fences_pending(void **state) {
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	struct neep_error error;
	struct check_fenced fenced[3];
	check_hold(check, STEER, 1, CHECK_ALL_RINGS, true);
	check_hold(check, STEER, 0, CHECK_GLOBAL, true);
	check_fenced_stream(check, &fenced[0], 1, CHECK_GLOBAL, 1);
	check_fenced_stream(check, &fenced[1], 1, 0, 2);
	check_fenced_stream(check, &fenced[2], 1, 1, 3);
	check_fenced_waits(check, &fenced[2]);
	/* The completions race with the reset. */
	check_complete(check, STEER, 1, CHECK_ALL_RINGS, NEEP_FAKE_ALL);
	check_reset(check);
	struct used_memory used = used_memory(check);
	uint8_t *old = malloc(used.len), *pattern = malloc(used.len);
	assert_non_null(old);
	assert_non_null(pattern);
	memcpy(old, used.at, used.len);
	memset(pattern, CHECK_SENTINEL, used.len);
	memcpy(used.at, pattern, used.len);
	struct timespec pause = { .tv_nsec = 50 * NEEP_NS_PER_MS };
	nanosleep(&pause, NULL);
	assert_memory_equal(used.at, pattern, used.len);
	memcpy(used.at, old, used.len);
	free(old);
	free(pattern);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(fenced); i++) {
		check_forget(check, &fenced[i].request);
		check_release(check, &fenced[i].request);
	}
	assert_int_equal(neep_driver_start(check_driver(check), &error), 0);
	create_contexts(check);
	check_close(check);
}

static void check_109_stale_completion_completes_nothing_when_the_driver_is_a_new_one(void **state) {
	static const int rings[] = { CHECK_GLOBAL, 0, 1 };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rings); i++) {
		struct check *check = open_with_contexts(1, 1);
		struct check_fenced old, new;
		check_hold(check, STEER, 1, rings[i], true);
		check_fenced_stream(check, &old, 1, rings[i], 1);
		check_fenced_waits(check, &old);
		check_restart(check);
		check_forget(check, &old.request);
		check_release(check, &old.request);
		create_contexts(check);
		check_hold(check, STEER, 1, rings[i], true);
		check_fenced_stream(check, &new, 1, rings[i], 1);
		if (rings[i] == CHECK_GLOBAL) {
			/* The oldest that the renderer knows is that of the old driver. */
			check_complete(check, STEER, 1, rings[i], 1);
		}
		check_fenced_waits(check, &new);
		check_complete(check, STEER, 1, rings[i], 1);
		assert_int_equal(check_fenced_finish(check, &new), CHECK_OK);
		check_close(check);
	}
}

static void check_110_each_fence_is_answered_once_when_ids_decrease(void **state) {
	static const int rings[] = { CHECK_GLOBAL, 5 };
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rings); i++) {
		struct check_fenced fenced[4];
		check_hold(check, STEER, 1, rings[i], true);
		for (size_t k = 0; k < NEEP_ARRAY_LEN(fenced); k++) {
			check_fenced_stream(check, &fenced[k], 1, rings[i], 40 - 10 * k);
		}
		for (size_t k = 0; k < NEEP_ARRAY_LEN(fenced); k++) {
			check_fenced_waits(check, &fenced[k]);
			check_complete(check, STEER, 1, rings[i], 1);
			assert_int_equal(check_fenced_finish(check, &fenced[k]), CHECK_OK);
		}
		check_hold(check, STEER, 1, rings[i], false);
	}
	check_close(check);
}

static void check_111_error_keeps_its_place_when_an_earlier_fence_is_pending(void **state) {
	static const int rings[] = { CHECK_GLOBAL, 5 };
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rings); i++) {
		struct check_fenced pending, failed;
		check_hold(check, STEER, 1, rings[i], true);
		check_fenced_stream(check, &pending, 1, rings[i], 1);
		struct virtio_gpu_resource_unref cmd = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
			.resource_id = 1234 };
		check_fence_set(&cmd.hdr, 1, rings[i], 2);
		check_fenced_send(check, &failed, &cmd, sizeof(cmd));
		check_fenced_waits(check, &failed);
		check_complete(check, STEER, 1, rings[i], 1);
		assert_int_equal(check_fenced_finish(check, &failed), CHECK_BAD_RESOURCE);
		assert_int_equal(check_fenced_finish(check, &pending), CHECK_OK);
		assert_true(pending.request.sequence < failed.request.sequence);
		check_hold(check, STEER, 1, rings[i], false);
	}
	check_close(check);
}

static void check_112_unfenced_command_runs_when_a_fenced_one_before_it_is_pending(void **state) {
	(void)state;
	struct check *check = open_with_contexts(1, 1);
	struct check_fenced pending;
	check_hold(check, STEER, 0, CHECK_GLOBAL, true);
	check_fenced_stream(check, &pending, 1, CHECK_GLOBAL, 1);
	assert_int_equal(check_create_2d(check, 9, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
	assert_int_equal(check_unref(check, 10), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 9), CHECK_OK);
	check_fenced_waits(check, &pending);
	check_complete(check, STEER, 0, CHECK_GLOBAL, 1);
	assert_int_equal(check_fenced_finish(check, &pending), CHECK_OK);
	check_close(check);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(check_100_fence_id_is_echoed_exactly_whatever_it_is),
		device_check(check_101_fence_is_echoed_by_every_command_when_it_fails_and_when_it_succeeds),
		device_check(check_101_fence_is_echoed_when_the_command_is_on_the_cursor_queue),
		device_check(check_102_reply_keeps_its_place_when_the_later_work_is_done_first),
		device_check(check_102_reply_keeps_its_place_when_it_is_on_a_ring),
		device_check(check_103_fence_overtakes_when_it_is_on_another_ring_of_the_context),
		device_check(check_103_fence_overtakes_when_it_is_of_another_context),
		device_check(check_104_fence_of_another_context_on_the_same_ring_number_completes_nothing),
		device_check(check_105_ring_0_of_a_context_is_not_the_global_timeline),
		device_check(check_105_global_timeline_is_not_ring_0_of_a_context),
		device_check(check_106_fence_is_refused_at_once_when_its_ring_does_not_exist),
		device_check(check_107_command_is_answered_with_an_error_when_the_renderer_refuses_its_fence),
		device_check(check_107_refused_fence_keeps_the_order_when_an_earlier_one_is_pending),
		device_check(
			check_108_pending_fences_come_back_before_the_reply_when_their_context_is_destroyed),
		device_check(check_108_fences_of_the_old_context_complete_nothing_when_its_id_is_used_again),
		device_check(check_109_ring_is_left_alone_when_the_driver_reset_with_fences_pending),
		device_check(check_109_stale_completion_completes_nothing_when_the_driver_is_a_new_one),
		device_check(check_110_each_fence_is_answered_once_when_ids_decrease),
		device_check(check_111_error_keeps_its_place_when_an_earlier_fence_is_pending),
		device_check(check_112_unfenced_command_runs_when_a_fenced_one_before_it_is_pending),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
