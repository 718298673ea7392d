/* Guests that send what no driver sends. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "support/fd_check.h"

/* The connection still works. */
static void check_alive(struct rig *rig, uint32_t ctx_id, int host) {
	assert_int_equal(rig_send(rig, ctx_id, NULL, 0, "alive"), 0);
	host_expect(host, "alive", NULL);
	host_send(host, "too", 3, NULL, 0);
	rig_next(rig, ctx_id);
	assert_memory_equal(rig_message(rig, ctx_id) + 352, "too", 3);
}

static void framing_that_is_wrong_is_refused(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint8_t bytes[512] = { 0 };
	for (unsigned command = 0; command < 256; command++) {
		static const uint16_t sizes[] = { 0, 1, 7, 8, 9, 15, 17, 19, 23, 351, 65535 };
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			bool is_whole_poll =
				command == NEEP_XD_POLL && sizes[i] >= 8 && sizes[i] <= sizeof(bytes);
			memset(bytes, 0, sizeof(bytes));
			bytes[0] = (uint8_t)command;
			memcpy(bytes + 2, &sizes[i], 2);
			int rc = rig_submit(
				rig, 1, bytes, sizes[i] <= sizeof(bytes) && sizes[i] > 0 ? sizes[i] : 16);
			assert_int_equal(rc == 0, is_whole_poll);
		}
	}
	check_alive(rig, 1, host);
	close(host);
}

static void rest_that_is_no_command_is_refused(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	const uint8_t polls[40] = { 3, 0, 16, [16] = 3, 0, 16, [32] = 3, 0, 8 };
	assert_int_equal(rig_submit(rig, 1, polls, 40), 0);
	for (size_t size = 33; size < 40; size++) {
		assert_int_equal(rig_submit(rig, 1, polls, size), -EINVAL);
	}
	for (size_t size = 1; size < 16; size++) {
		assert_int_equal(rig_submit(rig, 1, polls, size), -EINVAL);
	}
	check_alive(rig, 1, host);
	close(host);
}

/* Commands behind an odd one lie at odd addresses. */
static void commands_follow_each_other(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint8_t bytes[353 + 353 + 24] = { 0 };
	for (size_t i = 0; i < 2; i++) {
		uint8_t *send = bytes + 353 * i;
		send[0] = NEEP_XD_SEND;
		send[2] = 353 & 0xff;
		send[3] = 353 >> 8;
		send[12] = 1;
		send[352] = (uint8_t)('a' + i);
	}
	const uint8_t query[24] = { 2, 0, 24, [8] = 1, [12] = 1, [16] = 'R', '8', ' ', ' ' };
	memcpy(bytes + 706, query, sizeof(query));
	assert_int_equal(rig_submit(rig, 1, bytes, sizeof(bytes)), 0);
	host_expect(host, "ab", NULL);
	assert_int_equal(rig_word(rig, 11, 48), 2);
	close(host);
}

static void counts_that_are_wrong_are_refused(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	static const uint32_t counts[][2] = { { 0, 13 }, { 0, 0xfffffff0 }, { 0, UINT32_MAX }, { 29, 12 },
		{ UINT32_MAX, 12 }, { 0x80000000, 12 }, { 1, 0 } };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t words[91] = { 364 << 16 | NEEP_XD_SEND, 0, counts[i][0], counts[i][1] };
		assert_int_equal(rig_submit(rig, 1, words, 364), -EINVAL);
	}
	static const uint32_t lens[] = { 1, 0xfffffff0, UINT32_MAX };
	for (size_t i = 0; i < 3; i++) {
		uint32_t words[6] = { 24 << 16 | NEEP_XD_WRITE, 0, 2, 0, lens[i], 0 };
		assert_int_equal(rig_submit(rig, 1, words, 24), -EINVAL);
	}
	check_alive(rig, 1, host);
	close(host);
}

static void largest_send_goes_through(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint8_t *bytes = calloc(1, 65535);
	const uint32_t words[4] = { 65535u << 16 | NEEP_XD_SEND, 0, 0, 65535 - 352 };
	memcpy(bytes, words, sizeof(words));
	assert_int_equal(rig_submit(rig, 1, bytes, 65535), 0);
	ssize_t len, got = 0;
	while (got < 65535 - 352 && (len = recv(host, bytes, 65535, 0)) > 0) {
		got += len;
	}
	assert_int_equal(got, 65535 - 352);
	free(bytes);
	close(host);
}

static void second_init_changes_nothing(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	assert_int_equal(rig_init(rig, 1, RIG_WAYLAND), -EINVAL);
	assert_int_equal(rig_init(rig, 1, 0), -EINVAL);
	assert_false(rig_is_done(rig, fence));
	host_send(host, "x", 1, NULL, 0);
	rig_await(rig, fence);
	check_alive(rig, 1, host);
	close(host);
}

