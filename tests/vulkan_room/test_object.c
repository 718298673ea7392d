/* The table of a guest's handles: what it finds, what it refuses, and in which order things go. */
#include "support/cmocka.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "vulkan/object.h"

#define MAX_OBJECTS 1000

static struct neep_vk_table *table;
static uint64_t released[MAX_OBJECTS];
static atomic_uint released_count;

static void record_release(struct neep_vk_object *object) {
	released[atomic_fetch_add(&released_count, 1) % MAX_OBJECTS] = object->handle;
}

static struct neep_vk_object *make(enum neep_vk_type type, uint64_t handle, struct neep_vk_object *parent) {
	struct neep_vk_object_params params = {
		.type = type, .handle = handle, .parent = parent, .release = record_release
	};
	return neep_vk_object_create(table, &params);
}

static int set_up(void **state) {
	(void)state;
	atomic_store(&released_count, 0);
	table = neep_vk_table_create(MAX_OBJECTS);
	return table == NULL;
}

static int tear_down(void **state) {
	(void)state;
	neep_vk_table_destroy(table);
	return 0;
}

static void object_is_found_by_id_and_type(void **state) {
	(void)state;
	struct neep_vk_object *buffer = make(NEEP_VK_BUFFER, 7, NULL);
	assert_non_null(buffer);
	assert_int_not_equal(buffer->id, 0);
	assert_ptr_equal(neep_vk_object_find(table, buffer->id, NEEP_VK_BUFFER), buffer);
	assert_null(neep_vk_object_find(table, buffer->id, NEEP_VK_IMAGE));
	assert_null(neep_vk_object_find(table, 0, NEEP_VK_BUFFER));
	assert_int_equal(neep_vk_table_count(table), 1);
}

static void object_is_not_found_when_id_is_guessed(void **state) {
	(void)state;
	struct neep_vk_object *buffer = make(NEEP_VK_BUFFER, 7, NULL);
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_null(neep_vk_object_find(table, buffer->id ^ UINT64_C(1) << bit, NEEP_VK_BUFFER));
	}
	assert_null(neep_vk_object_find(table, UINT64_MAX, NEEP_VK_BUFFER));
	for (uint64_t id = 1; id < 5000; id++) {
		assert_null(neep_vk_object_find(table, id, NEEP_VK_BUFFER));
	}
	assert_null(neep_vk_object_find(table, (uint64_t)(uintptr_t)buffer, NEEP_VK_BUFFER));
}

static void object_is_not_found_in_another_table(void **state) {
	(void)state;
	struct neep_vk_table *other = neep_vk_table_create(MAX_OBJECTS);
	struct neep_vk_object *buffer = make(NEEP_VK_BUFFER, 7, NULL);
	struct neep_vk_object_params params = { .type = NEEP_VK_BUFFER, .handle = 7 };
	assert_non_null(neep_vk_object_create(other, &params));
	assert_null(neep_vk_object_find(other, buffer->id, NEEP_VK_BUFFER));
	neep_vk_table_destroy(other);
}

static void id_is_dead_when_its_slot_is_used_again(void **state) {
	(void)state;
	for (uint64_t round = 0; round < 3000; round++) {
		struct neep_vk_object *first = make(NEEP_VK_BUFFER, round, NULL);
		uint64_t id = first->id;
		neep_vk_object_destroy(table, first);
		assert_null(neep_vk_object_find(table, id, NEEP_VK_BUFFER));
		struct neep_vk_object *second = make(NEEP_VK_BUFFER, round, NULL);
		assert_int_equal(second->id & 0xffffff, id & 0xffffff);
		assert_null(neep_vk_object_find(table, id, NEEP_VK_BUFFER));
		neep_vk_object_destroy(table, second);
	}
	assert_int_equal(atomic_load(&released_count), 6000);
}

static void add_refuses_at_the_cap_and_goes_on_below(void **state) {
	(void)state;
	struct neep_vk_object *objects[MAX_OBJECTS];
	for (uint64_t i = 0; i < MAX_OBJECTS; i++) {
		objects[i] = make(NEEP_VK_BUFFER, i, NULL);
		assert_non_null(objects[i]);
	}
	assert_null(make(NEEP_VK_BUFFER, 4242, NULL));
	assert_int_equal(atomic_load(&released_count), 1);
	assert_int_equal(released[0], 4242);
	for (uint64_t i = 0; i < MAX_OBJECTS; i++) {
		assert_ptr_equal(neep_vk_object_find(table, objects[i]->id, NEEP_VK_BUFFER), objects[i]);
	}
	neep_vk_object_destroy(table, objects[17]);
	assert_non_null(make(NEEP_VK_BUFFER, 1, NULL));
	assert_null(make(NEEP_VK_BUFFER, 2, NULL));
	assert_int_equal(neep_vk_table_count(table), MAX_OBJECTS);
}

