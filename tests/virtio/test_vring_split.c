#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/guest.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static const struct guest_options plain = { .size = 8, .has_indirect = true };

static struct vring_desc *table_at(struct guest *guest, uint32_t offset) {
	return (struct vring_desc *)(void *)(guest->mem + offset);
}

static void split_round_trip_carries_bytes_both_ways(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct neep_vring_element *element = NULL;
	assert_false(neep_vring_has_work(g.ring));
	assert_int_equal(neep_vring_pop(g.ring, &element), 0);
	memcpy(g.mem + GUEST_BUFFER, "hello", 5);
	guest_offer_simple(&g, 0, 5, 16);
	assert_true(neep_vring_has_work(g.ring));
	element = guest_pop(&g);
	assert_int_equal(element->readable_count, 1);
	assert_int_equal(element->writable_count, 1);
	assert_int_equal(element->readable_size, 5);
	assert_int_equal(element->writable_size, 16);
	assert_memory_equal(element->readable[0].iov_base, "hello", 5);
	assert_int_equal(neep_vring_push(g.ring, element, "world!", 6), 6);
	guest_expect_used(&g, 1, 0, 6);
	assert_memory_equal(g.mem + GUEST_BUFFER + 0x80, "world!", 6);
	guest_finish(&g);
}

static void split_push_cuts_reply_to_the_writable_part(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	memset(g.mem + GUEST_BUFFER + 0x80, 'x', 8);
	guest_offer_simple(&g, 0, 1, 4);
	assert_int_equal(neep_vring_push(g.ring, guest_pop(&g), "123456", 6), 4);
	guest_expect_used(&g, 1, 0, 4);
	assert_memory_equal(g.mem + GUEST_BUFFER + 0x80, "1234xxxx", 8);
	guest_offer_simple(&g, 0, 1, 0);
	assert_int_equal(neep_vring_push(g.ring, guest_pop(&g), "123456", 6), 0);
	guest_expect_used(&g, 1, 0, 0);
	guest_finish(&g);
}

static void split_completes_out_of_order(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct neep_vring_element *elements[4];
	for (uint16_t i = 0; i < 4; i++) {
		guest_offer_simple(&g, i, 0, 8);
		elements[i] = guest_pop(&g);
	}
	const uint16_t order[] = { 2, 0, 3, 1 };
	for (size_t i = 0; i < 4; i++) {
		neep_vring_push(g.ring, elements[order[i]], &order[i], 2);
		guest_expect_used(&g, 1, order[i], 2);
	}
	guest_finish(&g);
}

static void split_indices_wrap_at_every_size(void **state) {
	(void)state;
	for (uint32_t size = 1; size <= NEEP_VRING_SIZE_MAX; size *= 8) {
		struct guest g;
		guest_init(&g, &(struct guest_options){ .size = size });
		for (uint32_t i = 0; i < 70000; i++) {
			uint16_t head = (uint16_t)((i * 5) % size);
			guest_set_desc(guest_desc(&g, head), guest_addr(GUEST_BUFFER), 8, WRITE, 0);
			guest_offer(&g, head);
			neep_vring_push(g.ring, guest_pop(&g), &i, sizeof(i));
			guest_expect_used(&g, 1, head, 4);
		}
		assert_int_equal(neep_vring_stop(g.ring), 70000 & 0xffff);
		guest_finish(&g);
	}
}

static void split_ring_can_be_completely_full(void **state) {
	(void)state;
	struct guest g;
	struct neep_vring_element *elements[8];
	guest_init(&g, &plain);
	for (uint16_t i = 0; i < 8; i++) {
		guest_offer_simple(&g, i, 0, 8);
	}
	for (uint16_t i = 0; i < 8; i++) {
		elements[i] = guest_pop(&g);
	}
	for (uint16_t i = 0; i < 8; i++) {
		neep_vring_push(g.ring, elements[i], "", 1);
		guest_expect_used(&g, 1, i, 1);
	}
	guest_finish(&g);
}

