#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/guest.h"
#include "virtio/inflight.h"

/* The area lies in the guest's memory, where it survives a crash together with the ring. */
#define AREA_OFFSET 0x3f0000u
#define SIZE        8u

static struct neep_inflight_area area_of(struct guest *guest, bool is_packed) {
	return (struct neep_inflight_area){
		.base = guest->mem + AREA_OFFSET,
		.len = neep_inflight_area_len(1, SIZE, is_packed),
		.queue_count = 1,
		.queue_size = SIZE,
		.is_packed = is_packed,
	};
}

/* A device and its ring with the area attached. */
struct tracked {
	struct guest guest;
	struct neep_inflight_queue *inflight;
};

static void tracked_start(struct tracked *t, uint32_t base) {
	struct neep_inflight_area area = area_of(&t->guest, t->guest.config.is_packed);
	struct neep_error error = { 0 };
	t->inflight = neep_inflight_attach(&area, 0, &error);
	assert_non_null(t->inflight);
	neep_vring_set_inflight(t->guest.ring, t->inflight);
	t->guest.config.base = base;
	assert_int_equal(neep_vring_start(t->guest.ring, &t->guest.config, &error), 0);
}

static void tracked_init(struct tracked *t, bool is_packed) {
	guest_init_memory(&t->guest);
	guest_init_config(&t->guest, &(struct guest_options){ .size = SIZE, .is_packed = is_packed });
	tracked_start(t, t->guest.config.base);
}

static void tracked_finish(struct tracked *t) {
	guest_finish(&t->guest);
	neep_inflight_detach(t->inflight);
}

/* A new device process: it has nothing but the memory and what a front-end knows after a crash, the used index. */
static void tracked_restart(struct tracked *t, uint32_t base) {
	bool is_packed = t->guest.config.is_packed;
	neep_vring_destroy(t->guest.ring);
	neep_inflight_detach(t->inflight);
	struct guest kept = t->guest;
	guest_init_config(&t->guest, &(struct guest_options){ .size = SIZE, .is_packed = is_packed });
	t->guest.avail_wrap = kept.avail_wrap;
	t->guest.used_wrap = kept.used_wrap;
	tracked_start(t, base);
}

/* What identifies a buffer of guest_offer_simple(). */
static uint32_t slot_of(struct guest *guest, const struct neep_vring_element *element) {
	uint64_t len;
	const uint8_t *base = neep_memory_translate(guest->memory, GUEST_ADDR + GUEST_BUFFER, 1, &len);
	const uint8_t *host =
		element->readable_count > 0 ? element->readable[0].iov_base : element->writable[0].iov_base;
	return (uint32_t)(host - base) / 0x100;
}

static void area_is_laid_out_as_the_protocol_says(void **state) {
	(void)state;
	assert_int_equal(neep_inflight_area_len(1, 1, false), 64);
	assert_int_equal(neep_inflight_area_len(1, 256, false), (16 + 256 * 16 + 63) / 64 * 64);
	assert_int_equal(neep_inflight_area_len(3, 256, false), 3 * ((16 + 256 * 16 + 63) / 64 * 64));
	assert_int_equal(neep_inflight_area_len(2, 256, true), 2 * ((32 + 256 * 32 + 63) / 64 * 64));
	struct tracked t;
	tracked_init(&t, false);
	const uint8_t *bytes = t.guest.mem + AREA_OFFSET;
	assert_int_equal(bytes[8], 1);     // version
	assert_int_equal(bytes[10], SIZE); // desc_num
	guest_offer_simple(&t.guest, 3, 0, 8);
	struct neep_vring_element *element = guest_pop(&t.guest);
	assert_int_equal(bytes[16 + 3 * 16], 1); // inflight
	neep_vring_push(t.guest.ring, element, "x", 1);
	assert_int_equal(bytes[16 + 3 * 16], 0);
	assert_int_equal(bytes[12], 3); // last_batch_head
	assert_int_equal(bytes[14], 1); // used_idx
	tracked_finish(&t);
}