static void rings_that_are_none_are_refused(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	assert_int_equal(rig_query(rig, 1, 4096, 1, "R8  "), 0);
	assert_int_equal(rig_blob(rig, 1, 100, 2, 4096), 0);
	/* Of context 2: 21 and 22 are rings, 23 is too small, 24 not attached, 100 host memory, 999 nothing. */
	static const uint32_t rings[][2] = { { 21, 21 }, { 21, 23 }, { 23, 22 }, { 21, 24 }, { 24, 22 },
		{ 21, 100 }, { 100, 22 }, { 21, 999 }, { 999, 22 }, { 0, 0 } };
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		rig_context(rig, 2);
		if (i == 0) {
			rig_page(rig, 2, 21, 4096);
			rig_page(rig, 2, 22, 4096);
			rig_page(rig, 2, 23, 16);
			rig_page(rig, 1, 24, 4096);
		}
		static const uint32_t attached[] = { 21, 22, 23, 100 };
		for (size_t k = 0; k < 4; k++) {
			rutabaga_context_attach_resource(rig->rutabaga, 2, attached[k]);
		}
		uint32_t init[] = { 20 << 16 | NEEP_XD_INIT, 0, rings[i][0], rings[i][1], RIG_WAYLAND };
		assert_int_equal(rig_submit_words(rig, 2, init, 5), -EINVAL);
		assert_true(rig_is_done(rig, rig_poll(rig, 2)));
		assert_int_equal(rig_send(rig, 2, NULL, 0, "x"), -EIO);
		assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 2), 0);
	}
	check_alive(rig, 1, host);
	close(host);
}

static void commands_before_init_are_refused(void **state) {
	struct rig *rig = *state;
	rig_context(rig, 1);
	rig_page(rig, 1, 11, 4096);
	rig_page(rig, 1, 12, 4096);
	assert_true(rig_is_done(rig, rig_poll(rig, 1)));
	assert_int_equal(rig_send(rig, 1, NULL, 0, "x"), -EINVAL);
	assert_int_equal(rig_write(rig, 1, 2, false, "x", 1), -EINVAL);
	assert_int_equal(rig_query(rig, 1, 1, 1, "R8  "), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 100, 2, 4096), -EINVAL);
	assert_int_equal(rig_init(rig, 1, RIG_WAYLAND), 0);
	int host = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	check_alive(rig, 1, host);
	close(host);
}

static void ids_of_another_kind_are_refused(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1), other = rig_connect(rig, 2);
	int ends[2];
	assert_int_equal(rig_query(rig, 1, 4096, 1, "R8  "), 0); // 2
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	host_send(host, "x", 1, &ends[1], 1);
	rig_next(rig, 1); // 3
	struct rig_id ids[] = { { 0x80000001, NEEP_XD_ID_READ_PIPE } };
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, ids, 1, "x"), 0);
	host_expect(host, "x", &fds);
	assert_int_equal(rig_blob(rig, 1, 100, 3, 4096), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 100, 0x80000001, 4096), -EINVAL);
	static const uint32_t not_written[] = { 0, 1, 2, 4, 0x80000000, 0x80000001, 0x80000002, UINT32_MAX };
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(rig_write(rig, 1, not_written[i], false, "x", 1), -EINVAL);
		assert_int_equal(rig_write(rig, 1, not_written[i], true, NULL, 0), -EINVAL);
		const uint32_t event[] = { 16 << 16 | NEEP_XD_READ_CREATE_EVENT, 0, not_written[i], 0 };
		assert_int_equal(rig_submit_words(rig, 1, event, 4), -EINVAL);
	}
	/* Items are their context's. */
	assert_int_equal(rig_write(rig, 2, 3, false, "x", 1), -EINVAL);
	assert_int_equal(rig_blob(rig, 2, 101, 2, 4096), -EINVAL);
	neep_fds_finish(&fds);
	close(ends[0]);
	close(ends[1]);
	close(host);
	close(other);
}

static void commands_of_other_hosts_are_refused_and_told_once(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	static const uint8_t commands[] = { 5, 6, 8, 9, 10, 12, 13, 14, 255 };
	for (size_t i = 0; i < sizeof(commands); i++) {
		uint8_t bytes[32] = { commands[i], 0, 32 };
		assert_true(rig_submit(rig, 1, bytes, sizeof(bytes)) < 0);
	}
	assert_true(rig_has_message(rig, "not supported"));
	check_alive(rig, 1, host);
	close(host);
}

