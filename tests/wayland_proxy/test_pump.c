/* Pumps with real pipes; the host is this test. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"
#include "wayland/channel.h"
#include "wayland/pump.h"

struct world {
	struct neep_loop *loop;
	struct neep_wl_pumps pumps;
	/* What came in WRITE commands. */
	uint64_t bytes;
	uint32_t sum;
	uint32_t hang_ups;
	uint32_t last_id;
	/* What write() does. */
	bool has_fences;
	int fence; // a copy of the last one; -1: none
	int result;
	int changes;
};

static uint32_t add_up(uint32_t sum, const uint8_t *bytes, size_t len) {
	for (size_t i = 0; i < len; i++) {
		sum = sum * 31 + bytes[i];
	}
	return sum;
}

static int host_write(void *data, const uint8_t *command, size_t len, uint32_t lane, int *fence_fd) {
	(void)lane;
	struct world *world = data;
	uint32_t words[5];
	memcpy(words, command, sizeof(words));
	assert_int_equal(words[0], 7 | len << 16);
	assert_int_equal(words[4], len - NEEP_WL_CHANNEL_WRITE_HEAD);
	world->last_id = words[2];
	world->hang_ups += words[3];
	world->bytes += words[4];
	world->sum = add_up(world->sum, command + NEEP_WL_CHANNEL_WRITE_HEAD, words[4]);
	if (fence_fd != NULL) {
		*fence_fd = -1;
		if (world->has_fences) {
			neep_close_fd(&world->fence);
			world->fence = neep_eventfd_create();
			*fence_fd = neep_fd_dup(world->fence);
		}
	}
	return world->result;
}

static void host_changed(void *data) {
	struct world *world = data;
	world->changes++;
}

static const struct neep_wl_pumps_listener listener = { .write = host_write, .changed = host_changed };

static int setup(void **state) {
	fd_check_setup(state);
	signal(SIGPIPE, SIG_IGN);
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->loop = neep_loop_create();
	world->fence = -1;
	assert_int_equal(neep_wl_pumps_init(&world->pumps, world->loop, &listener, world), 0);
	*state = world;
	return 0;
}

static int teardown(void **state) {
	struct world *world = *state;
	neep_wl_pumps_finish(&world->pumps);
	neep_close_fd(&world->fence);
	neep_loop_destroy(world->loop);
	free(world);
	return fd_check_teardown(state);
}

static void turn(struct world *world, int count) {
	for (int i = 0; i < count; i++) {
		assert_int_equal(neep_loop_step(world->loop, 0), 0);
	}
}

static void until_idle(struct world *world) {
	while (!neep_wl_pumps_is_idle(&world->pumps)) {
		assert_int_equal(neep_loop_step(world->loop, 5000), 0);
	}
}

/* ---- to the client ---- */

static uint32_t add_reader(struct world *world, int *client) {
	int ends[2];
	uint32_t id;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(neep_wl_pumps_add_to_client(&world->pumps, ends[1], &id), 0);
	*client = ends[0];
	return id;
}

static void host_sends(struct world *world, uint32_t id, const void *bytes, size_t len, bool hang_up) {
	struct neep_wl_pump_read read = { .id = id, .bytes = bytes, .len = len, .hang_up = hang_up };
	neep_wl_pumps_read(&world->pumps, &read);
}

static void ids_of_read_pipes_count_from_the_first(void **state) {
	struct world *world = *state;
	int clients[3];
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(add_reader(world, &clients[i]), 0x80000001 + i);
		close(clients[i]);
	}
}

static void client_reads_what_the_host_sends_until_it_hangs_up(void **state) {
	struct world *world = *state;
	int client;
	char got[8] = { 0 };
	uint32_t id = add_reader(world, &client);
	host_sends(world, id, "abc", 3, false);
	host_sends(world, id, "def", 3, false);
	assert_int_equal(read(client, got, sizeof(got)), 6);
	assert_string_equal(got, "abcdef");
	host_sends(world, id, NULL, 0, true);
	assert_int_equal(read(client, got, sizeof(got)), 0);
	assert_true(neep_wl_pumps_is_idle(&world->pumps));
	close(client);
}

static void client_reads_nothing_when_nothing_was_sent(void **state) {
	struct world *world = *state;
	int client;
	char got;
	uint32_t id = add_reader(world, &client);
	host_sends(world, id, NULL, 0, true);
	assert_int_equal(read(client, &got, 1), 0);
	close(client);
}

