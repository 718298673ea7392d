/* Renderers that fail, in every way there is: one context is lost, its program is told, and nobody else notices. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/await.h"
#include "support/process_table.h"
#include "util/macros.h"

#define HOST_STATE      (2176 / 4)
#define STATE_EXIT      2
#define DEVICE_LOST     UINT32_C(0xfffffffc)
#define BUFFER          (12288 / 4)
#define REPLY_WRITE_POS ((0x2000 + 8) / 4)
/* A renderer has so long to end. */
#define PATIENCE_OF_POOL_NS (2 * NEEP_NS_PER_S)

static const struct failure {
	enum script_order order;
	const char *reason;
} failures[] = {
	{ SCRIPT_CRASH, "its renderer was killed by SIGSEGV" },
	{ SCRIPT_EXIT, "its renderer ended with status 7" },
	{ SCRIPT_GIVE_UP, "the guest sent ?[31mnonsense" },
	{ SCRIPT_TWICE, "broke the rules" },
	{ SCRIPT_UNASKED, "broke the rules" },
	{ SCRIPT_UNKNOWN_TYPE, "broke the rules" },
	{ SCRIPT_SHORT, "broke the rules" },
	{ SCRIPT_WRONG_SIZE, "broke the rules" },
	{ SCRIPT_LONG, "broke the rules" },
	{ SCRIPT_EMPTY, "is lost: its renderer" },
	{ SCRIPT_NO_FD, "broke the rules" },
	{ SCRIPT_EXTRA_FDS, "broke the rules" },
	{ SCRIPT_MANY_FDS, "broke the rules" },
	{ SCRIPT_UNSEALED, "broke the rules" },
	{ SCRIPT_NOT_MEMORY, "broke the rules" },
	{ SCRIPT_TOO_SMALL, "broke the rules" },
	{ SCRIPT_BAD_CACHE, "broke the rules" },
	{ SCRIPT_SAME_BLOB, "broke the rules" },
	{ SCRIPT_FLOOD_BLOBS, "too many blobs" },
	{ SCRIPT_FLOOD_MESSAGES, "again and again" },
};

/* Its successor is refused, too (script.h). */
static void assert_ring_failed(struct rig *rig, uint32_t resource_id) {
	volatile uint32_t *words = rig_words(rig, resource_id);
	rig_await_word(rig, words + HOST_STATE, STATE_EXIT);
	assert_int_not_equal(words[REPLY_WRITE_POS], 0);
	/* Not the first word: the scripted renderer counts there. */
	assert_int_equal(words[BUFFER + 1000], DEVICE_LOST);
}

/* What holds for a lost context with ring `resource_id`. */
static void assert_lost(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	assert_ring_failed(rig, resource_id);
	assert_int_equal(rig_order(rig, ctx_id, SCRIPT_DONE, 0), -EIO);
	assert_int_equal(rig_announce(rig, ctx_id, 3), -EIO);
	assert_int_equal(rig_blob(rig, ctx_id, 99, 0, 4096), -EIO);
	assert_int_equal(rig_blob(rig, ctx_id, 99, 1, 4096), -EIO);
	/* A guest thread may have been about to set up its end: the next ping shows it the error again. */
	volatile uint32_t *words = rig_words(rig, resource_id);
	words[REPLY_WRITE_POS] = 0;
	assert_int_equal(rig_ping(rig, ctx_id, resource_id), 0);
	assert_ring_failed(rig, resource_id);
	size_t fences = rig->fence_count;
	rig_fence(rig, ctx_id, 0);
	rig_await_fences(rig, fences + 1);
}