/* The guest pulls its ring from under a message. */
static void ring_without_memory_ends_the_connection(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	assert_int_equal(rutabaga_resource_detach_backing(rig->rutabaga, 12), 0);
	host_send(host, "x", 1, NULL, 0);
	rig_await(rig, fence);
	assert_true(rig_is_done(rig, rig_poll(rig, 1)));
	close(host);
	host = rig_connect(rig, 2);
	fence = rig_poll(rig, 2);
	assert_int_equal(rutabaga_resource_unref(rig->rutabaga, 22), 0);
	assert_true(rig_is_done(rig, fence));
	close(host);
}

static void two_polls_are_two_messages(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t first = rig_poll(rig, 1), second = rig_poll(rig, 1);
	host_send(host, "1", 1, NULL, 0);
	rig_await(rig, first);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, second));
	host_send(host, "2", 1, NULL, 0);
	rig_await(rig, second);
	close(host);
}

static void send_pipe(struct rig *rig, int host, uint32_t number) {
	const struct rig_id id = { 0x80000000 + number, NEEP_XD_ID_READ_PIPE };
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, &id, 1, "x"), 0);
	host_expect(host, "x", &fds);
	neep_fds_finish(&fds);
}

/* Of the fds of the process only so many are for guests. */
static void fds_of_the_device_are_not_used_up(void **state) {
	struct rig *rig = *state;
	struct rlimit limit = fd_limit(256);
	assert_int_equal(rutabaga_finish(&rig->rutabaga), 0);
	struct rutabaga_builder builder = rig_builder(rig);
	assert_int_equal(rutabaga_init(&builder, &rig->rutabaga), 0);
	fd_limit_restore(limit);
	rig->event_fd = neep_rutabaga_event_fd(rig->rutabaga);
	int host = rig_connect(rig, 1);
	for (uint32_t i = 1; i <= 256 / 2 - 2; i++) {
		send_pipe(rig, host, i);
	}
	rig_context(rig, 2);
	rig_page(rig, 2, 21, 4096);
	rig_page(rig, 2, 22, 4096);
	assert_int_equal(rig_init(rig, 2, RIG_WAYLAND), -EMFILE);
	assert_true(rig_is_done(rig, rig_poll(rig, 2)));
	for (int i = 0; i < 10; i++) {
		rig_next(rig, 1);
	}
	int other = rig_connect(rig, 3);
	check_alive(rig, 3, other);
	close(other);
	/* Nothing has been refused to the first. */
	send_pipe(rig, host, 256 / 2 - 1);
	close(host);
}

static void many_contexts_come_and_go(void **state) {
	struct rig *rig = *state;
	for (uint32_t round = 0; round < 5; round++) {
		int hosts[20];
		for (uint32_t i = 0; i < 20; i++) {
			rig_context(rig, i + 1);
			if (round == 0) {
				rig_page(rig, i + 1, rig_query_ring(i + 1), 4096);
				rig_page(rig, i + 1, rig_channel_ring(i + 1), 4096);
			}
			rutabaga_context_attach_resource(rig->rutabaga, i + 1, rig_query_ring(i + 1));
			rutabaga_context_attach_resource(rig->rutabaga, i + 1, rig_channel_ring(i + 1));
			assert_int_equal(rig_init(rig, i + 1, RIG_WAYLAND), 0);
			hosts[i] = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			rig_poll(rig, i + 1);
		}
		for (uint32_t i = 0; i < 20; i++) {
			host_send(hosts[i], "x", 1, NULL, 0);
			close(hosts[i]);
			if (i % 2 == 0) {
				assert_int_equal(rutabaga_context_destroy(rig->rutabaga, i + 1), 0);
			}
		}
		rig_idle(rig, 5);
		for (uint32_t i = 1; i < 20; i += 2) {
			assert_int_equal(rutabaga_context_destroy(rig->rutabaga, i + 1), 0);
		}
		assert_int_equal(rig->fence_count, 20 * (round + 1));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(framing_that_is_wrong_is_refused),
		rig_test(rest_that_is_no_command_is_refused),
		rig_test(commands_follow_each_other),
		rig_test(counts_that_are_wrong_are_refused),
		rig_test(largest_send_goes_through),
		rig_test(second_init_changes_nothing),
		rig_test(rings_that_are_none_are_refused),
		rig_test(commands_before_init_are_refused),
		rig_test(ids_of_another_kind_are_refused),
		rig_test(commands_of_other_hosts_are_refused_and_told_once),
		rig_test(ring_without_memory_ends_the_connection),
		rig_test(two_polls_are_two_messages),
		rig_test(fds_of_the_device_are_not_used_up),
		rig_test(many_contexts_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