static void last_bytes_may_come_with_the_hang_up(void **state) {
	struct world *world = *state;
	int client;
	char got[8];
	uint32_t id = add_reader(world, &client);
	host_sends(world, id, "abc", 3, true);
	assert_int_equal(read(client, got, sizeof(got)), 3);
	assert_int_equal(read(client, got, sizeof(got)), 0);
	close(client);
}

static void slow_client_makes_pumps_full_and_gets_everything(void **state) {
	struct world *world = *state;
	static uint8_t part[4072], got[1 << 16];
	int client;
	uint32_t id = add_reader(world, &client), sum = 0, got_sum = 0;
	size_t sent = 0, came = 0;
	for (; !neep_wl_pumps_is_full(&world->pumps); sent += sizeof(part)) {
		memset(part, (int)(sent / sizeof(part)), sizeof(part));
		sum = add_up(sum, part, sizeof(part));
		host_sends(world, id, part, sizeof(part), false);
	}
	assert_in_range(sent, NEEP_WL_PUMP_QUEUE_MAX, NEEP_WL_PUMP_QUEUE_MAX + (1 << 20));
	host_sends(world, id, NULL, 0, true);
	for (ssize_t len; (len = read(client, got, sizeof(got))) > 0; came += (size_t)len) {
		got_sum = add_up(got_sum, got, (size_t)len);
		turn(world, 1);
	}
	assert_int_equal(came, sent);
	assert_int_equal(got_sum, sum);
	assert_false(neep_wl_pumps_is_full(&world->pumps));
	assert_true(world->changes > 0);
	assert_true(neep_wl_pumps_is_idle(&world->pumps));
	close(client);
}

static void client_that_closes_early_is_drained_until_the_hang_up(void **state) {
	struct world *world = *state;
	static uint8_t part[4072];
	int client;
	uint32_t id = add_reader(world, &client);
	close(client);
	for (int i = 0; i < 1000; i++) {
		host_sends(world, id, part, sizeof(part), false);
	}
	assert_false(neep_wl_pumps_is_full(&world->pumps));
	assert_false(neep_wl_pumps_is_idle(&world->pumps));
	host_sends(world, id, NULL, 0, true);
	assert_true(neep_wl_pumps_is_idle(&world->pumps));
}

static void client_that_closes_a_full_queue_empties_it(void **state) {
	struct world *world = *state;
	static uint8_t part[4072];
	int client;
	uint32_t id = add_reader(world, &client);
	while (!neep_wl_pumps_is_full(&world->pumps)) {
		host_sends(world, id, part, sizeof(part), false);
	}
	close(client);
	turn(world, 2);
	assert_false(neep_wl_pumps_is_full(&world->pumps));
	host_sends(world, id, NULL, 0, true);
	assert_true(neep_wl_pumps_is_idle(&world->pumps));
}

static void bytes_for_ids_that_nobody_has_are_dropped(void **state) {
	struct world *world = *state;
	int client;
	uint32_t id = add_reader(world, &client);
	host_sends(world, id + 1, "abc", 3, true);
	host_sends(world, 5, "abc", 3, false);
	host_sends(world, id, NULL, 0, true);
	host_sends(world, id, "abc", 3, true);
	char got;
	assert_int_equal(read(client, &got, 1), 0);
	close(client);
}

static void finish_closes_what_is_queued(void **state) {
	struct world *world = *state;
	static uint8_t part[1 << 18];
	int client;
	uint32_t id = add_reader(world, &client);
	host_sends(world, id, part, sizeof(part), true);
	assert_false(neep_wl_pumps_is_idle(&world->pumps));
	neep_wl_pumps_finish(&world->pumps);
	assert_int_equal(neep_wl_pumps_init(&world->pumps, world->loop, &listener, world), 0);
	close(client);
}

/* ---- to the host ---- */

static void host_gets_what_the_client_writes_until_it_closes(void **state) {
	struct world *world = *state;
	int client = neep_wl_pumps_add_to_host(&world->pumps, 42);
	assert_true(client >= 0);
	assert_int_equal(write(client, "abc", 3), 3);
	turn(world, 3);
	assert_int_equal(world->bytes, 3);
	assert_int_equal(world->last_id, 42);
	/* Little, and then nothing for a while, is not the end. */
	turn(world, 3);
	assert_int_equal(world->hang_ups, 0);
	assert_int_equal(write(client, "d", 1), 1);
	close(client);
	until_idle(world);
	assert_int_equal(world->bytes, 4);
	assert_int_equal(world->sum, add_up(0, (const uint8_t *)"abcd", 4));
	assert_int_equal(world->hang_ups, 1);
}