static void split_merges_adjacent_descriptors(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	uint64_t addr = guest_addr(GUEST_BUFFER);
	guest_set_desc(guest_desc(&g, 0), addr, 0x1000, NEXT, 1);
	guest_set_desc(guest_desc(&g, 1), addr + 0x1000, 0x1000, NEXT, 2);
	guest_set_desc(guest_desc(&g, 2), addr + 0x3000, 0x1000, NEXT, 3);
	guest_set_desc(guest_desc(&g, 3), addr + 0x4000, 0x1000, NEXT | WRITE, 4);
	guest_set_desc(guest_desc(&g, 4), addr + 0x5000, 0x1000, WRITE, 5);
	guest_offer(&g, 0);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_count, 2);
	assert_int_equal(element->readable[0].iov_len, 0x2000);
	assert_int_equal(element->readable_size, 0x3000);
	assert_int_equal(element->writable_count, 1); // not merged with the readable one before it
	assert_int_equal(element->writable[0].iov_len, 0x2000);
	neep_vring_discard(g.ring, element);
	guest_finish(&g);
}

static void split_direct_chain_may_fill_the_ring(void **state) {
	(void)state;
	for (uint32_t size = 1; size <= NEEP_VRING_CHAIN_MAX; size *= 2) {
		struct guest g;
		guest_init(&g, &(struct guest_options){ .size = size });
		for (uint32_t i = 0; i < size; i++) {
			uint32_t at = size - 1 - i; // backwards, so that nothing merges
			guest_set_desc(guest_desc(&g, i), guest_addr(GUEST_BUFFER + at * 16), 16,
				i + 1 < size ? NEXT : 0, (uint16_t)(i + 1));
		}
		guest_offer(&g, 0);
		struct neep_vring_element *element = guest_pop(&g);
		assert_int_equal(element->readable_count, size);
		assert_int_equal(element->readable_size, size * 16);
		neep_vring_push(g.ring, element, NULL, 0);
		guest_expect_used(&g, 1, 0, 0);
		guest_finish(&g);
	}
}

static void split_chain_above_the_limit_is_returned(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &(struct guest_options){ .size = 2 * NEEP_VRING_CHAIN_MAX });
	for (uint32_t i = 0; i <= NEEP_VRING_CHAIN_MAX; i++) {
		guest_set_desc(guest_desc(&g, i), guest_addr(GUEST_BUFFER + (i & 1) * 64), 16,
			i < NEEP_VRING_CHAIN_MAX ? NEXT : 0, (uint16_t)(i + 1));
	}
	guest_offer_malformed(&g, 0);
	guest_finish(&g);
}

static void split_indirect_table_is_walked_by_next(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct vring_desc *table = table_at(&g, GUEST_TABLE);
	guest_set_desc(&table[0], guest_addr(GUEST_BUFFER), 8, NEXT, 2);
	guest_set_desc(&table[2], guest_addr(GUEST_BUFFER + 64), 16, WRITE, 0);
	/* WRITE on the table itself means nothing. */
	guest_set_desc(guest_desc(&g, 3), guest_addr(GUEST_TABLE), 3 * 16, INDIRECT | WRITE, 0);
	guest_offer(&g, 3);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_size, 8);
	assert_int_equal(element->writable_size, 16);
	neep_vring_push(g.ring, element, "abc", 3);
	guest_expect_used(&g, 1, 3, 3);
	guest_finish(&g);
}

static void split_indirect_table_may_be_unaligned(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct vring_desc desc = { .addr = guest_addr(GUEST_BUFFER), .len = 8 };
	memcpy(g.mem + GUEST_TABLE + 3, &desc, sizeof(desc));
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_TABLE + 3), 16, INDIRECT, 0);
	guest_offer(&g, 0);
	neep_vring_discard(g.ring, guest_pop(&g));
	guest_finish(&g);
}

static void split_indirect_may_follow_direct(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_BUFFER), 8, NEXT, 1);
	guest_set_desc(guest_desc(&g, 1), guest_addr(GUEST_TABLE), 16, INDIRECT, 0);
	guest_set_desc(table_at(&g, GUEST_TABLE), guest_addr(GUEST_BUFFER + 64), 4, WRITE, 0);
	guest_offer(&g, 0);
	struct neep_vring_element *element = guest_pop(&g);
	assert_int_equal(element->readable_size, 8);
	assert_int_equal(element->writable_size, 4);
	neep_vring_discard(g.ring, element);
	guest_finish(&g);
}

