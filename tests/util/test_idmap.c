#include <stdlib.h>

#include "support/cmocka.h"
#include "util/idmap.h"

struct thing {
	struct neep_idmap_link link;
	int payload;
};

static void insert_refuses_an_id_in_use(void **state) {
	(void)state;
	struct neep_idmap map;
	assert_int_equal(neep_idmap_init(&map), 0);
	struct thing a = { .payload = 1 }, b = { .payload = 2 };
	assert_true(neep_idmap_insert(&map, 7, &a.link));
	assert_false(neep_idmap_insert(&map, 7, &b.link));
	struct neep_idmap_link *found = neep_idmap_find(&map, 7);
	assert_int_equal(neep_container_of(found, struct thing, link)->payload, 1);
	neep_idmap_finish(&map);
}

static void find_works_over_many_ids_while_the_table_grows(void **state) {
	(void)state;
	enum { COUNT = 20000 };
	struct neep_idmap map;
	assert_int_equal(neep_idmap_init(&map), 0);
	struct thing *things = calloc(COUNT, sizeof(*things));
	for (int i = 0; i < COUNT; i++) {
		things[i].payload = i;
		assert_true(neep_idmap_insert(&map, (uint64_t)i << 32, &things[i].link));
	}
	for (int i = 0; i < COUNT; i += 2) {
		neep_idmap_remove(&map, &things[i].link);
	}
	for (int i = 0; i < COUNT; i++) {
		struct neep_idmap_link *found = neep_idmap_find(&map, (uint64_t)i << 32);
		assert_ptr_equal(found, i % 2 == 0 ? NULL : &things[i].link);
	}
	assert_int_equal(map.count, COUNT / 2);
	free(things);
	neep_idmap_finish(&map);
}

static void find_works_when_ids_come_from_the_top(void **state) {
	(void)state;
	enum { COUNT = 5000 };
	struct neep_idmap map;
	assert_int_equal(neep_idmap_init(&map), 0);
	struct thing *things = calloc(COUNT, sizeof(*things));
	for (int i = COUNT; i-- > 0;) {
		assert_true(neep_idmap_insert(&map, (uint64_t)i, &things[i].link));
	}
	for (int i = 0; i < COUNT; i += 3) {
		neep_idmap_remove(&map, &things[i].link);
	}
	for (int i = 0; i < COUNT; i++) {
		assert_ptr_equal(neep_idmap_find(&map, (uint64_t)i), i % 3 == 0 ? NULL : &things[i].link);
	}
	for (int i = 0; i < COUNT; i += 3) {
		assert_true(neep_idmap_insert(&map, (uint64_t)i, &things[i].link));
		assert_false(neep_idmap_insert(&map, (uint64_t)i, &things[i].link));
	}
	int seen = 0;
	neep_idmap_for_each (link, &map) {
		seen++;
	}
	assert_int_equal(seen, COUNT);
	free(things);
	neep_idmap_finish(&map);
}

static void array_does_not_grow_with_the_value_of_an_id(void **state) {
	(void)state;
	struct neep_idmap map;
	assert_int_equal(neep_idmap_init(&map), 0);
	struct thing things[33] = { 0 };
	for (int i = 0; i < 33; i++) {
		assert_true(neep_idmap_insert(&map, (UINT64_C(1) << i) - 1, &things[i].link));
	}
	assert_true(map.dense_count <= 128);
	for (int i = 0; i < 33; i++) {
		assert_ptr_equal(neep_idmap_find(&map, (UINT64_C(1) << i) - 1), &things[i].link);
	}
	neep_idmap_finish(&map);
}

static void for_each_and_take_all_see_every_link_once(void **state) {
	(void)state;
	struct neep_idmap map;
	assert_int_equal(neep_idmap_init(&map), 0);
	struct thing things[100] = { 0 };
	for (int i = 0; i < 100; i++) {
		assert_true(neep_idmap_insert(&map, (uint64_t)i * 3, &things[i].link));
	}
	neep_idmap_for_each (link, &map) {
		neep_container_of(link, struct thing, link)->payload++;
	}
	int count = 0;
	for (struct neep_idmap_link *link = neep_idmap_take_all(&map); link != NULL; link = link->next) {
		assert_int_equal(neep_container_of(link, struct thing, link)->payload, 1);
		count++;
	}
	assert_int_equal(count, 100);
	assert_null(neep_idmap_find(&map, 3));
	assert_null(neep_idmap_next(&map, NULL));
	neep_idmap_finish(&map);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insert_refuses_an_id_in_use),
		cmocka_unit_test(find_works_over_many_ids_while_the_table_grows),
		cmocka_unit_test(find_works_when_ids_come_from_the_top),
		cmocka_unit_test(array_does_not_grow_with_the_value_of_an_id),
		cmocka_unit_test(for_each_and_take_all_see_every_link_once),
	};
	return cmocka_run_group_tests_name("idmap", tests, NULL, NULL);
}
