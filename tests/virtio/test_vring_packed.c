#include <errno.h>
#include <string.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/guest.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define BUFFER   (GUEST_ADDR + GUEST_BUFFER)
#define TABLE    (GUEST_ADDR + GUEST_TABLE)
#define END      (GUEST_ADDR + GUEST_MEMORY)

static const struct guest_options plain = { .size = 8, .is_packed = true, .has_indirect = true };

static struct vring_packed_desc *table_at(struct guest *guest) {
	return (struct vring_packed_desc *)(void *)(guest->mem + GUEST_TABLE);
}

static void expect_nothing_used(struct guest *guest) {
	struct guest_used used;
	assert_false(guest_take_used(guest, 1, &used));
}

static void packed_round_trip_carries_bytes_both_ways(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct neep_vring_element *element = NULL;
	assert_false(neep_vring_has_work(g.ring));
	assert_int_equal(neep_vring_pop(g.ring, &element), 0);
	memcpy(g.mem + GUEST_BUFFER + 0x300, "hello", 5);
	guest_offer_simple(&g, 3, 5, 16);
	assert_true(neep_vring_has_work(g.ring));
	element = guest_pop(&g);
	assert_false(neep_vring_has_work(g.ring));
	assert_int_equal(element->readable_size, 5);
	assert_int_equal(element->writable_size, 16);
	assert_memory_equal(element->readable[0].iov_base, "hello", 5);
	assert_int_equal(neep_vring_push(g.ring, element, "world!", 6), 6);
	guest_expect_used(&g, 2, 3, 6);
	assert_memory_equal(g.mem + GUEST_BUFFER + 0x380, "world!", 6);
	guest_finish(&g);
}

static void packed_wraps_at_every_size(void **state) {
	(void)state;
	const uint32_t sizes[] = { 1, 2, 3, 5, 7, 100, 1023, 32767, 32768 };
	for (size_t s = 0; s < NEEP_ARRAY_LEN(sizes); s++) {
		struct guest g;
		guest_init(&g, &(struct guest_options){ .size = sizes[s], .is_packed = true });
		uint32_t slots = sizes[s] > 1 ? 2 : 1; // wraps in mid-chain for the odd sizes
		uint32_t rounds = 3 * sizes[s] + 10;
		for (uint32_t i = 0; i < rounds; i++) {
			uint16_t id = (uint16_t)(i * 7);
			if (slots == 2) {
				guest_offer_packed(&g, BUFFER, 4, NEXT, 0x7777); // only the last id counts
			}
			guest_offer_packed(&g, BUFFER + 64, 8, WRITE, id);
			neep_vring_push(g.ring, guest_pop(&g), &i, sizeof(i));
			guest_expect_used(&g, slots, id, 4);
			expect_nothing_used(&g);
		}
		uint32_t place = rounds * slots % sizes[s];
		uint32_t wrap = (rounds * slots / sizes[s] + 1) % 2;
		uint32_t half = place | wrap << 15;
		assert_int_equal(neep_vring_stop(g.ring), half | half << 16);
		guest_finish(&g);
	}
}

static void packed_completes_out_of_order(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &(struct guest_options){ .size = 7, .is_packed = true });
	for (int round = 0; round < 20; round++) {
		/* Chains of 1, 3 and 2 descriptors. */
		guest_offer_packed(&g, BUFFER, 8, WRITE, 10);
		guest_offer_packed(&g, BUFFER, 8, NEXT, 0);
		guest_offer_packed(&g, BUFFER + 64, 8, NEXT, 0);
		guest_offer_packed(&g, BUFFER + 128, 8, WRITE, 11);
		guest_offer_packed(&g, BUFFER, 8, NEXT, 0);
		guest_offer_packed(&g, BUFFER, 8, WRITE, 12);
		struct neep_vring_element *first = guest_pop(&g);
		struct neep_vring_element *second = guest_pop(&g);
		struct neep_vring_element *third = guest_pop(&g);
		neep_vring_push(g.ring, third, "ccc", 3);
		neep_vring_push(g.ring, first, "a", 1);
		guest_expect_used(&g, 2, 12, 3);
		guest_expect_used(&g, 1, 10, 1);
		expect_nothing_used(&g);
		neep_vring_push(g.ring, second, "bb", 2);
		guest_expect_used(&g, 3, 11, 2);
	}
	guest_finish(&g);
}

static void packed_chain_may_fill_the_ring(void **state) {
	(void)state;
	const uint32_t sizes[] = { 1, 2, 3, 1000, NEEP_VRING_CHAIN_MAX };
	for (size_t s = 0; s < NEEP_ARRAY_LEN(sizes); s++) {
		struct guest g;
		guest_init(&g, &(struct guest_options){ .size = sizes[s], .is_packed = true });
		for (int round = 0; round < 3; round++) {
			for (uint32_t i = 0; i < sizes[s]; i++) {
				guest_offer_packed(&g, BUFFER + 32 * i, 16, i + 1 < sizes[s] ? NEXT : 0, 5);
			}
			struct neep_vring_element *element = guest_pop(&g);
			assert_int_equal(element->readable_count, sizes[s]);
			neep_vring_push(g.ring, element, NULL, 0);
			guest_expect_used(&g, sizes[s], 5, 0);
		}
		guest_finish(&g);
	}
}