static void split_longest_indirect_table_works(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	struct vring_desc *table = table_at(&g, GUEST_TABLE);
	for (uint32_t i = 0; i < NEEP_VRING_CHAIN_MAX; i++) {
		guest_set_desc(&table[i], guest_addr(GUEST_BUFFER + 32 * i), 16,
			i + 1 < NEEP_VRING_CHAIN_MAX ? NEXT : 0, (uint16_t)(i + 1));
	}
	for (int round = 0; round < 2; round++) {
		guest_set_desc(
			guest_desc(&g, 0), guest_addr(GUEST_TABLE), NEEP_VRING_CHAIN_MAX * 16, INDIRECT, 0);
		guest_offer(&g, 0);
		struct neep_vring_element *element = guest_pop(&g);
		assert_int_equal(element->readable_count, NEEP_VRING_CHAIN_MAX);
		neep_vring_push(g.ring, element, NULL, 0);
		guest_expect_used(&g, 1, 0, 0);
	}
	guest_finish(&g);
}

/* One wrong descriptor chain each; the head is 0. */
struct bad_chain {
	const char *name;
	struct vring_desc desc[3];
	struct vring_desc table[3];
};

#define BUFFER GUEST_ADDR + GUEST_BUFFER
#define TABLE  GUEST_ADDR + GUEST_TABLE
#define END    GUEST_ADDR + GUEST_MEMORY

static const struct bad_chain bad_chains[] = {
	{ "zero length", { { BUFFER, 0, 0, 0 } }, { { 0 } } },
	{ "zero length later", { { BUFFER, 4, NEXT, 1 }, { BUFFER, 0, WRITE, 0 } }, { { 0 } } },
	{ "next beyond the ring", { { BUFFER, 4, NEXT, 8 } }, { { 0 } } },
	{ "next far beyond the ring", { { BUFFER, 4, NEXT, 0xffff } }, { { 0 } } },
	{ "self loop", { { BUFFER, 4, NEXT, 0 } }, { { 0 } } },
	{ "loop of two", { { BUFFER, 4, NEXT, 1 }, { BUFFER, 4, NEXT, 0 } }, { { 0 } } },
	{ "readable after writable", { { BUFFER, 4, NEXT | WRITE, 1 }, { BUFFER, 4, 0, 0 } }, { { 0 } } },
	{ "below memory", { { GUEST_ADDR - 1, 4, 0, 0 } }, { { 0 } } },
	{ "at the end of memory", { { END, 1, 0, 0 } }, { { 0 } } },
	{ "over the end of memory", { { END - 1, 2, WRITE, 0 } }, { { 0 } } },
	{ "at address 0", { { 0, 4, 0, 0 } }, { { 0 } } },
	{ "wrapping address", { { UINT64_MAX - 3, 16, 0, 0 } }, { { 0 } } },
	{ "wrapping into memory", { { UINT64_MAX, UINT32_MAX, WRITE, 0 } }, { { 0 } } },
	{ "huge", { { BUFFER, UINT32_MAX, 0, 0 } }, { { 0 } } },
	{ "table length 0", { { TABLE, 0, INDIRECT, 0 } }, { { 0 } } },
	{ "table length 15", { { TABLE, 15, INDIRECT, 0 } }, { { BUFFER, 4, 0, 0 } } },
	{ "table length 17", { { TABLE, 17, INDIRECT, 0 } }, { { BUFFER, 4, 0, 0 } } },
	{ "table too long", { { BUFFER, (NEEP_VRING_CHAIN_MAX + 1) * 16, INDIRECT, 0 } }, { { 0 } } },
	{ "table of 4 GiB", { { TABLE, UINT32_MAX - 15, INDIRECT, 0 } }, { { 0 } } },
	{ "table outside memory", { { END, 16, INDIRECT, 0 } }, { { 0 } } },
	{ "table over the end", { { END - 16, 32, INDIRECT, 0 } }, { { 0 } } },
	{ "table wraps around", { { UINT64_MAX - 15, 32, INDIRECT, 0 } }, { { 0 } } },
	{ "table in mid-chain", { { TABLE, 16, INDIRECT | NEXT, 1 }, { BUFFER, 4, 0, 0 } },
		{ { BUFFER, 4, 0, 0 } } },
	{ "nested table", { { TABLE, 32, INDIRECT, 0 } }, { { TABLE, 16, INDIRECT, 0 } } },
	{ "nested table later", { { TABLE, 32, INDIRECT, 0 } },
		{ { BUFFER, 4, NEXT, 1 }, { TABLE, 16, INDIRECT, 0 } } },
	{ "table next beyond it", { { TABLE, 32, INDIRECT, 0 } }, { { BUFFER, 4, NEXT, 2 } } },
	{ "table self loop", { { TABLE, 32, INDIRECT, 0 } }, { { BUFFER, 4, NEXT, 0 } } },
	{ "table loop", { { TABLE, 32, INDIRECT, 0 } }, { { BUFFER, 4, NEXT, 1 }, { BUFFER, 4, NEXT, 0 } } },
	{ "table entry of length 0", { { TABLE, 16, INDIRECT, 0 } }, { { BUFFER, 0, 0, 0 } } },
	{ "table readable after writable", { { TABLE, 32, INDIRECT, 0 } },
		{ { BUFFER, 4, NEXT | WRITE, 1 }, { BUFFER, 4, 0, 0 } } },
	{ "readable table after writable", { { BUFFER, 4, NEXT | WRITE, 1 }, { TABLE, 16, INDIRECT, 0 } },
		{ { BUFFER, 4, 0, 0 } } },
	{ "table entry outside memory", { { TABLE, 16, INDIRECT, 0 } }, { { END, 4, 0, 0 } } },
};

