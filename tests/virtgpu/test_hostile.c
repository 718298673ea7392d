/* Programs that do not use the library, but speak to the node themselves, and badly. */
#include "support/cmocka.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtgpu/machine.h"
#include "virtgpu/protocol.h"

#define ROUNDS 30000

static int say_hello(const struct machine *machine) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = neep_virtgpu_node_name(machine->node);
	memcpy(address.sun_path + 1, name, strlen(name));
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

struct message {
	struct neep_virtgpu_call call;
	uint8_t body[512];
};

static void say(int socket, const struct message *message, size_t body_len, int fd) {
	struct neep_send send = {
		.buf = message,
		.len = sizeof(message->call) + body_len,
		.fds = &fd,
		.fd_count = fd >= 0 ? 1 : 0,
	};
	assert_int_equal(neep_send_all(socket, &send), 0);
}

struct reply {
	struct neep_virtgpu_answer answer;
	uint8_t body[NEEP_VIRTGPU_STRUCT_MAX];
	int fd;
};

/* Serves until there is an answer. Returns its result, or -EPIPE when the node hung up. */
static int hear(struct machine *machine, int socket, struct reply *reply) {
	struct pollfd poller = { .fd = socket, .events = POLLIN };
	struct neep_fds fds = { 0 };
	while (poll(&poller, 1, 0) == 0) {
		assert_int_equal(neep_loop_step(machine->loop, 1), 0);
	}
	int64_t got = neep_recv(socket, reply, offsetof(struct reply, fd), &fds);
	reply->fd = neep_fds_take(&fds, 0);
	neep_fds_finish(&fds);
	return got < (int64_t)sizeof(reply->answer) ? -EPIPE : reply->answer.result;
}

static int ask(struct machine *machine, int socket, const struct message *message, size_t body_len,
	struct reply *reply) {
	say(socket, message, body_len, -1);
	return hear(machine, socket, reply);
}

/* A file, and its id as its name tells it. */
static int open_file(struct machine *machine, int socket, uint64_t *id) {
	struct message message = { .call = { .op = NEEP_VIRTGPU_OP_OPEN } };
	struct reply reply;
	assert_int_equal(ask(machine, socket, &message, 0, &reply), 0);
	assert_true(reply.fd >= 0);
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	assert_int_equal(getpeername(reply.fd, (struct sockaddr *)&address, &len), 0);
	char digits[17] = { 0 };
	memcpy(digits, address.sun_path + 2 + NEEP_VIRTGPU_NAME_LEN, 16);
	*id = strtoull(digits, NULL, 16);
	return reply.fd;
}

static void message_without_a_head_ends_the_connection(void **state) {
	struct machine *machine = *state;
	struct message message = { .call = { .op = NEEP_VIRTGPU_OP_OPEN } };
	struct reply reply;
	for (size_t len = 1; len < sizeof(message.call); len += 7) {
		int socket = say_hello(machine);
		assert_int_equal(send(socket, &message, len, 0), len);
		assert_int_equal(hear(machine, socket, &reply), -EPIPE);
		close(socket);
	}
}

static void wrong_words_are_answered(void **state) {
	struct machine *machine = *state;
	static const struct {
		struct neep_virtgpu_call call;
		size_t body_len;
		int result;
	} wrong[] = {
		{ { .op = 0 }, 0, -EINVAL },
		{ { .op = 99 }, 0, -EINVAL },
		{ { .op = NEEP_VIRTGPU_OP_OPEN, .size = 8 }, 4, -EINVAL },
		{ { .op = NEEP_VIRTGPU_OP_OPEN, .size = UINT32_MAX }, 512, -EINVAL },
		{ { .op = NEEP_VIRTGPU_OP_IOCTL, .nr = 9 }, 0, -EBADF },
		{ { .op = NEEP_VIRTGPU_OP_IOCTL, .nr = 9, .file_id = 5 }, 0, -EBADF },
		{ { .op = NEEP_VIRTGPU_OP_MMAP, .size = 24, .file_id = 5 }, 24, -EBADF },
		{ { .op = NEEP_VIRTGPU_OP_QUERY }, 0, -EBADF },
		{ { .op = NEEP_VIRTGPU_OP_MERGE }, 0, -EINVAL },
		{ { .op = NEEP_VIRTGPU_OP_OPEN, .flags = NEEP_VIRTGPU_CALL_BULK }, 0, -EINVAL },
	};
	int socket = say_hello(machine);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct message message = { .call = wrong[i].call };
		struct reply reply;
		message.call.sequence = (uint32_t)i + 100;
		assert_int_equal(ask(machine, socket, &message, wrong[i].body_len, &reply), wrong[i].result);
		assert_int_equal(reply.answer.sequence, i + 100);
		assert_int_equal(reply.fd, -1);
	}
	close(socket);
}

