/* Clipboards: pipes the guest reads and writes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "support/fd_check.h"

#define FIRST_READ_ID UINT32_C(0x80000001)

/* The guest reads: SEND with a pipe; returns the end that the host got. */
static int ask(struct rig *rig, int host, uint32_t id) {
	struct rig_id ids[] = { { id, NEEP_XD_ID_READ_PIPE } };
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, ids, 1, "receive"), 0);
	host_expect(host, "receive", &fds);
	assert_int_equal(fds.count, 1);
	return fds.fd[0];
}

/* The guest writes: the host passes on the writing end of a pipe; returns the reading end. */
static int offer(struct rig *rig, int host, uint32_t *id) {
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	host_send(host, "send", 4, &ends[1], 1);
	close(ends[1]);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 128), NEEP_XD_ID_WRITE_PIPE);
	*id = rig_word(rig, 12, 16);
	return ends[0];
}

static void read_pipe_brings_data_then_its_end(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int pipe = ask(rig, host, FIRST_READ_ID);
	assert_int_equal(fcntl(pipe, F_GETFL) & O_NONBLOCK, 0);
	uint8_t data[4073];
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(write(pipe, data, sizeof(data)), sizeof(data));
	close(pipe);
	rig_next(rig, 1);
	uint32_t first[] = { NEEP_XD_READ, 0, FIRST_READ_ID, 0, 4072, 0 };
	assert_memory_equal(rig_message(rig, 1), first, sizeof(first));
	assert_memory_equal(rig_message(rig, 1) + 24, data, 4072);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 16), 1);
	rig_next(rig, 1);
	uint32_t end[] = { NEEP_XD_READ, 0, FIRST_READ_ID, 1, 0, 0 };
	assert_memory_equal(rig_message(rig, 1), end, sizeof(end));
	uint64_t fence = rig_poll(rig, 1);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	close(host);
}

static void wrong_guess_of_an_id_changes_nothing(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	static const uint32_t guesses[] = { 0, 2, 0x80000000, 0x80000002, 0xffffffff };
	for (size_t i = 0; i < 5; i++) {
		struct rig_id ids[] = { { guesses[i], NEEP_XD_ID_READ_PIPE } };
		assert_int_equal(rig_send(rig, 1, ids, 1, "receive"), -EINVAL);
	}
	/* The second of two is wrong: neither is taken. */
	struct rig_id two[] = { { FIRST_READ_ID, NEEP_XD_ID_READ_PIPE }, { 7, NEEP_XD_ID_BLOB } };
	assert_int_equal(rig_send(rig, 1, two, 2, "receive"), -EINVAL);
	close(ask(rig, host, FIRST_READ_ID));
	close(ask(rig, host, FIRST_READ_ID + 1));
	close(host);
}

static void pipe_is_read_while_a_fence_waits_already(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	int pipe = ask(rig, host, FIRST_READ_ID);
	assert_int_equal(write(pipe, "late", 4), 4);
	rig_await(rig, fence);
	assert_int_equal(rig_word(rig, 12, 0), NEEP_XD_READ);
	close(pipe);
	close(host);
}

/* A source that always has something does not keep the others from being read. */
static void sources_take_turns(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int pipes[4];
	size_t seen[5] = { 0 };
	char block[4072] = { 0 };
	for (uint32_t i = 0; i < 4; i++) {
		pipes[i] = ask(rig, host, FIRST_READ_ID + i);
	}
	for (int turn = 0; turn < 14; turn++) {
		for (uint32_t i = 0; i < 4; i++) {
			assert_int_equal(write(pipes[i], block, sizeof(block)), sizeof(block));
		}
		host_send(host, block, 3744, NULL, 0);
	}
	for (int turn = 0; turn < 50; turn++) {
		rig_next(rig, 1);
		bool is_read = rig_word(rig, 12, 0) == NEEP_XD_READ;
		seen[is_read ? rig_word(rig, 12, 8) - FIRST_READ_ID : 4]++;
	}
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(seen[i], 10);
	}
	for (uint32_t i = 0; i < 4; i++) {
		close(pipes[i]);
	}
	close(host);
}

