/* A ring through pauses and resets, and over memory that comes in pieces or goes away. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "virtio/guest.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define BUFFER   (GUEST_ADDR + GUEST_BUFFER)
#define END      (GUEST_ADDR + GUEST_MEMORY)

static const struct guest_options plain = { .size = 8, .has_indirect = true };

static struct vring_desc *table_at(struct guest *guest, uint32_t offset) {
	return (struct vring_desc *)(void *)(guest->mem + offset);
}

/* ---- Stop, resume, reset ---- */

static void ring_parks_pushes_while_stopped_and_publishes_on_resume(void **state) {
	(void)state;
	struct guest g;
	struct guest_used used;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 0, 0, 8);
	guest_offer_simple(&g, 1, 0, 8);
	struct neep_vring_element *first = guest_pop(&g);
	struct neep_vring_element *second = guest_pop(&g);
	uint32_t base = neep_vring_stop(g.ring);
	assert_int_equal(base, 2);
	char reply[8] = "later";
	assert_int_equal(neep_vring_push(g.ring, second, reply, 5), 5);
	memset(reply, 0, sizeof(reply));
	assert_int_equal(neep_vring_push(g.ring, first, "soon", 4), 4);
	neep_vring_notify(g.ring);
	assert_false(guest_take_used(&g, 1, &used));
	assert_int_equal(g.mem[GUEST_BUFFER + 0x180], 0);
	assert_false(guest_interrupted(&g));
	g.config.base = base;
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	assert_true(guest_interrupted(&g));
	guest_expect_used(&g, 1, 1, 5);
	guest_expect_used(&g, 1, 0, 4);
	assert_memory_equal(g.mem + GUEST_BUFFER + 0x180, "later", 5);
	assert_memory_equal(g.mem + GUEST_BUFFER + 0x80, "soon", 4);
	guest_finish(&g);
}

static void ring_elements_survive_a_pause(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 0, 0, 8);
	struct neep_vring_element *element = guest_pop(&g);
	g.config.base = neep_vring_stop(g.ring);
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	neep_vring_push(g.ring, element, "x", 1);
	guest_expect_used(&g, 1, 0, 1);
	guest_finish(&g);
}

static void ring_drops_pushes_after_reset(void **state) {
	(void)state;
	struct guest g;
	struct guest_used used;
	guest_init(&g, &plain);
	for (uint16_t i = 0; i < 3; i++) {
		guest_offer_simple(&g, i, 0, 8);
	}
	struct neep_vring_element *parked = guest_pop(&g);
	struct neep_vring_element *pushed_stopped = guest_pop(&g);
	struct neep_vring_element *pushed_running = guest_pop(&g);
	g.config.base = neep_vring_stop(g.ring);
	neep_vring_push(g.ring, parked, "x", 1);
	neep_vring_reset(g.ring);
	neep_vring_push(g.ring, pushed_stopped, "x", 1);
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0); // even at the same place
	neep_vring_push(g.ring, pushed_running, "x", 1);
	assert_false(guest_take_used(&g, 1, &used));
	/* The places of the old life do not count. */
	for (uint16_t i = 0; i < 8; i++) {
		guest_offer_simple(&g, i, 0, 8);
		guest_pop(&g);
	}
	guest_finish(&g);
}

static void ring_start_elsewhere_is_a_reset(void **state) {
	(void)state;
	struct guest g;
	struct guest_used used;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 0, 0, 8);
	guest_offer_simple(&g, 1, 0, 8);
	struct neep_vring_element *parked = guest_pop(&g);
	struct neep_vring_element *out = guest_pop(&g);
	neep_vring_stop(g.ring);
	neep_vring_push(g.ring, parked, "x", 1);
	g.config.base = 0;
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	neep_vring_push(g.ring, out, "x", 1);
	assert_false(guest_take_used(&g, 1, &used));
	guest_finish(&g);
}