static void struct_of_another_size_is_refused(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	int socket = say_hello(machine);
	int file = open_file(machine, socket, &id);
	for (uint32_t size = 0; size <= NEEP_VIRTGPU_STRUCT_MAX; size++) {
		struct message message = {
			.call = { .op = NEEP_VIRTGPU_OP_IOCTL,
				.nr = NEEP_DRM_NR_WAIT,
				.size = size,
				.file_id = id },
		};
		struct reply reply;
		int result = size == sizeof(struct neep_drm_wait) ? -ENOENT : -EINVAL;
		assert_int_equal(ask(machine, socket, &message, size, &reply), result);
	}
	close(file);
	close(socket);
}

/* Counts that say more than the message has. */
static void arrays_that_are_not_there_are_refused(void **state) {
	struct machine *machine = *state;
	static const uint32_t counts[] = { 1, 64, 65536, INT32_MAX, UINT32_MAX };
	uint64_t id;
	int socket = say_hello(machine);
	int file = open_file(machine, socket, &id);
	for (size_t i = 0; i < 4 * NEEP_ARRAY_LEN(counts); i++) {
		uint32_t count = counts[i / 4];
		struct neep_drm_execbuffer exec = { .size = i % 4 == 0 ? count : 0,
			.num_bo_handles = i % 4 == 1 ? count : 0,
			.num_in_syncobjs = i % 4 == 2 ? count : 0,
			.num_out_syncobjs = i % 4 == 3 ? count : 0,
			.syncobj_stride = i % 2 == 0 ? 16 : UINT32_MAX };
		struct message message = {
			.call = { .op = NEEP_VIRTGPU_OP_IOCTL,
				.nr = NEEP_DRM_NR_EXECBUFFER,
				.size = sizeof(exec),
				.file_id = id },
		};
		memcpy(message.body, &exec, sizeof(exec));
		struct reply reply;
		assert_int_equal(ask(machine, socket, &message, sizeof(exec), &reply), -EFAULT);
	}
	close(file);
	close(socket);
}

static void memfd_of_a_call_may_lie(void **state) {
	struct machine *machine = *state;
	int socket = say_hello(machine);
	struct message message = {
		.call = { .op = NEEP_VIRTGPU_OP_INFO, .flags = NEEP_VIRTGPU_CALL_BULK, .size = 64 },
	};
	struct reply reply;
	int memory = memfd_create("lie", MFD_CLOEXEC);
	say(socket, &message, 0, memory);
	assert_int_equal(hear(machine, socket, &reply), -EINVAL);
	assert_int_equal(ftruncate(memory, INT64_C(1) << 40), 0);
	say(socket, &message, 0, memory);
	assert_int_equal(hear(machine, socket, &reply), -EINVAL);
	assert_int_equal(ftruncate(memory, 64), 0);
	say(socket, &message, 0, memory);
	assert_int_equal(hear(machine, socket, &reply), 0);
	close(reply.fd);
	say(socket, &message, 0, socket);
	assert_int_equal(hear(machine, socket, &reply), -EINVAL);
	close(memory);
	close(socket);
}

static void writing_to_a_token_changes_nothing(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	int socket = say_hello(machine);
	int file = open_file(machine, socket, &id);
	for (int i = 0; i < 10; i++) {
		struct message message = { .call = { .op = NEEP_VIRTGPU_OP_OPEN } };
		say(file, &message, 100, socket);
	}
	machine_run_for(machine, 5 * NEEP_NS_PER_MS);
	assert_int_equal(neep_virtgpu_node_counts(machine->node).files, 1);
	close(file);
	close(socket);
}