static void context_is_lost_alone_when_its_renderer_fails(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 2, "bystander"), 0);
	assert_int_equal(rig_ring(rig, 2, 20), 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(failures); i++) {
		rig->messages[0] = '\0';
		rig->fence_count = 0;
		assert_int_equal(rig_order(rig, 2, SCRIPT_HOLD, 0), 0);
		uint64_t held = rig_fence(rig, 2, 0);
		assert_int_equal(rig_context(rig, 1, "broken"), 0);
		assert_int_equal(rig_ring(rig, 1, 10), 0);
		assert_int_equal(rig_ring(rig, 1, 11), 0);
		assert_int_equal(rig_blob(rig, 1, 12, 0, RIG_RING_SIZE), 0);
		assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 12), 0);
		assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), 0);
		rig_fence(rig, 1, 0);
		assert_int_equal(rig_order(rig, 1, failures[i].order, 0), 0);
		rig_fence(rig, 1, 0);
		rig_await_fences(rig, 2);
		rig_await_message(rig, "context 1 (broken) is lost: ");
		rig_await_message(rig, failures[i].reason);
		assert_lost(rig, 1, 10);
		assert_ring_failed(rig, 11);
		/* Who wants a ring of it must not wait either. */
		assert_int_equal(rig_submit(rig, 1, (const uint32_t[]){ 0x1001, 12 }, 2), -EIO);
		assert_ring_failed(rig, 12);
		assert_int_equal(rig_fence_position(rig, held), -1);
		assert_int_equal(rig_order(rig, 2, SCRIPT_RELEASE, 0), 0);
		rig_await_fences(rig, 4);
		assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
		for (uint32_t id = 10; id <= 12; id++) {
			assert_int_equal(rutabaga_resource_unref(rig->rutabaga, id), 0);
		}
		usleep(200000);
	}
	assert_int_not_equal(rig_words(rig, 20)[HOST_STATE], STATE_EXIT);
}

static void context_may_end_at_any_moment_of_a_failure(void **state) {
	struct rig *rig = *state;
	for (useconds_t pause = 0; pause <= 2000; pause += 1000) {
		for (uint32_t i = 0; i < NEEP_ARRAY_LEN(failures); i++) {
			assert_int_equal(rig_context(rig, i + 1, "gone"), 0);
			assert_int_equal(rig_ring(rig, i + 1, i + 1), 0);
			assert_int_equal(rig_order(rig, i + 1, SCRIPT_HOLD, 0), 0);
			rig_fence(rig, i + 1, 0);
			assert_int_equal(rig_order(rig, i + 1, failures[i].order, 0), 0);
			rig_turn(rig, 0);
			usleep(pause);
		}
		assert_int_equal(neep_rutabaga_reset(rig->rutabaga), 0);
	}
	rig_await_fences(rig, 3 * NEEP_ARRAY_LEN(failures));
	rig_await_no_renderers(rig);
}

/* The renderer of lost contexts: its rings are served again, new ones too, and nothing else is. */
static void rings_are_served_by_another_when_their_renderer_died(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "mourned"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_blob(rig, 1, 11, 0, RIG_RING_SIZE), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 11), 0);
	volatile uint32_t *pings = rig_words(rig, 10) + SCRIPT_PINGS / 4;
	assert_int_equal(rig_order(rig, 1, SCRIPT_CRASH, 0), 0);
	rig_await_message(rig, "context 1 (mourned) is lost: its renderer was killed by SIGSEGV");
	assert_int_equal(rig_submit(rig, 1, (const uint32_t[]){ 0x1001, 11 }, 2), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_DONE, 0), -EIO);
	assert_int_equal(rig_announce(rig, 1, 3), -EIO);
	assert_int_equal(rig_blob(rig, 1, 99, 1, 4096), -EIO);
	uint32_t before = *pings;
	assert_int_equal(rig_ping(rig, 1, 10), 0);
	assert_int_equal(*pings, before + 1);
	assert_int_not_equal(rig_words(rig, 10)[HOST_STATE], STATE_EXIT);
	rig_fence(rig, 1, 0);
	rig_await_fences(rig, 1);
	while (rig_processes() < 2) {
		rig_turn(rig, 10);
	}
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	rig_await_no_renderers(rig);
}

static void context_is_lost_when_its_renderer_hangs_up(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "rude"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_EOF, 0), 0);
	rig_fence(rig, 1, 0);
	rig_await_fences(rig, 1);
	/* Nobody has waited for its end. */
	assert_false(rig_has_message(rig, "takes long to end"));
	assert_lost(rig, 1, 10);
	/* It lives on and is killed. */
	rig_await_message(rig, "context 1 (rude) is lost: its renderer closed the connection");
	rig_await_no_renderers(rig);
}