static void destroy_takes_descendants_first_and_the_youngest_first(void **state) {
	(void)state;
	struct neep_vk_object *instance = make(NEEP_VK_INSTANCE, 1, NULL);
	struct neep_vk_object *device = make(NEEP_VK_DEVICE, 2, instance);
	struct neep_vk_object *buffer = make(NEEP_VK_BUFFER, 3, device);
	struct neep_vk_object *pool = make(NEEP_VK_DESCRIPTOR_POOL, 4, device);
	make(NEEP_VK_DESCRIPTOR_SET, 5, pool);
	struct neep_vk_object *set = make(NEEP_VK_DESCRIPTOR_SET, 6, pool);
	assert_ptr_equal(set->device, device);
	assert_null(instance->device);
	uint64_t ids[] = { device->id, buffer->id, set->id };
	neep_vk_object_destroy(table, device);
	static const uint64_t expected[] = { 6, 5, 4, 3, 2 };
	assert_int_equal(atomic_load(&released_count), 5);
	assert_memory_equal(released, expected, sizeof(expected));
	assert_null(neep_vk_object_find(table, ids[0], NEEP_VK_DEVICE));
	assert_null(neep_vk_object_find(table, ids[1], NEEP_VK_BUFFER));
	assert_null(neep_vk_object_find(table, ids[2], NEEP_VK_DESCRIPTOR_SET));
	assert_int_equal(neep_vk_table_count(table), 1);
}

static void destroy_children_keeps_the_parent(void **state) {
	(void)state;
	struct neep_vk_object *pool = make(NEEP_VK_DESCRIPTOR_POOL, 1, NULL);
	for (uint64_t i = 2; i < 5; i++) {
		make(NEEP_VK_DESCRIPTOR_SET, i, pool);
	}
	neep_vk_object_destroy_children(table, pool);
	assert_int_equal(atomic_load(&released_count), 3);
	assert_int_equal(neep_vk_table_count(table), 1);
	assert_ptr_equal(neep_vk_object_find(table, pool->id, NEEP_VK_DESCRIPTOR_POOL), pool);
	neep_vk_object_destroy_children(table, pool);
	assert_int_equal(atomic_load(&released_count), 3);
	assert_non_null(make(NEEP_VK_DESCRIPTOR_SET, 9, pool));
}

static void reference_keeps_object_and_ancestors_but_not_the_id(void **state) {
	(void)state;
	struct neep_vk_object *device = make(NEEP_VK_DEVICE, 1, NULL);
	uint64_t id = make(NEEP_VK_FENCE, 2, device)->id;
	struct neep_vk_object *fence = neep_vk_object_get(table, id, NEEP_VK_FENCE);
	assert_null(neep_vk_object_get(table, id, NEEP_VK_SEMAPHORE));
	neep_vk_object_destroy(table, device);
	assert_null(neep_vk_object_get(table, id, NEEP_VK_FENCE));
	assert_int_equal(atomic_load(&released_count), 0);
	assert_int_equal(fence->device != NULL, true);
	neep_vk_object_unref(fence);
	static const uint64_t expected[] = { 2, 1 };
	assert_int_equal(atomic_load(&released_count), 2);
	assert_memory_equal(released, expected, sizeof(expected));
}

static void destroy_does_nothing_when_done_twice(void **state) {
	(void)state;
	struct neep_vk_object *fence = neep_vk_object_ref(make(NEEP_VK_FENCE, 1, NULL));
	neep_vk_object_destroy(table, fence);
	neep_vk_object_destroy(table, fence);
	neep_vk_object_destroy(table, NULL);
	assert_int_equal(neep_vk_table_count(table), 0);
	neep_vk_object_unref(fence);
	neep_vk_object_unref(NULL);
	assert_int_equal(atomic_load(&released_count), 1);
}

static void add_refuses_when_the_parent_is_gone(void **state) {
	(void)state;
	struct neep_vk_object *pool = neep_vk_object_ref(make(NEEP_VK_DESCRIPTOR_POOL, 1, NULL));
	neep_vk_object_destroy(table, pool);
	assert_null(make(NEEP_VK_DESCRIPTOR_SET, 2, pool));
	struct neep_vk_object bare = { 0 };
	struct neep_vk_object_params params = { .type = NEEP_VK_DESCRIPTOR_SET, .parent = pool };
	assert_int_equal(neep_vk_object_add(table, &bare, &params), -ENOENT);
	neep_vk_object_unref(pool);
}

