/* Who is woken when: interrupts to the driver, kicks from it, the call fd. */
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/guest.h"

static const struct guest_options split = { .size = 8 };
static const struct guest_options split_event = { .size = 8, .has_event_idx = true };
static const struct guest_options packed = { .size = 8, .is_packed = true };
static const struct guest_options packed_event = { .size = 8, .is_packed = true, .has_event_idx = true };

static struct vring_packed_desc_event *driver_event(struct guest *guest) {
	return (struct vring_packed_desc_event *)(void *)(guest->mem + GUEST_AVAIL);
}

static struct vring_packed_desc_event *device_event(struct guest *guest) {
	return (struct vring_packed_desc_event *)(void *)(guest->mem + GUEST_USED);
}

/* One buffer through the ring, without a notify. */
static void turn(struct guest *guest) {
	struct guest_used used;
	guest_offer_simple(guest, 0, 0, 8);
	neep_vring_push(guest->ring, guest_pop(guest), "x", 1);
	assert_true(guest_take_used(guest, 1, &used));
}

static bool turn_interrupts(struct guest *guest) {
	turn(guest);
	neep_vring_notify(guest->ring);
	return guest_interrupted(guest);
}

/* The first notify after a start always interrupts. */
static void start_quietly(struct guest *guest, const struct guest_options *options) {
	guest_init(guest, options);
	assert_false(guest_interrupted(guest));
	assert_true(turn_interrupts(guest));
}

static void notify_without_pushes_is_quiet(void **state) {
	(void)state;
	const struct guest_options *all[] = { &split, &split_event, &packed, &packed_event };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		struct guest g;
		start_quietly(&g, all[i]);
		neep_vring_notify(g.ring);
		assert_false(guest_interrupted(&g));
		guest_finish(&g);
	}
}

static void notify_interrupts_once_for_a_batch(void **state) {
	(void)state;
	struct guest g;
	uint64_t count = 0;
	guest_init(&g, &split);
	for (int i = 0; i < 5; i++) {
		turn(&g);
		assert_false(guest_interrupted(&g)); // only notify signals
	}
	neep_vring_notify(g.ring);
	neep_vring_notify(g.ring);
	assert_int_equal(read(g.call_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	guest_finish(&g);
}

static void notify_honours_the_split_flag(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &split);
	guest_avail(&g)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(turn_interrupts(&g));
	guest_avail(&g)->flags = 0;
	assert_true(turn_interrupts(&g));
	*guest_used_event(&g) = 0x4000; // means nothing without the feature
	assert_true(turn_interrupts(&g));
	guest_finish(&g);
}

static void notify_honours_the_split_event_index(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &split_event);                     // used index 1
	guest_avail(&g)->flags = VRING_AVAIL_F_NO_INTERRUPT; // means nothing with the feature
	*guest_used_event(&g) = 3;
	assert_false(turn_interrupts(&g)); // 2
	assert_false(turn_interrupts(&g)); // 3
	assert_true(turn_interrupts(&g));  // passes 3
	assert_false(turn_interrupts(&g)); // 5
	*guest_used_event(&g) = 6;
	turn(&g);
	turn(&g);
	turn(&g);
	neep_vring_notify(g.ring); // 5 to 8 in one batch
	assert_true(guest_interrupted(&g));
	guest_finish(&g);
}

static void notify_honours_the_split_event_index_when_it_wraps(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &split_event);
	*guest_used_event(&g) = 0xffff;
	for (uint32_t used = 1; used < 0x2ffff; used++) {
		bool is_due = (used & 0xffff) == 0xffff;
		assert_int_equal(turn_interrupts(&g), is_due);
	}
	guest_finish(&g);
}

static void notify_after_more_than_a_lap_interrupts(void **state) {
	(void)state;
	const struct guest_options *all[] = { &split_event, &packed_event };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		struct guest g;
		start_quietly(&g, all[i]);
		driver_event(&g)->flags = all[i]->is_packed ? VRING_PACKED_EVENT_FLAG_DESC : 0;
		for (uint32_t k = 0; k < 0x10000; k++) {
			turn(&g);
		}
		neep_vring_notify(g.ring);
		assert_true(guest_interrupted(&g));
		guest_finish(&g);
	}
}

static void notify_honours_the_packed_flags(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &packed);
	driver_event(&g)->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	assert_false(turn_interrupts(&g));
	driver_event(&g)->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	assert_true(turn_interrupts(&g));
	driver_event(&g)->flags = VRING_PACKED_EVENT_FLAG_DESC; // without the feature: better too often
	assert_true(turn_interrupts(&g));
	driver_event(&g)->flags = 3; // reserved
	assert_true(turn_interrupts(&g));
	guest_finish(&g);
}

/* Every place of both laps, approached from every distance. */
static void notify_honours_the_packed_event_place(void **state) {
	(void)state;
	for (uint16_t index = 0; index < 8; index++) {
		for (uint16_t wrap = 0; wrap < 2; wrap++) {
			struct guest g;
			start_quietly(&g, &packed_event);
			driver_event(&g)->flags = VRING_PACKED_EVENT_FLAG_DESC;
			driver_event(&g)->off_wrap = (uint16_t)(index | wrap << 15);
			for (uint32_t place = 1; place < 16; place++) {
				uint32_t wanted = wrap == 1 ? index : index + 8u;
				/* The buffer used at `place` is the one that was waited for. */
				assert_int_equal(turn_interrupts(&g), place == wanted);
			}
			guest_finish(&g);
		}
	}
}

