/* The host-visible window below processors that never stop writing to it, check 130: what they write after an unmap was
 * answered reaches nobody, neither the blob that was there nor the next one.
 *
 * A writer that is late meets a hole, and catches the fault; a guest's processor would write to nothing. */
#include "device/harness.h"
#include "device/threed.h"
#include "device/touch.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#define PAGE    UINT64_C(4096)
#define WINDOW  (UINT64_C(64) << 20)
#define CTX     1
#define PAGES   4 // of a blob; a word of each is written
#define WRITERS 2
#define MARK    0x40000000u // and the number of the blob
#define POKED   0x0badcafeu

struct writer {
	pthread_t thread;
	struct race *race;
	_Atomic uint64_t turns;
	_Atomic uint64_t hits;
	_Atomic uint64_t faults;
	_Atomic uint64_t late; // writes that were begun after the unmap was answered, and met memory
};

struct race {
	struct check *check;
	uint8_t *window;
	atomic_bool stop;
	/* Where the writers write, and whether an unmap of it was answered. */
	_Atomic uint64_t offset;
	_Atomic uint32_t value;
	atomic_bool is_gone;
	struct writer writers[WRITERS];
};

static const bool echoes[] = { true, false };

static void write_once(struct writer *writer, uint64_t turn) {
	struct race *race = writer->race;
	bool is_gone = atomic_load(&race->is_gone);
	uint64_t offset = atomic_load(&race->offset) + turn % PAGES * PAGE;
	if (touch_write((volatile uint32_t *)(race->window + offset), atomic_load(&race->value))) {
		atomic_fetch_add(&writer->hits, 1);
		atomic_fetch_add(&writer->late, is_gone);
	} else {
		atomic_fetch_add(&writer->faults, 1);
	}
}

static void *write_on(void *data) {
	struct writer *writer = data;
	/* Of this thread: the device and the front-end get a processor when they want one. */
	setpriority(PRIO_PROCESS, 0, 5);
	while (!atomic_load(&writer->race->stop)) {
		write_once(writer, atomic_fetch_add(&writer->turns, 1));
	}
	return NULL;
}

/* Every writer has begun a write after this call. */
static void settle(struct race *race) {
	for (size_t i = 0; i < WRITERS; i++) {
		uint64_t before = atomic_load(&race->writers[i].turns);
		while (atomic_load(&race->writers[i].turns) < before + 2) {
			sched_yield();
		}
	}
}

/* Whatever comes to be at the old place, writers may write to it. */
static void forget_place(struct race *race) {
	atomic_store(&race->is_gone, false);
	settle(race);
}

/* The writers go for a mapped place; returns when one of them has been there. */
static void set_place(struct race *race, uint64_t offset, uint32_t value) {
	atomic_store(&race->offset, offset);
	atomic_store(&race->value, value);
	while (*(volatile uint32_t *)(race->window + offset) != value) {
		sched_yield();
	}
}

static uint64_t sum(struct race *race, size_t field) {
	uint64_t sum = 0;
	for (size_t i = 0; i < WRITERS; i++) {
		sum += atomic_load((_Atomic uint64_t *)((char *)&race->writers[i] + field));
	}
	return sum;
}

static struct race the_race;
static bool is_racing;

static void stop_writers(void) {
	if (is_racing) {
		is_racing = false;
		atomic_store(&the_race.stop, true);
		for (size_t i = 0; i < WRITERS; i++) {
			pthread_join(the_race.writers[i].thread, NULL);
		}
	}
}

/* Also of a case that failed: its window goes next. */
static int teardown(void **state) {
	stop_writers();
	return check_teardown(state);
}

