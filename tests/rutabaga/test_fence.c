#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "recorder.h"
#include "support/cmocka.h"

static void create_ring(struct recorder *r, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id) {
	struct rutabaga_fence fence = ring_fence(ctx_id, ring_idx, fence_id);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), 0);
}

static void create_global(struct recorder *r, uint64_t fence_id) {
	struct rutabaga_fence fence = global_fence(fence_id);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), 0);
}

static void make_contexts(struct recorder *r, uint32_t count) {
	for (uint32_t i = 1; i <= count; i++) {
		assert_int_equal(rutabaga_context_create(r->rutabaga, i, NEEP_FAKE_CAPSET, "test", 4), 0);
		neep_fake_hold(r->fake, i, NEEP_FAKE_ALL_RINGS, true);
	}
}

static void expect(struct recorder *r, size_t count, const uint64_t *ids) {
	assert_int_equal(r->fence_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(r->fences[i].fence_id, ids[i]);
	}
}

static void global_fence_completes_inside_the_call_for_2d(void **state) {
	struct recorder *r = *state;
	create_global(r, 0);
	create_global(r, UINT64_MAX);
	create_global(r, 1);
	expect(r, 3, (uint64_t[]){ 0, UINT64_MAX, 1 });
	assert_int_equal(r->fences[1].flags, RUTABAGA_FLAG_FENCE);
}

static void ring_fence_completes_inside_the_call_when_not_held(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	neep_fake_hold(r->fake, 1, NEEP_FAKE_ALL_RINGS, false);
	create_ring(r, 1, 63, 5);
	expect(r, 1, (uint64_t[]){ 5 });
	assert_int_equal(r->fences[0].ring_idx, 63);
	assert_int_equal(r->fences[0].ctx_id, 1);
	assert_int_equal(r->fences[0].flags, RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX);
}

static void fence_never_overtakes_another_of_its_timeline(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	create_ring(r, 1, 2, 10);
	create_ring(r, 1, 2, 9); // ids may fall
	create_ring(r, 1, 2, 11);
	neep_fake_complete_last(r->fake, 1, 2);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
	expect(r, 0, NULL);
	neep_fake_complete(r->fake, 1, 2, 1);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
	expect(r, 1, (uint64_t[]){ 10 });
	neep_fake_complete(r->fake, 1, 2, 1);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
	expect(r, 3, (uint64_t[]){ 10, 9, 11 });
}

static void timelines_are_independent(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 2);
	neep_fake_hold(r->fake, 0, NEEP_FAKE_GLOBAL, true);
	create_ring(r, 1, 1, 10);
	create_ring(r, 2, 1, 12);
	create_ring(r, 1, 0, 14);
	create_global(r, 16);
	neep_fake_complete(r->fake, 2, 1, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	expect(r, 1, (uint64_t[]){ 12 });
	neep_fake_complete(r->fake, 0, NEEP_FAKE_GLOBAL, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	expect(r, 2, (uint64_t[]){ 12, 16 });
	neep_fake_complete(r->fake, 1, 0, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	expect(r, 3, (uint64_t[]){ 12, 16, 14 });
	neep_fake_complete(r->fake, 1, 1, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	expect(r, 4, (uint64_t[]){ 12, 16, 14, 10 });
}

static void create_fence_refuses_bad_timelines_without_a_callback(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	struct rutabaga_fence fence = ring_fence(1, 64, 1);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -EINVAL);
	fence = ring_fence(1, UINT32_MAX, 1);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -EINVAL);
	fence = ring_fence(2, 0, 1);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -ESRCH);
	fence = ring_fence(0, 0, 1);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -ESRCH);
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_CREATE_FENCE, EIO, 1);
	fence = ring_fence(1, 0, 1);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -EIO);
	assert_int_equal(r->fence_count, 0);
	struct neep_rutabaga_usage usage;
	assert_int_equal(neep_rutabaga_get_usage(r->rutabaga, &usage), 0);
	assert_int_equal(usage.pending_fences, 0);
}