static void host_gets_the_end_of_an_empty_pipe(void **state) {
	struct world *world = *state;
	close(neep_wl_pumps_add_to_host(&world->pumps, 42));
	until_idle(world);
	assert_int_equal(world->bytes, 0);
	assert_int_equal(world->hang_ups, 1);
}

struct producer {
	int fd;
	uint64_t bytes;
	uint32_t sum;
};

static void *produce(void *data) {
	struct producer *producer = data;
	static uint8_t bytes[1 << 16];
	for (uint64_t left = producer->bytes; left > 0;) {
		size_t part = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
		memset(bytes, (int)(left >> 16), part);
		neep_assert(write(producer->fd, bytes, part) == (ssize_t)part);
		producer->sum = add_up(producer->sum, bytes, part);
		left -= part;
	}
	close(producer->fd);
	return NULL;
}

static void hundred_megabytes_arrive(void **state) {
	struct world *world = *state;
	struct producer producer = { .fd = neep_wl_pumps_add_to_host(&world->pumps, 3), .bytes = 100000000 };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
	until_idle(world);
	pthread_join(thread, NULL);
	assert_int_equal(world->bytes, producer.bytes);
	assert_int_equal(world->sum, producer.sum);
}

static void pipe_rests_until_the_host_has_passed_on_a_window(void **state) {
	struct world *world = *state;
	static uint8_t bytes[1 << 16];
	int client = neep_wl_pumps_add_to_host(&world->pumps, 42);
	assert_int_equal(neep_fd_set_nonblocking(client), 0);
	world->has_fences = true;
	for (int i = 0; i < 100; i++) {
		(void)!write(client, bytes, sizeof(bytes));
		turn(world, 1);
	}
	assert_in_range(world->bytes, NEEP_WL_PUMP_WINDOW, NEEP_WL_PUMP_WINDOW + NEEP_WL_CHANNEL_WRITE_MAX);
	uint64_t before = world->bytes;
	neep_eventfd_signal(world->fence);
	turn(world, 3);
	assert_true(world->bytes > before);
	close(client);
	while (!neep_wl_pumps_is_idle(&world->pumps)) {
		neep_eventfd_signal(world->fence);
		turn(world, 1);
	}
	assert_int_equal(world->hang_ups, 1);
}

static void pump_ends_when_the_host_takes_nothing(void **state) {
	struct world *world = *state;
	int client = neep_wl_pumps_add_to_host(&world->pumps, 42);
	world->result = -EPIPE;
	assert_int_equal(write(client, "abc", 3), 3);
	until_idle(world);
	assert_int_equal(write(client, "abc", 3), -1);
	assert_int_equal(errno, EPIPE);
	close(client);
}

static void five_pipes_each_way_do_not_mix(void **state) {
	struct world *world = *state;
	int readers[5], writers[5];
	uint32_t ids[5];
	for (uint32_t i = 0; i < 5; i++) {
		ids[i] = add_reader(world, &readers[i]);
		writers[i] = neep_wl_pumps_add_to_host(&world->pumps, 10 + i);
	}
	for (uint32_t i = 0; i < 5; i++) {
		uint8_t byte = (uint8_t)i, got;
		host_sends(world, ids[i], &byte, 1, true);
		assert_int_equal(read(readers[i], &got, 1), 1);
		assert_int_equal(got, i);
		assert_int_equal(write(writers[i], &byte, 1), 1);
		turn(world, 1);
		assert_int_equal(world->last_id, 10 + i);
		close(readers[i]);
		close(writers[i]);
	}
	until_idle(world);
	assert_int_equal(world->hang_ups, 5);
}

#define pump_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		pump_test(ids_of_read_pipes_count_from_the_first),
		pump_test(client_reads_what_the_host_sends_until_it_hangs_up),
		pump_test(client_reads_nothing_when_nothing_was_sent),
		pump_test(last_bytes_may_come_with_the_hang_up),
		pump_test(slow_client_makes_pumps_full_and_gets_everything),
		pump_test(client_that_closes_early_is_drained_until_the_hang_up),
		pump_test(client_that_closes_a_full_queue_empties_it),
		pump_test(bytes_for_ids_that_nobody_has_are_dropped),
		pump_test(finish_closes_what_is_queued),
		pump_test(host_gets_what_the_client_writes_until_it_closes),
		pump_test(host_gets_the_end_of_an_empty_pipe),
		pump_test(hundred_megabytes_arrive),
		pump_test(pipe_rests_until_the_host_has_passed_on_a_window),
		pump_test(pump_ends_when_the_host_takes_nothing),
		pump_test(five_pipes_each_way_do_not_mix),
	};
	return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