static void open_race(struct race *race, bool echo_maps) {
	struct check_options options = check_3d_options(WINDOW);
	uint64_t size;
	options.driver.echo_maps = echo_maps;
	touch_catch_faults();
	*race = (struct race){ .check = check_open(&options) };
	assert_int_equal(check_ctx_create(race->check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	race->window = neep_driver_window(check_driver(race->check), &size);
	assert_non_null(race->window);
	for (size_t i = 0; i < WRITERS; i++) {
		race->writers[i].race = race;
		assert_int_equal(
			pthread_create(&race->writers[i].thread, NULL, write_on, &race->writers[i]), 0);
	}
	is_racing = true;
}

static void close_race(struct race *race) {
	stop_writers();
	assert_true(sum(race, offsetof(struct writer, hits)) > 0);
	assert_true(sum(race, offsetof(struct writer, faults)) > 0);
	assert_int_equal(sum(race, offsetof(struct writer, late)), 0);
	assert_int_equal(check_counts(race->check).fake.blobs, 0);
	assert_int_equal(check_counts(race->check).device.maps, 0);
	check_close(race->check);
}

static uint32_t cycles(void) {
	return getenv("NEEP_TEST_LONG") != NULL ? 5000 : 100;
}

/* What the renderer reads in the first word of each page. */
static void expect_words(struct race *race, uint32_t resource_id, uint32_t word) {
	for (uint32_t page = 0; page < PAGES; page++) {
		assert_int_equal(
			check_peek(race->check, CTX, resource_id, (uint32_t)(page * PAGE), word), CHECK_OK);
	}
}

static void poke_words(struct race *race, uint32_t resource_id, uint32_t word) {
	for (uint32_t page = 0; page < PAGES; page++) {
		assert_int_equal(
			check_poke(race->check, CTX, resource_id, (uint32_t)(page * PAGE), word), CHECK_OK);
	}
}

/* A blob is mapped, written to and unmapped below the writers, who go on; then it is the renderer's alone. */
static void unmap_below(struct race *race, uint32_t id, uint64_t offset) {
	check_host_blob(race->check, CTX, id, PAGES * PAGE, 0);
	forget_place(race);
	assert_int_equal(check_map(race->check, id, offset), CHECK_OK);
	set_place(race, offset, MARK + id);
	assert_int_equal(check_unmap(race->check, id), CHECK_OK);
	atomic_store(&race->is_gone, true);
	poke_words(race, id, POKED);
}

/* The next blob is elsewhere: neither sees what is written to the hole. */
static void race_elsewhere(struct race *race) {
	for (uint32_t i = 1, count = cycles(); i <= count; i++) {
		uint32_t id = 2 * i, next = id + 1;
		uint64_t offset = i % 3 * PAGE, other = (8 + i % 5) * PAGE;
		unmap_below(race, id, offset);
		check_host_blob(race->check, CTX, next, PAGES * PAGE, 0);
		assert_int_equal(check_map(race->check, next, other), CHECK_OK);
		settle(race);
		expect_words(race, next, 0);
		expect_words(race, id, POKED);
		assert_int_equal(check_unref(race->check, next), CHECK_OK);
		assert_int_equal(check_unref(race->check, id), CHECK_OK);
	}
}

/* The next blob is at the same place, and gets what is written there; the one before does not. */
static void race_same_place(struct race *race) {
	for (uint32_t i = 1, count = cycles(); i <= count; i++) {
		uint32_t id = 2 * i, next = id + 1;
		uint64_t offset = i % 7 * PAGE;
		unmap_below(race, id, offset);
		forget_place(race);
		check_host_blob(race->check, CTX, next, PAGES * PAGE, 0x55);
		assert_int_equal(check_map(race->check, next, offset), CHECK_OK);
		set_place(race, offset, MARK + id);
		expect_words(race, id, POKED);
		/* As a kernel does it that forgets to unmap. */
		assert_int_equal(check_unref(race->check, next), CHECK_OK);
		assert_int_equal(check_unref(race->check, id), CHECK_OK);
	}
}

static void run_race(void (*run)(struct race *race)) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		open_race(&the_race, echoes[i]);
		run(&the_race);
		close_race(&the_race);
	}
}

static void check_130_late_writes_reach_no_blob_when_the_next_is_elsewhere(void **state) {
	(void)state;
	run_race(race_elsewhere);
}

static void check_130_late_writes_reach_the_next_blob_alone_when_it_has_the_place(void **state) {
	(void)state;
	run_race(race_same_place);
}

#define race_check(fn) cmocka_unit_test_setup_teardown(fn, check_setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		race_check(check_130_late_writes_reach_no_blob_when_the_next_is_elsewhere),
		race_check(check_130_late_writes_reach_the_next_blob_alone_when_it_has_the_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