static void packed_chain_above_the_limit_is_returned(void **state) {
	(void)state;
	struct guest g;
	uint32_t len = NEEP_VRING_CHAIN_MAX + 1;
	guest_init(&g, &(struct guest_options){ .size = len + 10, .is_packed = true });
	for (uint32_t i = 0; i < len; i++) {
		guest_offer_packed(&g, BUFFER, 4, i + 1 < len ? NEXT : 0, 5);
	}
	guest_expect_malformed(&g, len, 5);
	guest_finish(&g);
}

static void packed_indirect_table_is_read_in_order(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	/* Flags other than WRITE mean nothing in the table. */
	table_at(&g)[0] = (struct vring_packed_desc){ .addr = BUFFER, .len = 8, .id = 9, .flags = INDIRECT };
	table_at(&g)[1] = (struct vring_packed_desc){ .addr = BUFFER + 64, .len = 4, .flags = NEXT };
	table_at(&g)[2] = (struct vring_packed_desc){ .addr = BUFFER + 128, .len = 16, .flags = WRITE };
	guest_offer_packed(&g, TABLE, 48, INDIRECT | WRITE, 4);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_count, 2);
	assert_int_equal(element->readable_size, 12);
	assert_int_equal(element->writable_size, 16);
	neep_vring_push(g.ring, element, "abc", 3);
	guest_expect_used(&g, 1, 4, 3);
	guest_finish(&g);
}

static void packed_indirect_may_follow_direct(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	table_at(&g)[0] = (struct vring_packed_desc){ .addr = BUFFER, .len = 8, .flags = WRITE };
	guest_offer_packed(&g, BUFFER, 8, NEXT, 1);
	guest_offer_packed(&g, TABLE, 16, INDIRECT, 2);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_size, 8);
	assert_int_equal(element->writable_size, 8);
	neep_vring_push(g.ring, element, "abc", 3);
	guest_expect_used(&g, 2, 2, 3);
	guest_finish(&g);
}

/* Up to three descriptors in the ring (`slots` of them), and a table. */
struct bad_chain {
	const char *name;
	uint32_t slots;
	struct vring_packed_desc desc[3];
	struct vring_packed_desc table[2];
};

static const struct bad_chain bad_chains[] = {
	{ "zero length", 1, { { BUFFER, 0, 3, 0 } }, { { 0 } } },
	{ "zero length first", 2, { { BUFFER, 0, 0, NEXT }, { BUFFER, 4, 3, WRITE } }, { { 0 } } },
	{ "readable after writable", 3,
		{ { BUFFER, 4, 0, NEXT | WRITE }, { BUFFER, 4, 0, NEXT }, { BUFFER, 4, 3, WRITE } },
		{ { 0 } } },
	{ "outside memory", 2, { { END, 4, 0, NEXT }, { BUFFER, 4, 3, WRITE } }, { { 0 } } },
	{ "over the end", 1, { { END - 1, 2, 3, 0 } }, { { 0 } } },
	{ "wrapping address", 1, { { UINT64_MAX, UINT32_MAX, 3, WRITE } }, { { 0 } } },
	{ "table length 0", 1, { { TABLE, 0, 3, INDIRECT } }, { { 0 } } },
	{ "table length 17", 1, { { TABLE, 17, 3, INDIRECT } },
		{ { BUFFER, 4, 0, 0 }, { BUFFER, 4, 0, 0 } } },
	{ "table too long", 1, { { BUFFER, (NEEP_VRING_CHAIN_MAX + 1) * 16, 3, INDIRECT } }, { { 0 } } },
	{ "table outside memory", 1, { { END, 16, 3, INDIRECT } }, { { 0 } } },
	{ "table in mid-chain", 2, { { TABLE, 16, 0, INDIRECT | NEXT }, { BUFFER, 4, 3, 0 } },
		{ { BUFFER, 4, 0, 0 } } },
	{ "table entry of length 0", 1, { { TABLE, 32, 3, INDIRECT } }, { { BUFFER, 4, 0, 0 } } },
	{ "table entry outside memory", 1, { { TABLE, 16, 3, INDIRECT } }, { { END, 4, 0, 0 } } },
	{ "table readable after writable", 1, { { TABLE, 32, 3, INDIRECT } },
		{ { BUFFER, 4, 0, WRITE }, { BUFFER, 4, 0, 0 } } },
};

static void packed_malformed_chain_is_returned_unused(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_chains); i++) {
		const struct bad_chain *bad = &bad_chains[i];
		struct guest g;
		guest_init(&g, &plain);
		print_message("# %s\n", bad->name);
		memcpy(table_at(&g), bad->table, sizeof(bad->table));
		for (uint32_t k = 0; k < bad->slots; k++) {
			const struct vring_packed_desc *desc = &bad->desc[k];
			guest_offer_packed(&g, desc->addr, desc->len, desc->flags, desc->id);
		}
		guest_expect_malformed(&g, bad->slots, 3);
		guest_finish(&g);
	}
}