static void renderer_that_does_not_read_never_holds_anybody_up(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "asleep"), 0);
	assert_int_equal(rig_context(rig, 2, "sharer"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_blob(rig, 2, 11, 0, 4096), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_STOP_READING, 0), 0);
	rig_fence(rig, 1, 0);
	int rc = 0;
	for (int i = 0; i < 5000 && rc == 0; i++) {
		int64_t start = neep_clock_ns();
		rc = rutabaga_context_attach_resource(rig->rutabaga, 1, 11);
		assert_int_equal(rc, 0);
		assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 11), 0);
		rc = rig_ping(rig, 1, 10) == 0 ? rig_order(rig, 1, SCRIPT_DONE, 0) : -1;
		assert_true(neep_clock_ns() - start < AWAIT_NS);
		rig_turn(rig, 0);
	}
	assert_int_equal(rc, -EIO);
	assert_true(
		rig_has_message(rig, "context 1 (asleep) is lost: its renderer does not read its messages"));
	rig_await_fences(rig, 1);
	assert_lost(rig, 1, 10);
	rig_await_no_renderers(rig);
}

static void renderer_is_killed_when_it_outlives_its_context(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "deaf"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_DEAF, 0), 0);
	rig_fence(rig, 1, 0);
	rig_await_fences(rig, 1);
	int64_t start = neep_clock_ns();
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	rig_await_message(rig, "the renderer of context 1 (deaf) takes long to end: killed");
	assert_true(neep_clock_ns() - start >= PATIENCE_OF_POOL_NS);
	rig_await_no_renderers(rig);
	assert_false(rig_has_message(rig, "is lost"));
}

/* The time after which all are killed comes later, unless the machine stands still meanwhile. */
static bool end_more_than_may_be_ending(struct rig *rig) {
	rig->fence_count = 0;
	for (uint32_t id = 1; id <= 80; id++) {
		assert_int_equal(rig_context(rig, id, "deaf"), 0);
		assert_int_equal(rig_ring(rig, id, id), 0);
		assert_int_equal(rig_order(rig, id, SCRIPT_DEAF, 0), 0);
		rig_fence(rig, id, 0);
	}
	rig_await_fences(rig, 80);
	int64_t start = neep_clock_ns();
	assert_int_equal(neep_rutabaga_reset(rig->rutabaga), 0);
	await_turning(rig_processes() <= 1 + 64, rig_turn(rig, 1));
	bool is_early = neep_clock_ns() - start < PATIENCE_OF_POOL_NS;
	rig_await_no_renderers(rig);
	return is_early;
}

static void ending_renderers_do_not_add_up(void **state) {
	await_turning(end_more_than_may_be_ending(*state), );
}

/* More contexts come and go than it can be told of: each is a message when it comes and one when it goes. */
static void nobody_is_lost_when_the_spawner_falls_behind(void **state) {
	enum { CONTEXTS = 1000, BYSTANDER };
	struct rig *rig = *state;
	pid_t spawner;
	assert_int_equal(rig_context(rig, BYSTANDER, "bystander"), 0);
	assert_int_equal(rig_ring(rig, BYSTANDER, BYSTANDER), 0);
	assert_int_equal(rig_order(rig, BYSTANDER, SCRIPT_DONE, 0), 0);
	rig_await(rig, rig_fence(rig, BYSTANDER, 0));
	assert_int_equal(process_children(getpid(), &spawner, 1), 1);
	assert_int_equal(kill(spawner, SIGSTOP), 0);
	for (uint32_t id = 1; id <= CONTEXTS; id++) {
		assert_int_equal(rig_context(rig, id, "brief"), 0);
		assert_int_equal(rig_ring(rig, id, id), 0);
	}
	for (uint32_t id = 1; id <= CONTEXTS; id++) {
		assert_int_equal(rutabaga_context_destroy(rig->rutabaga, id), 0);
		assert_int_equal(rutabaga_resource_unref(rig->rutabaga, id), 0);
	}
	rig_idle(rig, 100);
	assert_int_equal(kill(spawner, SIGCONT), 0);
	await_turning(rig_processes() <= 2, rig_turn(rig, 10));
	assert_int_equal(rig_order(rig, BYSTANDER, SCRIPT_DONE, 0), 0);
	rig_await(rig, rig_fence(rig, BYSTANDER, 0));
}

/* Until they are detached. */
static void rings_that_nobody_serves_are_limited(void **state) {
	enum { RINGS = 2048 };
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "refused"), 0);
	for (uint32_t id = 1; id <= RINGS + 2; id++) {
		assert_int_equal(rig_blob(rig, 1, id, 0, RIG_RING_SIZE), 0);
		assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, id), 0);
	}
	for (uint32_t id = 1; id <= RINGS; id++) {
		int rc = rig_submit(rig, 1, (const uint32_t[]){ 0x1001, id }, 2);
		assert_int_equal(rc, id == 1 ? 0 : -EIO);
		if (id == 1) {
			assert_ring_failed(rig, id);
		}
	}
	assert_int_equal(rig_submit(rig, 1, (const uint32_t[]){ 0x1001, RINGS + 1 }, 2), -ENOMEM);
	/* Who was refused must not wait. */
	assert_ring_failed(rig, RINGS + 1);
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 1), 0);
	assert_int_equal(rig_submit(rig, 1, (const uint32_t[]){ 0x1001, RINGS + 2 }, 2), -EIO);
}