static void split_malformed_chain_is_returned_unused(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_chains); i++) {
		struct guest g;
		guest_init(&g, &plain);
		memcpy(guest_desc(&g, 0), bad_chains[i].desc, sizeof(bad_chains[i].desc));
		memcpy(table_at(&g, GUEST_TABLE), bad_chains[i].table, sizeof(bad_chains[i].table));
		print_message("# %s\n", bad_chains[i].name);
		guest_offer_malformed(&g, 0);
		guest_finish(&g);
	}
}

static void split_indirect_is_refused_without_the_feature(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &(struct guest_options){ .size = 8 });
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_TABLE), 16, INDIRECT, 0);
	guest_set_desc(table_at(&g, GUEST_TABLE), guest_addr(GUEST_BUFFER), 4, 0, 0);
	guest_offer_malformed(&g, 0);
	guest_finish(&g);
}

static void split_indirect_table_may_point_at_itself(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	/* A writable entry that is the table: a reply overwrites what was copied before. */
	guest_set_desc(table_at(&g, GUEST_TABLE), guest_addr(GUEST_TABLE), 16, WRITE, 0);
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_TABLE), 16, INDIRECT, 0);
	guest_offer(&g, 0);
	assert_int_equal(neep_vring_push(g.ring, guest_pop(&g), "0123456789abcdefgh", 18), 16);
	guest_expect_used(&g, 1, 0, 16);
	guest_finish(&g);
}

static void split_buffer_may_cover_the_ring_itself(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_set_desc(guest_desc(&g, 0), GUEST_ADDR, GUEST_MEMORY, WRITE, 0);
	guest_offer(&g, 0);
	char reply[4096];
	memset(reply, 0xff, sizeof(reply));
	assert_int_equal(neep_vring_push(g.ring, guest_pop(&g), reply, sizeof(reply)), sizeof(reply));
	guest_expect_used(&g, 1, 0, sizeof(reply));
	guest_finish(&g);
}

static void split_breaks_when_the_available_index_jumps(void **state) {
	(void)state;
	const uint16_t jumps[] = { 9, 0x7fff, 0x8000, 0xffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(jumps); i++) {
		struct guest g;
		guest_init(&g, &plain);
		guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_BUFFER), 4, 0, 0);
		guest_avail(&g)->idx = jumps[i];
		guest_expect_broken(&g);
		/* The next start heals it. */
		assert_int_equal(neep_vring_stop(g.ring), 0);
		guest_avail(&g)->idx = 0;
		assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
		guest_offer_simple(&g, 0, 4, 0);
		neep_vring_discard(g.ring, guest_pop(&g));
		guest_finish(&g);
	}
}

static void split_breaks_when_a_head_is_beyond_the_ring(void **state) {
	(void)state;
	const uint16_t heads[] = { 8, 0x100, 0xffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(heads); i++) {
		struct guest g;
		guest_init(&g, &plain);
		guest_offer(&g, heads[i]);
		guest_expect_broken(&g);
		guest_finish(&g);
	}
}