static void packed_indirect_is_refused_without_the_feature(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &(struct guest_options){ .size = 8, .is_packed = true });
	table_at(&g)[0] = (struct vring_packed_desc){ .addr = BUFFER, .len = 8 };
	guest_offer_packed(&g, TABLE, 16, INDIRECT, 2);
	guest_expect_malformed(&g, 1, 2);
	guest_finish(&g);
}

static void packed_breaks_when_a_chain_has_no_end(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	for (uint32_t i = 0; i < 8; i++) {
		guest_offer_packed(&g, BUFFER, 4, NEXT, 0);
	}
	guest_expect_broken(&g);
	/* The next start heals it. */
	g.config.base = neep_vring_stop(g.ring);
	assert_int_equal(g.config.base, 0x80008000);
	guest_packed_desc(&g, 3)->flags &= (uint16_t)~NEXT;
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	assert_int_equal(guest_pop(&g)->readable_size, 16);
	guest_finish(&g);
}

static void packed_breaks_when_more_is_out_than_the_ring_holds(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	for (uint32_t i = 0; i < 8; i++) {
		guest_offer_packed(&g, BUFFER, 4, 0, 0);
		guest_pop(&g);
	}
	guest_offer_packed(&g, BUFFER, 4, 0, 0);
	guest_expect_broken(&g);
	guest_finish(&g);
}

static void packed_starts_where_the_base_says(void **state) {
	(void)state;
	struct guest g;
	guest_init_memory(&g);
	guest_init_config(&g, &plain);
	g.config.base = 0x00058006; // avail 6, wrap 1; used 5, wrap 0
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	g.avail = 6;
	g.used = 5;
	g.used_wrap = false;
	guest_offer_packed(&g, BUFFER, 4, WRITE, 9);
	neep_vring_push(g.ring, guest_pop(&g), "x", 1);
	guest_expect_used(&g, 1, 9, 1);
	assert_int_equal(neep_vring_stop(g.ring), 0x00068007);
	guest_finish(&g);
}

static void packed_start_refuses_wrong_configuration(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	neep_vring_stop(g.ring);
	const uint32_t sizes[] = { 0, 32769, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		struct neep_vring_config config = g.config;
		config.size = sizes[i];
		assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	}
	const uint32_t bases[] = { 8, 0x80008008, 0x00080000, 0x7fff7fff, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bases); i++) {
		struct neep_vring_config config = g.config;
		config.base = bases[i];
		assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	}
	struct neep_vring_config config = g.config;
	config.avail = (uint8_t *)config.avail + 2;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	guest_finish(&g);
}

static void packed_parks_pushes_while_stopped(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 1, 4, 8);
	guest_offer_simple(&g, 2, 0, 8);
	struct neep_vring_element *first = guest_pop(&g);
	struct neep_vring_element *second = guest_pop(&g);
	g.config.base = neep_vring_stop(g.ring);
	assert_int_equal(g.config.base, 0x80008003);
	neep_vring_push(g.ring, second, "22", 2);
	neep_vring_push(g.ring, first, "1", 1);
	expect_nothing_used(&g);
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	guest_expect_used(&g, 1, 2, 2);
	guest_expect_used(&g, 2, 1, 1);
	guest_finish(&g);
}

static void packed_ring_may_restart_as_split(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_offer_simple(&g, 1, 0, 8);
	struct neep_vring_element *old = guest_pop(&g);
	neep_vring_stop(g.ring);
	neep_vring_destroy(g.ring);
	(void)old;
	memset(g.mem, 0, GUEST_BUFFER);
	g.avail = 0;
	guest_init_config(&g, &(struct guest_options){ .size = 8 });
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	guest_offer_simple(&g, 0, 4, 8);
	assert_int_equal(neep_vring_push(g.ring, guest_pop(&g), "x", 1), 1);
	guest_expect_used(&g, 1, 0, 1);
	guest_finish(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(packed_round_trip_carries_bytes_both_ways),
		fd_checked_test(packed_wraps_at_every_size),
		fd_checked_test(packed_completes_out_of_order),
		fd_checked_test(packed_chain_may_fill_the_ring),
		fd_checked_test(packed_chain_above_the_limit_is_returned),
		fd_checked_test(packed_indirect_table_is_read_in_order),
		fd_checked_test(packed_indirect_may_follow_direct),
		fd_checked_test(packed_malformed_chain_is_returned_unused),
		fd_checked_test(packed_indirect_is_refused_without_the_feature),
		fd_checked_test(packed_breaks_when_a_chain_has_no_end),
		fd_checked_test(packed_breaks_when_more_is_out_than_the_ring_holds),
		fd_checked_test(packed_starts_where_the_base_says),
		fd_checked_test(packed_start_refuses_wrong_configuration),
		fd_checked_test(packed_parks_pushes_while_stopped),
		fd_checked_test(packed_ring_may_restart_as_split),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("vring_packed", tests, NULL, NULL);
}