static void what_is_destroyed_lives_until_those_inside_have_left(void **state) {
	(void)state;
	struct neep_vk_object *first = make(NEEP_VK_BUFFER, 1, NULL), *second = make(NEEP_VK_BUFFER, 2, NULL);
	uint32_t early = neep_vk_table_enter(table);
	neep_vk_object_destroy(table, first);
	assert_int_equal(atomic_load(&released_count), 0);
	uint32_t late = neep_vk_table_enter(table);
	neep_vk_object_destroy(table, second);
	neep_vk_table_leave(table, early);
	assert_true(atomic_load(&released_count) <= 1);
	neep_vk_table_leave(table, late);
	assert_int_equal(atomic_load(&released_count), 2);
	static const uint64_t expected[] = { 1, 2 };
	assert_memory_equal(released, expected, sizeof(expected));
}

static void what_is_destroyed_goes_although_somebody_is_always_inside(void **state) {
	(void)state;
	uint32_t epoch = neep_vk_table_enter(table);
	for (unsigned i = 0; i < 100; i++) {
		neep_vk_object_destroy(table, make(NEEP_VK_BUFFER, i, NULL));
		uint32_t next = neep_vk_table_enter(table);
		neep_vk_table_leave(table, epoch);
		epoch = next;
	}
	assert_true(atomic_load(&released_count) >= 98);
	neep_vk_table_leave(table, epoch);
	assert_int_equal(atomic_load(&released_count), 100);
}

static _Atomic(uint64_t) shared_ids[64];
static atomic_bool is_over;

static void *look_up_inside(void *found) {
	unsigned seed = 1;
	/* The machine may start this thread late, or stop it between an id and its look-up until the end. */
	do {
		uint32_t epoch = neep_vk_table_enter(table);
		for (unsigned i = 0; i < 64; i++) {
			uint64_t id = atomic_load(&shared_ids[(unsigned)rand_r(&seed) % 64]);
			struct neep_vk_object *object = neep_vk_object_find(table, id, NEEP_VK_BUFFER);
			*(unsigned long *)found += object != NULL && object->handle == 42;
		}
		neep_vk_table_leave(table, epoch);
	} while (!atomic_load(&is_over) || *(unsigned long *)found == 0);
	return NULL;
}

static void *take_references(void *found) {
	unsigned seed = 2;
	do {
		uint64_t id = atomic_load(&shared_ids[(unsigned)rand_r(&seed) % 64]);
		struct neep_vk_object *object = neep_vk_object_get(table, id, NEEP_VK_BUFFER);
		*(unsigned long *)found += object != NULL && object->handle == 42;
		neep_vk_object_unref(object);
	} while (!atomic_load(&is_over) || *(unsigned long *)found == 0);
	return NULL;
}

static void look_ups_of_many_threads_see_whole_objects_only(void **state) {
	(void)state;
	pthread_t threads[4];
	unsigned long found[4] = { 0 };
	unsigned seed = 3;
	atomic_store(&is_over, false);
	for (unsigned i = 0; i < 64; i++) {
		atomic_store(&shared_ids[i], make(NEEP_VK_BUFFER, 42, NULL)->id);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, i < 2 ? look_up_inside : take_references, &found[i]);
	}
	for (unsigned i = 0; i < 20000; i++) {
		_Atomic(uint64_t) *id = &shared_ids[(unsigned)rand_r(&seed) % 64];
		neep_vk_object_destroy(table, neep_vk_object_find(table, atomic_load(id), NEEP_VK_BUFFER));
		atomic_store(id, make(NEEP_VK_BUFFER, 42, NULL)->id);
	}
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(found[i] > 0);
	}
	assert_int_equal(neep_vk_table_count(table), 64);
	assert_int_equal(atomic_load(&released_count), 20000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(object_is_found_by_id_and_type),
		CASE(object_is_not_found_when_id_is_guessed),
		CASE(object_is_not_found_in_another_table),
		CASE(id_is_dead_when_its_slot_is_used_again),
		CASE(add_refuses_at_the_cap_and_goes_on_below),
		CASE(destroy_takes_descendants_first_and_the_youngest_first),
		CASE(destroy_children_keeps_the_parent),
		CASE(reference_keeps_object_and_ancestors_but_not_the_id),
		CASE(destroy_does_nothing_when_done_twice),
		CASE(add_refuses_when_the_parent_is_gone),
		CASE(what_is_destroyed_lives_until_those_inside_have_left),
		CASE(what_is_destroyed_goes_although_somebody_is_always_inside),
		CASE(look_ups_of_many_threads_see_whole_objects_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