static void split_breaks_when_more_is_out_than_the_ring_holds(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	guest_set_desc(guest_desc(&g, 0), guest_addr(GUEST_BUFFER), 4, 0, 0);
	for (uint32_t i = 0; i < 8; i++) {
		guest_offer(&g, 0); // the same head again and again
		guest_pop(&g);
	}
	guest_offer(&g, 0);
	guest_expect_broken(&g);
	guest_finish(&g);
}

static void split_flood_of_malformed_buffers_gives_others_a_turn(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &(struct guest_options){ .size = 256 });
	for (uint16_t i = 0; i < 256; i++) {
		guest_offer(&g, i); // all of length 0
	}
	struct neep_vring_element *element;
	int pops = 0;
	while (neep_vring_has_work(g.ring) && pops < 256) {
		assert_int_equal(neep_vring_pop(g.ring, &element), 0);
		pops++;
	}
	assert_in_range(pops, 2, 255);
	assert_int_equal(guest_used_ring(&g)->idx, 256);
	guest_finish(&g);
}

static void split_start_refuses_wrong_configuration(void **state) {
	(void)state;
	struct guest g;
	guest_init(&g, &plain);
	neep_vring_stop(g.ring);
	const uint32_t sizes[] = { 0, 3, 5, 6, 7, 9, 1000, 32767, 32769, 65536, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		struct neep_vring_config config = g.config;
		struct neep_error error = { 0 };
		config.size = sizes[i];
		assert_int_equal(neep_vring_start(g.ring, &config, &error), -EINVAL);
		assert_true(error.text[0] != '\0');
	}
	struct neep_vring_config config = g.config;
	config.desc = (uint8_t *)config.desc + 8;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	config = g.config;
	config.avail = (uint8_t *)config.avail + 1;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	config = g.config;
	config.used = (uint8_t *)config.used + 2;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	config = g.config;
	config.used = NULL;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	config = g.config;
	config.base = 0x10000;
	assert_int_equal(neep_vring_start(g.ring, &config, NULL), -EINVAL);
	assert_false(neep_vring_is_running(g.ring));
	assert_int_equal(neep_vring_start(g.ring, &g.config, NULL), 0);
	assert_true(neep_vring_is_running(g.ring));
	guest_finish(&g);
}

static void layout_is_the_specification_s(void **state) {
	(void)state;
	struct neep_vring_layout split = neep_vring_layout(256, false);
	assert_int_equal(split.desc_len, 16 * 256);
	assert_int_equal(split.avail_len, 6 + 2 * 256);
	assert_int_equal(split.used_len, 6 + 8 * 256);
	struct neep_vring_layout packed = neep_vring_layout(100, true);
	assert_int_equal(packed.desc_len, 1600);
	assert_int_equal(packed.avail_len, 4);
	assert_int_equal(packed.used_len, 4);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(split_round_trip_carries_bytes_both_ways),
		fd_checked_test(split_push_cuts_reply_to_the_writable_part),
		fd_checked_test(split_completes_out_of_order),
		fd_checked_test(split_indices_wrap_at_every_size),
		fd_checked_test(split_ring_can_be_completely_full),
		fd_checked_test(split_merges_adjacent_descriptors),
		fd_checked_test(split_direct_chain_may_fill_the_ring),
		fd_checked_test(split_chain_above_the_limit_is_returned),
		fd_checked_test(split_indirect_table_is_walked_by_next),
		fd_checked_test(split_indirect_table_may_be_unaligned),
		fd_checked_test(split_indirect_may_follow_direct),
		fd_checked_test(split_longest_indirect_table_works),
		fd_checked_test(split_malformed_chain_is_returned_unused),
		fd_checked_test(split_indirect_is_refused_without_the_feature),
		fd_checked_test(split_indirect_table_may_point_at_itself),
		fd_checked_test(split_buffer_may_cover_the_ring_itself),
		fd_checked_test(split_breaks_when_the_available_index_jumps),
		fd_checked_test(split_breaks_when_a_head_is_beyond_the_ring),
		fd_checked_test(split_breaks_when_more_is_out_than_the_ring_holds),
		fd_checked_test(split_flood_of_malformed_buffers_gives_others_a_turn),
		fd_checked_test(split_start_refuses_wrong_configuration),
		cmocka_unit_test(layout_is_the_specification_s),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("vring_split", tests, NULL, NULL);
}