static void attach_refuses_wrong_areas(void **state) {
	(void)state;
	static uint64_t memory[512];
	const struct neep_inflight_area good = {
		.base = memory, .len = sizeof(memory), .queue_count = 2, .queue_size = 16
	};
	struct neep_inflight_area wrong[7];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		wrong[i] = good;
	}
	wrong[0].base = NULL;
	wrong[1].base = (uint8_t *)memory + 4;
	wrong[2].len = neep_inflight_area_len(2, 16, false) - 1;
	wrong[3].queue_size = 0;
	wrong[4].queue_size = 32769;
	wrong[5].queue_count = 0;
	wrong[6].queue_size = 8; // the area was made for 16
	struct neep_inflight_queue *queue = neep_inflight_attach(&good, 0, NULL);
	assert_non_null(queue);
	neep_inflight_detach(queue);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct neep_error error = { 0 };
		assert_null(neep_inflight_attach(&wrong[i], 0, &error));
		assert_int_equal(error.code, EINVAL);
	}
	assert_null(neep_inflight_attach(&good, 2, NULL));
	((uint8_t *)memory)[8] = 2; // another version
	assert_null(neep_inflight_attach(&good, 0, NULL));
	neep_inflight_detach(NULL);
}

/* The base that a front-end gives after a crash: what it sees used. */
static uint32_t crash_base(struct guest *guest) {
	if (!guest->config.is_packed) {
		return guest_used_ring(guest)->idx;
	}
	uint32_t half = guest->used | (uint32_t)guest->used_wrap << 15;
	return half | half << 16;
}

static void restart_finds_buffers_in_the_order_of_submission(void **state) {
	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		struct tracked t;
		struct guest_used used;
		struct neep_vring_element *element;
		const uint16_t order[] = { 4, 0, 6, 2 };
		tracked_init(&t, is_packed);
		struct neep_vring_element *out[4];
		for (size_t i = 0; i < 4; i++) {
			guest_offer_simple(&t.guest, order[i], 4, 4);
		}
		for (size_t i = 0; i < 4; i++) {
			out[i] = guest_pop(&t.guest);
		}
		neep_vring_push(t.guest.ring, out[1], "x", 1);
		assert_true(guest_take_used(&t.guest, 2, &used));
		guest_offer_simple(&t.guest, 0, 4, 4); // not popped before the crash
		tracked_restart(&t, crash_base(&t.guest));
		const uint16_t expected[] = { 4, 6, 2, 0 };
		assert_true(neep_vring_has_work(t.guest.ring));
		assert_true(neep_vring_enable_kick(t.guest.ring));
		for (size_t i = 0; i < 4; i++) {
			element = guest_pop(&t.guest);
			assert_int_equal(slot_of(&t.guest, element), expected[i]);
			assert_int_equal(element->readable_size, 4);
			assert_int_equal(element->writable_size, 4);
			neep_vring_push(t.guest.ring, element, "again", 5);
			assert_true(guest_take_used(&t.guest, 2, &used));
			assert_int_equal(used.id, expected[i]);
			assert_int_equal(used.len, 4);
		}
		assert_int_equal(neep_vring_pop(t.guest.ring, &element), 0);
		assert_false(guest_take_used(&t.guest, 2, &used));
		tracked_finish(&t);
	}
}

static void restart_keeps_order_over_several_crashes(void **state) {
	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		struct tracked t;
		tracked_init(&t, is_packed);
		for (uint16_t i = 0; i < 3; i++) {
			guest_offer_simple(&t.guest, (uint16_t)(5 - i), 0, 4);
			for (uint16_t k = 0; k <= i; k++) {
				assert_int_equal(slot_of(&t.guest, guest_pop(&t.guest)), 5 - k);
			}
			tracked_restart(&t, crash_base(&t.guest));
		}
		tracked_finish(&t);
	}
}

static void pause_does_not_submit_again(void **state) {
	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		struct tracked t;
		struct guest_used used;
		struct neep_vring_element *element;
		tracked_init(&t, is_packed);
		guest_offer_simple(&t.guest, 1, 0, 4);
		struct neep_vring_element *out = guest_pop(&t.guest);
		uint32_t base = neep_vring_stop(t.guest.ring);
		/* Front-ends send the area again at each start. */
		struct neep_inflight_queue *old = t.inflight;
		tracked_start(&t, base);
		neep_inflight_detach(old);
		assert_int_equal(neep_vring_pop(t.guest.ring, &element), 0);
		neep_vring_push(t.guest.ring, out, "x", 1);
		assert_true(guest_take_used(&t.guest, 1, &used));
		tracked_restart(&t, crash_base(&t.guest));
		assert_int_equal(neep_vring_pop(t.guest.ring, &element), 0);
		tracked_finish(&t);
	}
}