static void context_destroy_completes_its_fences_and_no_others(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 2);
	for (uint64_t i = 0; i < 4; i++) {
		create_ring(r, 1, (uint32_t)i % 2, 100 + i);
		create_ring(r, 2, 0, 200 + i);
	}
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	expect(r, 4, (uint64_t[]){ 100, 102, 101, 103 });
	/* The fake signals the fences of odd rings only when it ends: nothing may be told twice. */
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 2), 0);
	assert_int_equal(r->fence_count, 8);
}

static void context_id_can_be_used_again_while_old_fences_are_late(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	create_ring(r, 1, 1, 1);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	make_contexts(r, 1);
	create_ring(r, 1, 1, 1);
	expect(r, 1, (uint64_t[]){ 1 });
	neep_fake_complete(r->fake, 1, 1, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	expect(r, 2, (uint64_t[]){ 1, 1 });
}

static void reset_completes_everything_once(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 3);
	neep_fake_hold(r->fake, 0, NEEP_FAKE_GLOBAL, true);
	for (uint32_t i = 0; i < 3; i++) {
		create_ring(r, i + 1, i, 10 + i);
	}
	create_global(r, 20);
	assert_int_equal(neep_rutabaga_reset(r->rutabaga), 0);
	assert_int_equal(r->fence_count, 4);
	neep_fake_complete(r->fake, 0, NEEP_FAKE_GLOBAL, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	assert_int_equal(r->fence_count, 4);
	create_global(r, 21);
	neep_fake_complete(r->fake, 0, NEEP_FAKE_GLOBAL, NEEP_FAKE_ALL);
	neep_rutabaga_dispatch(r->rutabaga);
	assert_int_equal(r->fence_count, 5);
}

static void pending_fences_are_limited(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	struct neep_rutabaga_limits limits;
	neep_rutabaga_get_limits(r->rutabaga, &limits);
	limits.pending_fences = 2;
	neep_rutabaga_set_limits(r->rutabaga, &limits);
	create_ring(r, 1, 0, 1);
	create_ring(r, 1, 0, 2);
	struct rutabaga_fence fence = global_fence(3);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), -ENOMEM);
	neep_fake_complete(r->fake, 1, 0, 1);
	neep_rutabaga_dispatch(r->rutabaga);
	create_ring(r, 1, 0, 3);
}

static void fence_again(struct recorder *r, const struct rutabaga_fence *fence) {
	if (fence->fence_id < 5) {
		create_global(r, fence->fence_id + 1);
	}
}

static void callback_may_create_fences(void **state) {
	struct recorder *r = *state;
	r->on_fence = fence_again;
	create_global(r, 1);
	expect(r, 5, (uint64_t[]){ 1, 2, 3, 4, 5 });
}

static void finish_inside(struct recorder *r, const struct rutabaga_fence *fence) {
	(void)fence;
	struct rutabaga *rutabaga = r->rutabaga;
	assert_int_equal(rutabaga_finish(&rutabaga), -EBUSY);
}

static void callback_may_not_finish(void **state) {
	struct recorder *r = *state;
	r->on_fence = finish_inside;
	create_global(r, 1);
	assert_int_equal(r->fence_count, 1);
	r->on_fence = NULL;
}

static void refused_finish_leaves_the_library_thread(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	r->on_fence = finish_inside;
	create_global(r, 1);
	expect(r, 1, (uint64_t[]){ 1 });
	r->on_fence = NULL;
	create_ring(r, 1, 0, 2);
	neep_fake_complete(r->fake, 1, 0, 1);
	assert_true(recorder_wait(r, 2));
}

static void event_fd_polls_when_there_is_work(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	create_ring(r, 1, 0, 1);
	struct pollfd pfd = { .fd = neep_rutabaga_event_fd(r->rutabaga), .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 0), 0);
	neep_fake_complete(r->fake, 1, 0, 1);
	assert_int_equal(poll(&pfd, 1, 1000), 1);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	expect(r, 1, (uint64_t[]){ 1 });
}