static void ring_destroy_frees_what_is_out_and_parked(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	for (uint16_t i = 0; i < 3; i++) {
		guest_offer_simple(&g, i, 4, 0);
	}
	guest_pop(&g);
	struct neep_vring_element *parked = guest_pop(&g);
	neep_vring_stop(g.ring);
	neep_vring_push(g.ring, parked, "x", 1);
	guest_finish(&g);
	neep_vring_destroy(NULL);
}

static void ring_that_never_started_is_quiet(void **state) {
	(void)state;
	struct guest g;
	struct neep_vring_element *element;
	guest_init_memory(&g);
	guest_init_config(&g, &plain);
	assert_false(neep_vring_is_running(g.ring));
	assert_false(neep_vring_has_work(g.ring));
	assert_false(neep_vring_enable_kick(g.ring));
	neep_vring_disable_kick(g.ring);
	neep_vring_notify(g.ring);
	neep_vring_reset(g.ring);
	assert_int_equal(neep_vring_pop(g.ring, &element), 0);
	assert_int_equal(neep_vring_stop(g.ring), 0);
	guest_finish(&g);
}

/* ---- Memory that comes in pieces, or goes ---- */

/* A second region that follows the first in guest addresses. */
static void add_region_behind(struct guest *g, uint64_t size) {
	struct neep_memory_region_info info = {
		.guest_addr = GUEST_ADDR + GUEST_MEMORY, .size = size, .user_addr = GUEST_USER + (1u << 30)
	};
	assert_int_equal(neep_memory_add(g->memory, &info, neep_memfd_create("more", size), NULL), 0);
}

static void ring_splits_buffers_across_regions(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	add_region_behind(&g, 0x1000);
	guest_set_desc(guest_desc(&g, 0), END - 0x10, 0x20, WRITE, 0);
	guest_offer(&g, 0);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->writable_size, 0x20);
	assert_int_equal(neep_vring_push(g.ring, element, "0123456789abcdefghij", 20), 20);
	uint64_t len;
	assert_memory_equal(neep_memory_translate(g.memory, END, 4, &len), "ghij", 4);
	guest_set_desc(guest_desc(&g, 0), END - 0x10, 0x1011, 0, 0);
	guest_expect_used(&g, 1, 0, 20);
	guest_offer_malformed(&g, 0);
	guest_finish(&g);
}

static void ring_reads_tables_across_regions(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	add_region_behind(&g, 0x1000);
	const struct vring_desc table[2] = { { BUFFER, 4, NEXT, 1 }, { BUFFER + 64, 4, WRITE, 0 } };
	uint64_t len;
	memcpy(g.mem + GUEST_MEMORY - 20, table, 20);
	memcpy(neep_memory_translate(g.memory, END, 12, &len), (const uint8_t *)table + 20, 12);
	guest_set_desc(guest_desc(&g, 0), END - 20, 32, INDIRECT, 0);
	guest_offer(&g, 0);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_size, 4);
	assert_int_equal(element->writable_size, 4);
	neep_vring_discard(g.ring, element);
	guest_finish(&g);
}

static void ring_huge_lengths_do_not_overflow(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	uint64_t addr = UINT64_C(1) << 40;
	uint64_t size = UINT64_C(1) << 32;
	struct neep_memory_region_info info = { .guest_addr = addr, .size = size, .user_addr = addr };
	assert_int_equal(neep_memory_add(g.memory, &info, neep_memfd_create("huge", size), NULL), 0);
	struct vring_desc *table = table_at(&g, GUEST_TABLE);
	for (uint32_t i = 0; i < NEEP_VRING_CHAIN_MAX; i++) {
		bool is_last = i + 1 == NEEP_VRING_CHAIN_MAX;
		guest_set_desc(&table[i], addr, UINT32_MAX, WRITE | (is_last ? 0 : NEXT), (uint16_t)(i + 1));
	}
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_TABLE), NEEP_VRING_CHAIN_MAX * 16, INDIRECT, 0);
	guest_offer(&g, 0);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->writable_size, (uint64_t)UINT32_MAX * NEEP_VRING_CHAIN_MAX);
	assert_int_equal(neep_vring_push(g.ring, element, "x", 1), 1);
	guest_finish(&g);
}