static void reset_clears_the_area(void **state) {
	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		struct tracked t;
		struct neep_vring_element *element;
		tracked_init(&t, is_packed);
		uint32_t base = t.guest.config.base;
		guest_offer_simple(&t.guest, 1, 0, 4);
		guest_pop(&t.guest);
		neep_vring_stop(t.guest.ring);
		neep_vring_reset(t.guest.ring);
		memset(t.guest.mem, 0, GUEST_BUFFER); // a new driver
		t.guest.avail = t.guest.used = 0;
		tracked_restart(&t, base);
		assert_int_equal(neep_vring_pop(t.guest.ring, &element), 0);
		tracked_finish(&t);
	}
}

static void area_with_wild_numbers_does_no_harm(void **state) {
	(void)state;
	unsigned seed = 1;
	for (int round = 0; round < 4000; round++) {
		struct tracked t;
		struct guest_used used;
		struct neep_vring_element *element;
		tracked_init(&t, round & 1);
		guest_offer_simple(&t.guest, 1, 4, 4);
		guest_offer_simple(&t.guest, 3, 4, 4);
		element = guest_pop(&t.guest);
		uint32_t len = (uint32_t)neep_inflight_area_len(1, SIZE, round & 1);
		for (int i = 0; i < 1 + round % 40; i++) {
			uint32_t at = 12 + (uint32_t)rand_r(&seed) % (len - 12); // behind version and size
			t.guest.mem[AREA_OFFSET + at] =
				(uint8_t)(rand_r(&seed) % 3 ? rand_r(&seed) % 10 : rand_r(&seed));
		}
		if (round & 2) {
			neep_vring_push(t.guest.ring, element, "x", 1);
			guest_take_used(&t.guest, 2, &used);
		}
		tracked_restart(&t, crash_base(&t.guest));
		for (int i = 0; i < 20 && neep_vring_pop(t.guest.ring, &element) == 1; i++) {
			neep_vring_push(t.guest.ring, element, "x", 1);
		}
		tracked_finish(&t);
	}
}

/* ---- A crash after every store ---- */

/* The property: whatever instruction a crash comes after, the driver sees each buffer used exactly once, when the
 * memory as it was at that moment is given to a new device. A child does the step under test, instruction by
 * instruction; each different state of the memory it goes through is recovered in a copy. */

#define STEP_MAX 200000

typedef void (*crash_step)(struct tracked *t, struct neep_vring_element **out);

static void step_push(struct tracked *t, struct neep_vring_element **out) {
	neep_vring_push(t->guest.ring, out[1], "answer", 6);
}

static void step_push_twice(struct tracked *t, struct neep_vring_element **out) {
	neep_vring_push(t->guest.ring, out[2], "answer", 6);
	neep_vring_push(t->guest.ring, out[0], "answer", 6);
}

static void step_pop(struct tracked *t, struct neep_vring_element **out) {
	neep_vring_pop(t->guest.ring, &out[3]);
}

static void step_pop_and_push(struct tracked *t, struct neep_vring_element **out) {
	neep_vring_pop(t->guest.ring, &out[3]);
	neep_vring_push(t->guest.ring, out[3], "answer", 6);
	neep_vring_push(t->guest.ring, out[0], "answer", 6);
}

/* Offers four buffers after `turns` that are done with, and pops three. */
static void crash_prepare(
	struct tracked *t, bool is_packed, uint32_t turns, struct neep_vring_element **out) {
	struct guest_used used;
	tracked_init(t, is_packed);
	for (uint32_t i = 0; i < turns; i++) {
		guest_offer_simple(&t->guest, 0, 0, 8);
		neep_vring_push(t->guest.ring, guest_pop(&t->guest), "x", 1);
		assert_true(guest_take_used(&t->guest, 1, &used));
	}
	for (uint16_t i = 0; i < 4; i++) {
		guest_offer_simple(&t->guest, (uint16_t)(2 * i), 4, 8);
	}
	for (int i = 0; i < 3; i++) {
		out[i] = guest_pop(&t->guest);
	}
	out[3] = NULL;
}