static void several_pipes_go_with_one_message(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	struct rig_id ids[28];
	struct neep_fds fds = { .count = 0 };
	for (uint32_t i = 0; i < 28; i++) {
		ids[i] = (struct rig_id){ FIRST_READ_ID + i, NEEP_XD_ID_READ_PIPE };
	}
	assert_int_equal(rig_send(rig, 1, ids, 28, "x"), 0);
	host_expect(host, "x", &fds);
	assert_int_equal(fds.count, 28);
	assert_int_equal(write(fds.fd[27], "last", 4), 4);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 8), FIRST_READ_ID + 27);
	neep_fds_finish(&fds);
	close(host);
}

static void guest_may_have_1024_pipes(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (uint32_t i = 0; i < 1024; i++) {
		close(ask(rig, host, FIRST_READ_ID + i));
	}
	/* Those that it has read to their ends do not count. */
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 1);
	close(ask(rig, host, FIRST_READ_ID + 1024));
	/* A request that is not sent must not be followed by others. */
	struct rig_id one[] = { { FIRST_READ_ID + 1025, NEEP_XD_ID_READ_PIPE } };
	assert_int_equal(rig_send(rig, 1, one, 1, "x"), -ENOMEM);
	assert_int_equal(rig_send(rig, 1, NULL, 0, "next"), -EIO);
	char byte;
	assert_int_equal(recv(host, &byte, 1, 0), 0);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 0);
	close(host);
}

static void write_pipe_gets_data_then_its_end(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id;
	int pipe = offer(rig, host, &id);
	char buf[16];
	assert_int_equal(rig_write(rig, 1, id, false, "one", 3), 0);
	assert_int_equal(read(pipe, buf, sizeof(buf)), 3);
	assert_int_equal(rig_write(rig, 1, id, true, "two", 3), 0);
	assert_int_equal(read(pipe, buf, sizeof(buf)), 3);
	assert_int_equal(read(pipe, buf, sizeof(buf)), 0);
	assert_int_equal(rig_write(rig, 1, id, true, NULL, 0), -EINVAL);
	assert_int_equal(rig_write(rig, 1, id, false, "x", 1), -EINVAL);
	close(pipe);
	close(host);
}

/* Reads to the end, and checks that it is `size` bytes of the pattern. */
static void drain(struct rig *rig, int pipe, size_t size) {
	static uint8_t buf[65536];
	fcntl(pipe, F_SETFL, O_NONBLOCK);
	size_t got = 0;
	for (;;) {
		ssize_t len = read(pipe, buf, sizeof(buf));
		if (len == 0) {
			break;
		}
		assert_true(len > 0 || errno == EAGAIN);
		for (ssize_t i = 0; i < len; i++) {
			assert_int_equal(buf[i], (uint8_t)((got + (size_t)i) / 4096));
		}
		got += len > 0 ? (size_t)len : 0;
		rig_turn(rig, len > 0 ? 0 : 10);
	}
	assert_int_equal(got, size);
}

static void fill(struct rig *rig, uint32_t id, size_t blocks) {
	uint8_t block[4096];
	for (size_t i = 0; i < blocks; i++) {
		memset(block, (int)(uint8_t)i, sizeof(block));
		assert_int_equal(rig_write(rig, 1, id, false, block, sizeof(block)), 0);
	}
}

static void slow_reader_gets_all_of_it(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id;
	int pipe = offer(rig, host, &id);
	fill(rig, id, 2000);
	assert_int_equal(rig_write(rig, 1, id, true, NULL, 0), 0);
	assert_int_equal(rig_write(rig, 1, id, true, NULL, 0), -EINVAL);
	drain(rig, pipe, 2000 * 4096);
	close(pipe);
	close(host);
}

/* A program that ends right after it has pasted. */
static void reader_gets_all_of_it_when_the_context_has_ended(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id;
	int pipe = offer(rig, host, &id);
	fill(rig, id, 500);
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	drain(rig, pipe, 500 * 4096);
	close(pipe);
	close(host);
}