static void context_is_lost_when_its_renderer_does_not_start(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "stillborn"), 0);
	assert_int_equal(rig_context(rig, 2, "refused"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_ring(rig, 2, 11), 0);
	rig_await_message(rig, "context 1 (stillborn) is lost: its renderer was killed by SIGKILL");
	rig_await_message(rig, "context 2 (refused) is lost: its renderer could not be started: Resource "
			       "temporarily unavailable");
	assert_lost(rig, 1, 10);
	assert_lost(rig, 2, 11);
}

static void everything_is_lost_but_the_device_when_the_spawner_dies(void **state) {
	struct rig *rig = *state;
	for (uint32_t id = 1; id <= 3; id++) {
		assert_int_equal(rig_context(rig, id, "victim"), 0);
		assert_int_equal(rig_ring(rig, id, id), 0);
		assert_int_equal(rig_order(rig, id, SCRIPT_HOLD, 0), 0);
		rig_fence(rig, id, 0);
	}
	usleep(1100000);
	assert_int_equal(rig_context(rig, 4, "doom"), 0);
	assert_int_equal(rig_ring(rig, 4, 4), 0);
	rig_await_fences(rig, 3);
	rig_await_message(rig, "was killed by SIGABRT");
	for (uint32_t id = 1; id <= 4; id++) {
		assert_lost(rig, id, id);
	}
	/* New contexts get new renderers. */
	assert_int_equal(rig_context(rig, 5, "successor"), 0);
	assert_int_equal(rig_ring(rig, 5, 5), 0);
	assert_true(rig_has_message(rig, "was started again"));
	assert_int_equal(rig_ping(rig, 5, 5), 0);
	rig_await_word(rig, rig_words(rig, 5) + SCRIPT_PINGS / 4, 1);
}

/* Returns a time before that of the second one's start. */
static int64_t kill_two_spawners(struct rig *rig, uint32_t first_id) {
	int64_t start_ns = 0;
	usleep(1100000);
	for (uint32_t id = first_id; id < first_id + 2; id++) {
		start_ns = neep_clock_ns();
		assert_int_equal(rig_context(rig, id, "doom"), 0);
		assert_int_equal(rig_ring(rig, id, id), 0);
		rig_await_message(rig, "was killed by SIGABRT");
		rig->messages[0] = '\0';
	}
	return start_ns;
}

static void spawner_is_not_started_again_at_once_when_it_dies_again(void **state) {
	struct rig *rig = *state;
	uint32_t id = 1;
	/* On a busy machine the second in which there is no third may be over before the next one is asked for. */
	for (bool is_early = false; !is_early; id += 3) {
		assert_true(id < 60);
		int64_t start_ns = kill_two_spawners(rig, id);
		assert_int_equal(rig_context(rig, id + 2, "patient"), 0);
		int rc = rig_ring(rig, id + 2, id + 2);
		is_early = neep_clock_ns() - start_ns < NEEP_NS_PER_S;
		assert_true(rc == -EAGAIN || !is_early);
	}
	assert_ring_failed(rig, id - 1);
	usleep(1100000);
	assert_int_equal(rig_ring(rig, id - 1, 101), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(context_is_lost_alone_when_its_renderer_fails),
		rig_test(context_may_end_at_any_moment_of_a_failure),
		rig_test(rings_are_served_by_another_when_their_renderer_died),
		rig_test(context_is_lost_when_its_renderer_hangs_up),
		rig_test(renderer_that_does_not_read_never_holds_anybody_up),
		rig_test(renderer_is_killed_when_it_outlives_its_context),
		rig_test(ending_renderers_do_not_add_up),
		rig_test(nobody_is_lost_when_the_spawner_falls_behind),
		rig_test(rings_that_nobody_serves_are_limited),
		rig_test(context_is_lost_when_its_renderer_does_not_start),
		rig_test(everything_is_lost_but_the_device_when_the_spawner_dies),
		rig_test(spawner_is_not_started_again_at_once_when_it_dies_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