static void notify_honours_the_packed_event_place_in_batches(void **state) {
	(void)state;
	for (uint32_t batch = 2; batch < 8; batch++) {
		for (uint32_t wanted = 1; wanted < 16; wanted++) {
			struct guest g;
			start_quietly(&g, &packed_event);
			driver_event(&g)->flags = VRING_PACKED_EVENT_FLAG_DESC;
			driver_event(&g)->off_wrap = (uint16_t)(wanted % 8 | (wanted < 8 ? 1u << 15 : 0));
			for (uint32_t place = 1; place + batch <= 16; place += batch) {
				for (uint32_t i = 0; i < batch; i++) {
					turn(&g);
				}
				neep_vring_notify(g.ring);
				bool is_due = wanted >= place && wanted < place + batch;
				assert_int_equal(guest_interrupted(&g), is_due);
			}
			guest_finish(&g);
		}
	}
}

static void malformed_buffers_are_notified_at_once(void **state) {
	(void)state;
	struct guest g;
	struct neep_vring_element *element;
	start_quietly(&g, &split);
	guest_set_desc(guest_desc(&g, 0), 0, 0, 0, 0);
	guest_offer(&g, 0);
	assert_int_equal(neep_vring_pop(g.ring, &element), 0);
	assert_true(guest_interrupted(&g));
	guest_finish(&g);
}

static void stop_notifies_what_was_pushed_before(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &split);
	turn(&g);
	neep_vring_stop(g.ring);
	assert_true(guest_interrupted(&g));
	neep_vring_notify(g.ring);
	assert_false(guest_interrupted(&g));
	guest_finish(&g);
}

static void call_fd_is_signalled_when_it_is_set(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &split);
	int fd = neep_eventfd_create();
	int kept = dup(fd);
	neep_vring_set_call_fd(g.ring, fd);
	g.call_fd = kept;
	assert_true(guest_interrupted(&g));
	neep_vring_set_call_fd(g.ring, -1);
	turn(&g);
	neep_vring_notify(g.ring);
	assert_false(guest_interrupted(&g));
	close(kept);
	guest_finish(&g);
}

/* ---- Kicks ---- */

static void enable_kick_sets_the_split_flag(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &split);
	neep_vring_disable_kick(g.ring);
	assert_int_equal(guest_used_ring(&g)->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(neep_vring_enable_kick(g.ring));
	assert_int_equal(guest_used_ring(&g)->flags, 0);
	assert_int_equal(*guest_avail_event(&g), 0);
	guest_offer_simple(&g, 0, 4, 0);
	assert_true(neep_vring_enable_kick(g.ring));
	guest_finish(&g);
}

static void enable_kick_sets_the_split_event_index(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &split_event);
	assert_false(neep_vring_enable_kick(g.ring));
	assert_int_equal(*guest_avail_event(&g), 1);
	/* The driver's test for its next buffer. */
	assert_true(vring_need_event(*guest_avail_event(&g), 2, 1));
	neep_vring_disable_kick(g.ring);
	assert_int_equal(guest_used_ring(&g)->flags, 0); // must stay 0 with the feature
	for (uint16_t i = 1; i < 1000; i++) {
		assert_false(vring_need_event(*guest_avail_event(&g), (uint16_t)(i + 1), i));
	}
	guest_offer_simple(&g, 0, 4, 0);
	assert_true(neep_vring_enable_kick(g.ring));
	guest_finish(&g);
}

static void enable_kick_sets_the_packed_flags(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &packed);
	neep_vring_disable_kick(g.ring);
	assert_int_equal(device_event(&g)->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_false(neep_vring_enable_kick(g.ring));
	assert_int_equal(device_event(&g)->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	guest_offer_simple(&g, 0, 4, 0);
	assert_true(neep_vring_enable_kick(g.ring));
	guest_finish(&g);
}

static void enable_kick_sets_the_packed_event_place(void **state) {
	(void)state;
	struct guest g;
	start_quietly(&g, &packed_event);
	for (uint32_t place = 1; place < 40; place++) {
		neep_vring_disable_kick(g.ring);
		assert_int_equal(device_event(&g)->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
		assert_false(neep_vring_enable_kick(g.ring));
		assert_int_equal(device_event(&g)->flags, VRING_PACKED_EVENT_FLAG_DESC);
		uint32_t wrap = (place / 8 + 1) % 2;
		assert_int_equal(device_event(&g)->off_wrap, place % 8 | wrap << 15);
		turn(&g);
	}
	guest_offer_simple(&g, 0, 4, 0);
	assert_true(neep_vring_enable_kick(g.ring));
	guest_finish(&g);
}

static void start_asks_for_kicks(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &packed);
	neep_vring_disable_kick(g.ring);
	g.config.base = neep_vring_stop(g.ring);
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	assert_int_equal(device_event(&g)->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	guest_finish(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(notify_without_pushes_is_quiet),
		fd_checked_test(notify_interrupts_once_for_a_batch),
		fd_checked_test(notify_honours_the_split_flag),
		fd_checked_test(notify_honours_the_split_event_index),
		fd_checked_test(notify_honours_the_split_event_index_when_it_wraps),
		fd_checked_test(notify_after_more_than_a_lap_interrupts),
		fd_checked_test(notify_honours_the_packed_flags),
		fd_checked_test(notify_honours_the_packed_event_place),
		fd_checked_test(notify_honours_the_packed_event_place_in_batches),
		fd_checked_test(malformed_buffers_are_notified_at_once),
		fd_checked_test(stop_notifies_what_was_pushed_before),
		fd_checked_test(call_fd_is_signalled_when_it_is_set),
		fd_checked_test(enable_kick_sets_the_split_flag),
		fd_checked_test(enable_kick_sets_the_split_event_index),
		fd_checked_test(enable_kick_sets_the_packed_flags),
		fd_checked_test(enable_kick_sets_the_packed_event_place),
		fd_checked_test(start_asks_for_kicks),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("vring_events", tests, NULL, NULL);
}