static void ring_pieces_of_one_buffer_are_bounded(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	/* 500 regions of a page that are adjacent for the guest and in reverse order in their file. */
	uint64_t addr = UINT64_C(1) << 40;
	int fd = neep_memfd_create("pieces", 500 * 4096);
	for (uint32_t i = 0; i < 500; i++) {
		struct neep_memory_region_info info = {
			.guest_addr = addr + i * 4096,
			.size = 4096,
			.user_addr = addr + i * 8192,
			.mmap_offset = (499 - i) * 4096,
		};
		assert_int_equal(neep_memory_add(g.memory, &info, dup(fd), NULL), 0);
	}
	close(fd);
	struct vring_desc *table = table_at(&g, GUEST_TABLE);
	for (uint32_t i = 0; i < 100; i++) {
		guest_set_desc(&table[i], addr, 500 * 4096, i < 99 ? NEXT : 0, (uint16_t)(i + 1));
	}
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_TABLE), 1600, INDIRECT, 0);
	guest_offer_malformed(&g, 0);
	guest_finish(&g);
}

static void ring_forgets_buffers_in_memory_that_goes_away(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	add_region_behind(&g, 0x1000);
	struct neep_memory_region_info info = {
		.guest_addr = GUEST_ADDR + GUEST_MEMORY, .size = 0x1000, .user_addr = GUEST_USER + (1u << 30)
	};
	struct neep_vring_element *element[3];
	for (uint16_t i = 0; i < 3; i++) {
		guest_set_desc(guest_desc(&g, i), i == 2 ? BUFFER : END, 8, WRITE, 0);
		guest_offer(&g, i);
		element[i] = guest_pop(&g);
	}
	g.config.base = neep_vring_stop(g.ring);
	neep_vring_push(g.ring, element[0], "gone", 4);
	assert_int_equal(neep_memory_remove(g.memory, &info), 0);
	assert_int_equal(element[1]->writable_count, 0);
	assert_int_equal(element[2]->writable_count, 1);
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	assert_int_equal(neep_vring_push(g.ring, element[1], "gone", 4), 0);
	assert_int_equal(neep_vring_push(g.ring, element[2], "here", 4), 4);
	guest_expect_used(&g, 1, 0, 0);
	guest_expect_used(&g, 1, 1, 0);
	guest_expect_used(&g, 1, 2, 4);
	guest_finish(&g);
}

static void ring_stops_when_its_own_memory_goes_away(void **state) {
	(void)state;
	struct guest g;
	struct neep_vring_element *element;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 0, 4, 4);
	guest_offer_simple(&g, 2, 4, 4);
	struct neep_vring_element *out = guest_pop(&g);
	assert_int_equal(neep_memory_replace(g.memory, NULL, NULL, 0, NULL), 0);
	assert_false(neep_vring_is_running(g.ring));
	assert_int_equal(neep_vring_pop(g.ring, &element), 0);
	assert_int_equal(neep_vring_push(g.ring, out, "x", 1), 0);
	neep_vring_notify(g.ring);
	assert_int_equal(neep_vring_stop(g.ring), 1);
	guest_finish(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(ring_parks_pushes_while_stopped_and_publishes_on_resume),
		fd_checked_test(ring_elements_survive_a_pause),
		fd_checked_test(ring_drops_pushes_after_reset),
		fd_checked_test(ring_start_elsewhere_is_a_reset),
		fd_checked_test(ring_destroy_frees_what_is_out_and_parked),
		fd_checked_test(ring_that_never_started_is_quiet),
		fd_checked_test(ring_splits_buffers_across_regions),
		fd_checked_test(ring_reads_tables_across_regions),
		fd_checked_test(ring_huge_lengths_do_not_overflow),
		fd_checked_test(ring_pieces_of_one_buffer_are_bounded),
		fd_checked_test(ring_forgets_buffers_in_memory_that_goes_away),
		fd_checked_test(ring_stops_when_its_own_memory_goes_away),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("vring_life", tests, NULL, NULL);
}