static void event_fd_is_quiet_for_2d(void **state) {
	struct recorder *r = *state;
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), -EINVAL);
	struct pollfd pfd = { .fd = neep_rutabaga_event_fd(r->rutabaga), .events = POLLIN };
	assert_true(pfd.fd >= 0);
	create_global(r, 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
}

static void library_thread_completes_in_order(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	for (uint64_t i = 0; i < 200; i++) {
		create_ring(r, 1, 3, i);
		if (i % 3 == 0) {
			neep_fake_complete_last(r->fake, 1, 3);
		}
	}
	neep_fake_complete(r->fake, 1, 3, NEEP_FAKE_ALL);
	assert_true(recorder_wait(r, 200));
	for (uint64_t i = 0; i < 200; i++) {
		assert_int_equal(r->fences[i].fence_id, i);
	}
}

static void event_fd_takes_over_from_the_library_thread(void **state) {
	struct recorder *r = *state;
	make_contexts(r, 1);
	create_ring(r, 1, 0, 1);
	create_ring(r, 1, 0, 2);
	neep_fake_complete(r->fake, 1, 0, 1);
	assert_true(recorder_wait(r, 1));
	assert_true(neep_rutabaga_event_fd(r->rutabaga) >= 0);
	neep_fake_complete(r->fake, 1, 0, 1);
	assert_int_equal(r->fence_count, 1);
	assert_int_equal(neep_rutabaga_dispatch(r->rutabaga), 0);
	assert_int_equal(r->fence_count, 2);
}

static void finish_completes_what_is_pending(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_builder builder = recorder_builder(&r, 0);
	assert_int_equal(neep_fake_rutabaga_init(&builder, &r.rutabaga), 0);
	r.fake = neep_fake_of(r.rutabaga);
	make_contexts(&r, 2);
	neep_fake_hold(r.fake, 0, NEEP_FAKE_GLOBAL, true);
	create_ring(&r, 1, 0, 1);
	create_ring(&r, 2, 1, 2);
	create_global(&r, 3);
	assert_int_equal(rutabaga_finish(&r.rutabaga), 0);
	assert_null(r.rutabaga);
	assert_int_equal(r.fence_count, 3);
}

#define WITH_2D(f)     cmocka_unit_test_setup_teardown(f, recorder_setup_2d, recorder_teardown)
#define WITH_FAKE(f)   cmocka_unit_test_setup_teardown(f, recorder_setup_fake, recorder_teardown)
#define WITH_THREAD(f) cmocka_unit_test_setup_teardown(f, recorder_setup_fake_thread, recorder_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_2D(global_fence_completes_inside_the_call_for_2d),
		WITH_FAKE(ring_fence_completes_inside_the_call_when_not_held),
		WITH_FAKE(fence_never_overtakes_another_of_its_timeline),
		WITH_FAKE(timelines_are_independent),
		WITH_FAKE(create_fence_refuses_bad_timelines_without_a_callback),
		WITH_FAKE(context_destroy_completes_its_fences_and_no_others),
		WITH_FAKE(context_id_can_be_used_again_while_old_fences_are_late),
		WITH_FAKE(reset_completes_everything_once),
		WITH_FAKE(pending_fences_are_limited),
		WITH_2D(callback_may_create_fences),
		WITH_2D(callback_may_not_finish),
		WITH_FAKE(event_fd_polls_when_there_is_work),
		WITH_2D(event_fd_is_quiet_for_2d),
		WITH_THREAD(refused_finish_leaves_the_library_thread),
		WITH_THREAD(library_thread_completes_in_order),
		WITH_THREAD(event_fd_takes_over_from_the_library_thread),
		cmocka_unit_test(finish_completes_what_is_pending),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