/* What the driver sees used already, then what a new device gives it: each of the four buffers once. */
static void expect_exactly_once(const struct tracked *crashed, const uint8_t *snapshot) {
	struct tracked t;
	struct guest_used used;
	struct neep_vring_element *element;
	uint32_t seen = 0;
	bool is_packed = crashed->guest.config.is_packed;
	guest_init_memory(&t.guest);
	memcpy(t.guest.mem, snapshot, GUEST_MEMORY);
	guest_init_config(&t.guest, &(struct guest_options){ .size = SIZE, .is_packed = is_packed });
	t.guest.used = crashed->guest.used;
	t.guest.used_wrap = crashed->guest.used_wrap;
	while (guest_take_used(&t.guest, 2, &used)) {
		assert_int_equal(seen & 1u << used.id, 0);
		seen |= 1u << used.id;
	}
	tracked_start(&t, crash_base(&t.guest));
	while (neep_vring_pop(t.guest.ring, &element) == 1) {
		assert_int_equal(seen & 1u << slot_of(&t.guest, element), 0); // not done twice
		assert_int_equal(element->readable_size, 4);
		assert_int_equal(element->writable_size, 8);
		neep_vring_push(t.guest.ring, element, "again", 5);
		assert_true(guest_take_used(&t.guest, 2, &used));
		seen |= 1u << used.id;
	}
	assert_false(neep_vring_is_broken(t.guest.ring));
	assert_int_equal(seen, 1u << 0 | 1u << 2 | 1u << 4 | 1u << 6);
	tracked_finish(&t);
}

static pid_t crash_spawn(struct tracked *t, struct neep_vring_element **out, crash_step step) {
	pid_t child = fork();
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
			_exit(1);
		}
		raise(SIGSTOP);
		step(t, out);
		_exit(0);
	}
	return child;
}

/* The ranges that steps write to: comparing all of the memory after each instruction takes too long. */
static bool memory_changed(const struct guest *guest, uint8_t *snapshot) {
	static const struct {
		uint32_t offset;
		uint32_t len;
	} ranges[] = { { GUEST_DESC, 128 }, { GUEST_USED, 80 }, { GUEST_BUFFER, 0x800 },
		{ AREA_OFFSET, 512 } };
	bool has_changed = false;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ranges); i++) {
		const uint8_t *now = guest->mem + ranges[i].offset;
		if (memcmp(now, snapshot + ranges[i].offset, ranges[i].len) != 0) {
			memcpy(snapshot + ranges[i].offset, now, ranges[i].len);
			has_changed = true;
		}
	}
	return has_changed;
}

/* Returns the number of states seen, 0 when processes cannot be traced here. */
static int crash_everywhere(bool is_packed, uint32_t turns, crash_step step) {
	struct tracked t;
	struct neep_vring_element *out[4];
	crash_prepare(&t, is_packed, turns, out);
	uint8_t *snapshot = malloc(GUEST_MEMORY);
	assert_non_null(snapshot);
	memcpy(snapshot, t.guest.mem, GUEST_MEMORY);
	expect_exactly_once(&t, snapshot);
	pid_t child = crash_spawn(&t, out, step);
	int states = 0;
	int status = 0;
	waitpid(child, &status, 0);
	for (int i = 0; i < STEP_MAX && WIFSTOPPED(status); i++) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0) {
			break;
		}
		waitpid(child, &status, 0);
		if (memory_changed(&t.guest, snapshot)) {
			expect_exactly_once(&t, snapshot);
			states++;
		}
	}
	bool is_traced = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	free(snapshot);
	tracked_finish(&t);
	return is_traced ? states : 0;
}

static void crash_anywhere_leaves_each_buffer_done_once(void **state) {
	(void)state;
	static const crash_step steps[] = { step_push, step_push_twice, step_pop, step_pop_and_push };
	static const uint32_t turns[] = { 0, 5, 7 }; // places before and across the wrap
	for (size_t i = 0; i < NEEP_ARRAY_LEN(steps) * NEEP_ARRAY_LEN(turns) * 2; i++) {
		uint32_t turn = turns[i / 2 % NEEP_ARRAY_LEN(turns)];
		int states = crash_everywhere(i % 2 == 0, turn, steps[i / 2 / NEEP_ARRAY_LEN(turns)]);
		if (states == 0) {
			print_message("# processes cannot be traced here\n");
			skip();
		}
		assert_true(states >= 2); // a pop of a split ring stores twice
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(area_is_laid_out_as_the_protocol_says),
		fd_checked_test(attach_refuses_wrong_areas),
		fd_checked_test(restart_finds_buffers_in_the_order_of_submission),
		fd_checked_test(restart_keeps_order_over_several_crashes),
		fd_checked_test(pause_does_not_submit_again),
		fd_checked_test(reset_clears_the_area),
		fd_checked_test(area_with_wild_numbers_does_no_harm),
		fd_checked_test(crash_anywhere_leaves_each_buffer_done_once),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("inflight", tests, NULL, NULL);
}