static void flow_fences_wait_for_the_reader(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id, other_id;
	int pipe = offer(rig, host, &id), other = offer(rig, host, &other_id);
	fill(rig, id, 10);
	assert_true(rig_is_done(rig, rig_fence(rig, 1, 2)));
	fill(rig, id, 200);
	uint64_t fence = rig_fence(rig, 1, 2);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	fill(rig, other_id, 1);
	assert_true(rig_is_done(rig, rig_fence(rig, 1, 3)));
	uint8_t buf[65536];
	while (!rig_is_done(rig, fence)) {
		assert_true(read(pipe, buf, sizeof(buf)) > 0);
		rig_idle(rig, 1);
	}
	fill(rig, id, 200);
	fence = rig_fence(rig, 1, 2);
	close(pipe);
	rig_await(rig, fence);
	close(other);
	close(host);
}

static void flow_fences_wait_for_the_socket(void **state) {
	struct rig *rig = *state;
	static char bytes[2048];
	int host = rig_connect(rig, 1);
	memset(bytes, 'x', sizeof(bytes) - 1);
	assert_int_equal(rig_send(rig, 1, NULL, 0, bytes), 0);
	assert_true(rig_is_done(rig, rig_fence(rig, 1, 2)));
	for (int i = 0; i < 500; i++) {
		assert_int_equal(rig_send(rig, 1, NULL, 0, bytes), 0);
	}
	uint64_t fence = rig_fence(rig, 1, 2), killed = rig_fence(rig, 1, 3);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	char buf[65536];
	for (size_t left = 501 * 2047 - 100000; left > 0;) {
		ssize_t got = recv(host, buf, left < sizeof(buf) ? left : sizeof(buf), MSG_DONTWAIT);
		left -= got > 0 ? (size_t)got : 0;
		rig_idle(rig, 1);
	}
	rig_await(rig, fence);
	rig_await(rig, killed);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(rig_send(rig, 1, NULL, 0, bytes), 0);
	}
	fence = rig_fence(rig, 1, 2);
	close(host);
	rig_await(rig, fence);
}

static void reader_that_is_gone_is_no_mistake(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id;
	int pipe = offer(rig, host, &id);
	fill(rig, id, 100);
	close(pipe);
	rig_idle(rig, 5);
	assert_int_equal(rig_write(rig, 1, id, false, "x", 1), 0);
	assert_int_equal(rig_write(rig, 1, id, true, NULL, 0), 0);
	pipe = offer(rig, host, &id);
	close(pipe);
	assert_int_equal(rig_write(rig, 1, id, false, "x", 1), 0);
	assert_int_equal(rig_write(rig, 1, id, true, "x", 1), 0);
	close(host);
}

static void pipe_that_is_never_read_is_given_up(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t id;
	int pipe = offer(rig, host, &id);
	uint8_t *block = calloc(1, 60000);
	for (int i = 0; i < 1300; i++) {
		assert_int_equal(rig_write(rig, 1, id, false, block, 60000), 0);
	}
	free(block);
	assert_true(rig_has_message(rig, "was given up"));
	/* The connection itself goes on. */
	assert_int_equal(rig_send(rig, 1, NULL, 0, "alive"), 0);
	host_expect(host, "alive", NULL);
	close(pipe);
	close(host);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(read_pipe_brings_data_then_its_end),
		rig_test(wrong_guess_of_an_id_changes_nothing),
		rig_test(pipe_is_read_while_a_fence_waits_already),
		rig_test(sources_take_turns),
		rig_test(several_pipes_go_with_one_message),
		rig_test(guest_may_have_1024_pipes),
		rig_test(write_pipe_gets_data_then_its_end),
		rig_test(slow_reader_gets_all_of_it),
		rig_test(reader_gets_all_of_it_when_the_context_has_ended),
		rig_test(flow_fences_wait_for_the_reader),
		rig_test(flow_fences_wait_for_the_socket),
		rig_test(reader_that_is_gone_is_no_mistake),
		rig_test(pipe_that_is_never_read_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