static void node_without_fds_takes_connections_later(void **state) {
	struct machine *machine = *state;
	struct rlimit limit, few = { .rlim_cur = 64 };
	int fds[64];
	size_t count = 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	few.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	while ((fds[count] = dup(STDERR_FILENO)) >= 0) {
		count++;
	}
	close(fds[--count]);
	int socket = say_hello(machine);
	machine_run_for(machine, 5 * NEEP_NS_PER_MS);
	assert_int_equal(neep_virtgpu_node_counts(machine->node).connections, 0);
	while (count > 0) {
		close(fds[--count]);
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	await_turning(neep_virtgpu_node_counts(machine->node).connections != 0,
		assert_int_equal(neep_loop_step(machine->loop, 10), 0));
	assert_int_equal(neep_virtgpu_node_counts(machine->node).connections, 1);
	close(socket);
}

static uint32_t small_number(void) {
	static const uint32_t odd[] = { 0, 1, 2, 3, 4, 8, 16, 64, 4096, 65535, INT32_MAX, UINT32_MAX };
	return odd[(size_t)rand() % NEEP_ARRAY_LEN(odd)];
}

/* Structs whose words are all likely to mean something. */
static void fill_random(struct message *message, uint64_t id) {
	static const uint8_t numbers[] = { 0x09, 0x2d, 0x2e, 0x41, 0x42, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a,
		0x4b, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xca, 0xcc, 0xcd };
	static const uint32_t sizes[] = { 8, 12, 16, 24, 32, 40, 48, 56, 64 };
	message->call = (struct neep_virtgpu_call){
		.op = rand() % 8 == 0 ? (uint32_t)(rand() % 7) : NEEP_VIRTGPU_OP_IOCTL,
		.flags = rand() % 16 == 0 ? NEEP_VIRTGPU_CALL_BULK : 0,
		.nr = numbers[(size_t)rand() % sizeof(numbers)],
		.size = sizes[(size_t)rand() % NEEP_ARRAY_LEN(sizes)],
		.file_id = id,
	};
	for (size_t i = 0; i < sizeof(message->body); i += sizeof(uint32_t)) {
		uint32_t word = small_number();
		memcpy(message->body + i, &word, sizeof(word));
	}
}

static void random_calls_leave_a_node_that_works(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	int socket = say_hello(machine);
	int file = open_file(machine, socket, &id);
	int fds[] = { -1, file, socket, STDERR_FILENO, memfd_create("any", MFD_CLOEXEC) };
	srand(815);
	for (int i = 0; i < ROUNDS; i++) {
		struct message message;
		struct reply reply;
		fill_random(&message, id);
		say(socket, &message, (size_t)rand() % sizeof(message.body), fds[(size_t)rand() % 5]);
		assert_int_not_equal(hear(machine, socket, &reply), -EPIPE);
		/* Tokens and dma-bufs come back in. */
		if (reply.fd >= 0 && i % 3 == 0) {
			say(socket, &message, 64, reply.fd);
			close(reply.fd);
			assert_int_not_equal(hear(machine, socket, &reply), -EPIPE);
		}
		if (reply.fd >= 0) {
			close(reply.fd);
		}
	}
	close(fds[4]);
	close(file);
	close(socket);
	machine_await_empty(machine);
	socket = say_hello(machine);
	file = open_file(machine, socket, &id);
	close(file);
	close(socket);
}

#define on_machine(fn) cmocka_unit_test_setup_teardown(fn, machine_start, machine_stop)

int main(void) {
	const struct CMUnitTest tests[] = {
		on_machine(message_without_a_head_ends_the_connection),
		on_machine(wrong_words_are_answered),
		on_machine(struct_of_another_size_is_refused),
		on_machine(arrays_that_are_not_there_are_refused),
		on_machine(memfd_of_a_call_may_lie),
		on_machine(writing_to_a_token_changes_nothing),
		on_machine(node_without_fds_takes_connections_later),
		on_machine(random_calls_leave_a_node_that_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
