#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka.h"
#include "wayland/damage.h"

#define SIDE 32

static void paint(bool map[SIDE][SIDE], const struct neep_wl_rect *rect) {
	for (int y = rect->y1; y < rect->y2; y++) {
		for (int x = rect->x1; x < rect->x2; x++) {
			if (y >= 0 && y < SIDE && x >= 0 && x < SIDE) {
				map[y][x] = true;
			}
		}
	}
}

static void damage_covers_what_was_added_when_rectangles_are_random(void **state) {
	(void)state;
	srand(4);
	for (int round = 0; round < 500; round++) {
		bool wanted[SIDE][SIDE] = { 0 }, covered[SIDE][SIDE] = { 0 };
		struct neep_wl_damage damage = { 0 };
		for (int i = rand() % 60; i > 0; i--) {
			struct neep_wl_rect rect = neep_wl_rect_make(
				rand() % 40 - 4, rand() % 40 - 4, rand() % 12 - 1, rand() % 12 - 1);
			paint(wanted, &rect);
			neep_wl_damage_add(&damage, rect);
			assert_true(damage.count <= NEEP_WL_DAMAGE_RECTS);
		}
		neep_wl_damage_clip(&damage, SIDE, SIDE);
		for (uint32_t i = 0; i < damage.count; i++) {
			const struct neep_wl_rect *rect = &damage.rects[i];
			assert_true(rect->x1 >= 0 && rect->x1 < rect->x2 && rect->x2 <= SIDE);
			assert_true(rect->y1 >= 0 && rect->y1 < rect->y2 && rect->y2 <= SIDE);
			paint(covered, rect);
		}
		for (int i = 0; i < SIDE * SIDE; i++) {
			assert_true(covered[i / SIDE][i % SIDE] || !wanted[i / SIDE][i % SIDE]);
		}
	}
}

static void damage_keeps_rectangles_apart_when_they_are_far(void **state) {
	(void)state;
	struct neep_wl_damage damage = { 0 };
	neep_wl_damage_add(&damage, neep_wl_rect_make(0, 0, 10, 10));
	neep_wl_damage_add(&damage, neep_wl_rect_make(100, 100, 10, 10));
	assert_int_equal(damage.count, 2);
}

static void damage_joins_rectangles_when_it_costs_nothing(void **state) {
	(void)state;
	struct neep_wl_damage damage = { 0 };
	neep_wl_damage_add(&damage, neep_wl_rect_make(0, 0, 10, 10));
	neep_wl_damage_add(&damage, neep_wl_rect_make(10, 0, 10, 10));
	neep_wl_damage_add(&damage, neep_wl_rect_make(3, 3, 2, 2));
	neep_wl_damage_add(&damage, neep_wl_rect_make(0, 0, 10, 10));
	assert_int_equal(damage.count, 1);
	assert_memory_equal(
		&damage.rects[0], (&(struct neep_wl_rect){ 0, 0, 20, 10 }), sizeof(damage.rects[0]));
}

static void damage_is_empty_when_sides_are_not_positive(void **state) {
	(void)state;
	struct neep_wl_damage damage = { 0 };
	neep_wl_damage_add(&damage, neep_wl_rect_make(5, 5, 0, 10));
	neep_wl_damage_add(&damage, neep_wl_rect_make(5, 5, 10, -1));
	neep_wl_damage_add(&damage, neep_wl_rect_make(INT_MIN, INT_MIN, INT_MIN, INT_MIN));
	assert_true(neep_wl_damage_is_empty(&damage));
}

static void damage_is_everything_when_numbers_are_as_large_as_can_be(void **state) {
	(void)state;
	struct neep_wl_damage damage = { 0 };
	for (int i = 0; i < 40; i++) {
		neep_wl_damage_add(&damage, neep_wl_rect_make(INT_MIN + i, INT_MIN, INT_MAX, INT_MAX));
		neep_wl_damage_add(&damage, neep_wl_rect_make(-i, i, INT_MAX, INT_MAX));
	}
	neep_wl_damage_scale(&damage, INT_MAX);
	neep_wl_damage_fill(&damage);
	neep_wl_damage_clip(&damage, 640, 480);
	assert_int_equal(damage.count, 1);
	assert_memory_equal(
		&damage.rects[0], (&(struct neep_wl_rect){ 0, 0, 640, 480 }), sizeof(damage.rects[0]));
}

static void damage_grows_with_the_scale(void **state) {
	(void)state;
	struct neep_wl_damage damage = { 0 };
	neep_wl_damage_add(&damage, neep_wl_rect_make(1, 2, 3, 4));
	neep_wl_damage_scale(&damage, 2);
	assert_memory_equal(
		&damage.rects[0], (&(struct neep_wl_rect){ 2, 4, 8, 12 }), sizeof(damage.rects[0]));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_covers_what_was_added_when_rectangles_are_random),
		cmocka_unit_test(damage_keeps_rectangles_apart_when_they_are_far),
		cmocka_unit_test(damage_joins_rectangles_when_it_costs_nothing),
		cmocka_unit_test(damage_is_empty_when_sides_are_not_positive),
		cmocka_unit_test(damage_is_everything_when_numbers_are_as_large_as_can_be),
		cmocka_unit_test(damage_grows_with_the_scale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
