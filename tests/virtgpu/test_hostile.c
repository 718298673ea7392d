/* Programs that do not use the library, but speak to the node themselves, and badly. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtgpu/machine.h"
#include "virtgpu/node_internal.h"
#include "virtgpu/protocol.h"
#include "virtgpu/render_node.h"

#define ROUNDS 30000

/* Of a timeline: more than there is stack for. */
#define POINTS 200000

/* More than a node has open at its start. */
#define FDS_FEW 64

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

/* While the node can open nothing: the next call is not the worse for it. */
static void call_whose_fd_is_lost_is_answered(void **state) {
	struct machine *machine = *state;
	struct message message = { .call = { .op = NEEP_VIRTGPU_OP_DONE } };
	struct reply reply;
	int socket = say_hello(machine);
	assert_int_equal(ask(machine, socket, &message, 0, &reply), 0);
	int fence = reply.fd;
	message.call.op = NEEP_VIRTGPU_OP_MERGE;
	say(socket, &message, 0, fence);
	struct rlimit limit = fd_limit_all();
	int result = hear(machine, socket, &reply);
	fd_limit_restore(limit);
	assert_int_equal(result, -EMFILE);
	message.call.op = NEEP_VIRTGPU_OP_DONE;
	assert_int_equal(ask(machine, socket, &message, 0, &reply), 0);
	close(reply.fd);
	close(fence);
	close(socket);
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

/* Leaves this process room for `room` more fds. Returns how many it holds. */
static size_t hold_fds(int *fds, size_t max, size_t room) {
	size_t count = 0;
	while (count < max && (fds[count] = dup(STDERR_FILENO)) >= 0) {
		count++;
	}
	while (room-- > 0) {
		close(fds[--count]);
	}
	return count;
}

static void node_without_fds_takes_connections_later(void **state) {
	struct machine *machine = *state;
	int fds[FDS_FEW];
	struct rlimit limit = fd_limit(FDS_FEW);
	size_t count = hold_fds(fds, FDS_FEW, 1);
	int socket = say_hello(machine);
	machine_run_for(machine, 5 * NEEP_NS_PER_MS);
	assert_int_equal(neep_virtgpu_node_counts(machine->node).connections, 0);
	while (count > 0) {
		close(fds[--count]);
	}
	fd_limit_restore(limit);
	await_turning(neep_virtgpu_node_counts(machine->node).connections != 0,
		assert_int_equal(neep_loop_step(machine->loop, 10), 0));
	assert_int_equal(neep_virtgpu_node_counts(machine->node).connections, 1);
	close(socket);
}

static int ask_ioctl(struct machine *machine, int socket, uint64_t file_id, struct message *message,
	size_t body_len, struct reply *reply) {
	message->call.op = NEEP_VIRTGPU_OP_IOCTL;
	message->call.file_id = file_id;
	return ask(machine, socket, message, body_len, reply);
}

static void init_context(struct machine *machine, int socket, uint64_t file_id) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_CONTEXT_INIT } };
	struct neep_drm_context_init init = { .num_params = 2 };
	struct neep_drm_context_set_param params[] = {
		{ NEEP_DRM_CONTEXT_CAPSET_ID, NEEP_FAKE_CAPSET },
		{ NEEP_DRM_CONTEXT_NUM_RINGS, 1 },
	};
	struct reply reply;
	message.call.size = sizeof(init);
	memcpy(message.body, &init, sizeof(init));
	memcpy(message.body + sizeof(init), params, sizeof(params));
	size_t len = sizeof(init) + sizeof(params) + sizeof(struct neep_virtgpu_debug_name);
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, len, &reply), 0);
}

/* Whose file has a context. Returns the file, its connection in `socket` and its number in `id`. */
static int start_program(struct machine *machine, int *socket, uint64_t *id) {
	*socket = say_hello(machine);
	int file = open_file(machine, *socket, id);
	init_context(machine, *socket, *id);
	return file;
}

/* Returns its handle. */
static uint32_t create_blob(struct machine *machine, int socket, uint64_t file_id) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_RESOURCE_CREATE_BLOB } };
	struct neep_fake_stream stream = { .count = 0 };
	struct reply reply;
	neep_fake_stream_blob(&stream, 1, NODE_PAGE, 1, 0);
	struct neep_drm_create_blob create = {
		.blob_mem = NEEP_DRM_BLOB_MEM_HOST3D,
		.blob_flags = NEEP_DRM_BLOB_FLAG_MAPPABLE,
		.size = NODE_PAGE,
		.cmd_size = (uint32_t)neep_fake_stream_size(&stream),
		.blob_id = 1,
	};
	message.call.size = sizeof(create);
	memcpy(message.body, &create, sizeof(create));
	memcpy(message.body + sizeof(create), stream.words, create.cmd_size);
	size_t len = sizeof(create) + create.cmd_size;
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, len, &reply), 0);
	memcpy(&create, reply.body, sizeof(create));
	return create.bo_handle;
}

static int export_buffer(
	struct machine *machine, int socket, uint64_t file_id, uint32_t handle, struct reply *reply) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_PRIME_HANDLE_TO_FD } };
	struct drm_prime_handle prime = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	message.call.size = sizeof(prime);
	memcpy(message.body, &prime, sizeof(prime));
	return ask_ioctl(machine, socket, file_id, &message, sizeof(prime), reply);
}

/* There is one fd for the node's own look at the file, and none for the program. The file's first fd is above the limit, so that
 * its end makes no room. */
static void export_without_fds_leaves_nothing(void **state) {
	struct machine *machine = *state;
	int fds[FDS_FEW];
	uint64_t id;
	struct reply reply;
	int socket, file = start_program(machine, &socket, &id);
	struct rlimit limit = fd_limit(FDS_FEW);
	size_t count = hold_fds(fds, FDS_FEW, 0);
	fd_limit_restore(limit);
	uint32_t handle = create_blob(machine, socket, id);
	fd_limit(FDS_FEW);
	close(fds[--count]);
	assert_int_equal(export_buffer(machine, socket, id, handle, &reply), -EMFILE);
	fd_limit_restore(limit);
	while (count > 0) {
		close(fds[--count]);
	}
	close(file);
	await_turning(neep_virtgpu_node_counts(machine->node).files == 0,
		assert_int_equal(neep_loop_step(machine->loop, 10), 0));
	file = open_file(machine, socket, &id);
	init_context(machine, socket, id);
	handle = create_blob(machine, socket, id);
	assert_int_equal(export_buffer(machine, socket, id, handle, &reply), 0);
	close(reply.fd);
	close(file);
	close(socket);
	machine_await_empty(machine);
}

/* The buffer's memory, as a program that maps it has it. */
static int memory_of(struct machine *machine, int socket, uint64_t file_id, uint32_t handle) {
	struct message message = { .call = { .op = NEEP_VIRTGPU_OP_MMAP, .file_id = file_id } };
	struct neep_virtgpu_mmap map = {
		.offset = NEEP_VIRTGPU_MAP_BASE + handle * NEEP_VIRTGPU_MAP_STEP,
		.len = NODE_PAGE,
	};
	struct reply reply;
	message.call.size = sizeof(map);
	memcpy(message.body, &map, sizeof(map));
	assert_int_equal(ask(machine, socket, &message, sizeof(map), &reply), 0);
	return reply.fd;
}

/* Never returns. */
static void reopen_for_ever(int file) {
	char path[32];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	for (;;) {
		close(open(path, O_RDWR | O_CLOEXEC));
	}
}

/* While the node asks, by a lease, whether the file is still open: the kernel sends a signal to whoever has a lease then. */
static void file_that_is_opened_all_the_time_may_be_exported(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	struct reply reply;
	int socket, file = start_program(machine, &socket, &id);
	uint32_t handle = create_blob(machine, socket, id);
	int memory = memory_of(machine, socket, id, handle);
	pid_t child = fork();
	if (child == 0) {
		reopen_for_ever(memory);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(export_buffer(machine, socket, id, handle, &reply), 0);
		close(reply.fd);
		await_turning(neep_virtgpu_node_counts(machine->node).exports == 0,
			assert_int_equal(neep_loop_step(machine->loop, 10), 0));
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(memory);
	close(file);
	close(socket);
}

/* Who opens it waits for the program, which does not answer. */
static void file_with_a_lease_of_a_program_is_not_exported(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	struct reply reply;
	char path[32];
	signal(SIGIO, SIG_IGN);
	int socket, file = start_program(machine, &socket, &id);
	uint32_t handle = create_blob(machine, socket, id);
	int memory = memory_of(machine, socket, id, handle);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	int leased = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(leased, F_SETLEASE, F_WRLCK), 0);
	assert_int_equal(export_buffer(machine, socket, id, handle, &reply), -EBUSY);
	close(leased);
	assert_int_equal(export_buffer(machine, socket, id, handle, &reply), 0);
	signal(SIGIO, SIG_DFL);
	close(reply.fd);
	close(memory);
	close(file);
	close(socket);
	machine_await_empty(machine);
}

/* Runs an operation of the fake on ring 0; its fence becomes that of a syncobj's first point. Returns a token of it. */
static int run_operation(struct machine *machine, int socket, uint64_t file_id, enum neep_fake_op op,
	uint32_t operand, uint32_t syncobj) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_EXECBUFFER } };
	struct neep_drm_exec_syncobj out = { .handle = syncobj, .point = 1 };
	struct neep_fake_stream stream = { .count = 0 };
	struct reply reply;
	neep_fake_stream_op(&stream, op, (const uint32_t[]){ NEEP_FAKE_THIS_CTX, 0, operand }, 3);
	struct neep_drm_execbuffer exec = {
		.flags = NEEP_DRM_EXEC_RING_IDX | NEEP_DRM_EXEC_FENCE_FD_OUT,
		.size = (uint32_t)neep_fake_stream_size(&stream),
		.syncobj_stride = sizeof(out),
		.num_out_syncobjs = syncobj != 0 ? 1 : 0,
	};
	message.call.size = sizeof(exec);
	memcpy(message.body, &exec, sizeof(exec));
	memcpy(message.body + sizeof(exec), stream.words, exec.size);
	memcpy(message.body + sizeof(exec) + exec.size, &out, sizeof(out));
	size_t len = sizeof(exec) + exec.size + exec.num_out_syncobjs * sizeof(out);
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, len, &reply), 0);
	return reply.fd;
}

static uint32_t create_syncobj(struct machine *machine, int socket, uint64_t file_id) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_SYNCOBJ_CREATE } };
	struct drm_syncobj_create create = { .flags = 0 };
	struct reply reply;
	message.call.size = sizeof(create);
	memcpy(message.body, &create, sizeof(create));
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, sizeof(create), &reply), 0);
	memcpy(&create, reply.body, sizeof(create));
	return create.handle;
}

static void signal_point(
	struct machine *machine, int socket, uint64_t file_id, uint32_t syncobj, uint64_t point) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_SYNCOBJ_TIMELINE_SIGNAL } };
	struct drm_syncobj_timeline_array array = { .count_handles = 1 };
	struct reply reply;
	message.call.size = sizeof(array);
	memcpy(message.body, &array, sizeof(array));
	memcpy(message.body + sizeof(array), &syncobj, sizeof(syncobj));
	memcpy(message.body + sizeof(array) + sizeof(syncobj), &point, sizeof(point));
	size_t len = sizeof(array) + sizeof(syncobj) + sizeof(point);
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, len, &reply), 0);
}

/* Each point of a timeline has signalled when all before it have. */
static void long_timeline_signals_at_once(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	int socket, file = start_program(machine, &socket, &id);
	uint32_t syncobj = create_syncobj(machine, socket, id);
	close(run_operation(machine, socket, id, NEEP_FAKE_OP_HOLD, 1, syncobj));
	for (uint64_t point = 2; point < POINTS; point++) {
		signal_point(machine, socket, id, syncobj, point);
	}
	assert_true(neep_virtgpu_node_counts(machine->node).fences >= POINTS - 1);
	close(run_operation(machine, socket, id, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_ALL, 0));
	await_turning(neep_virtgpu_node_counts(machine->node).fences == 0,
		assert_int_equal(neep_loop_step(machine->loop, 10), 0));
	close(file);
	close(socket);
	machine_await_empty(machine);
}

static void import_fence(struct machine *machine, int socket, uint64_t file_id, uint32_t syncobj, int fence) {
	struct message message = { .call = { .op = NEEP_VIRTGPU_OP_IOCTL,
					   .nr = NEEP_DRM_NR_SYNCOBJ_FD_TO_HANDLE,
					   .size = sizeof(struct drm_syncobj_handle),
					   .file_id = file_id } };
	struct drm_syncobj_handle handle = {
		.handle = syncobj,
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};
	struct reply reply;
	memcpy(message.body, &handle, sizeof(handle));
	say(socket, &message, sizeof(handle), fence);
	assert_int_equal(hear(machine, socket, &reply), 0);
}

static bool must_wait(struct machine *machine, int socket, uint64_t file_id, uint32_t syncobj) {
	struct message message = { .call = { .nr = NEEP_DRM_NR_SYNCOBJ_WAIT } };
	struct neep_drm_syncobj_wait wait = { .count_handles = 1 };
	struct reply reply;
	message.call.size = sizeof(wait);
	memcpy(message.body, &wait, sizeof(wait));
	memcpy(message.body + sizeof(wait), &syncobj, sizeof(syncobj));
	size_t len = sizeof(wait) + sizeof(syncobj);
	assert_int_equal(ask_ioctl(machine, socket, file_id, &message, len, &reply), 0);
	bool has_token = reply.fd >= 0;
	if (has_token) {
		close(reply.fd);
	}
	return has_token;
}

/* As after some days. The lower half of a token's number says which fence it is of. */
static void token_is_of_its_fence_when_numbers_are_used_up(void **state) {
	struct machine *machine = *state;
	uint64_t id;
	int socket, file = start_program(machine, &socket, &id);
	uint32_t syncobj = create_syncobj(machine, socket, id);
	machine->node->next_fence_id = UINT32_MAX - 2;
	machine->node->next_token_id = UINT32_MAX - 2;
	int fences[4];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(fences); i++) {
		fences[i] = run_operation(machine, socket, id, NEEP_FAKE_OP_HOLD, 1, 0);
		import_fence(machine, socket, id, syncobj, fences[i]);
		close(fences[i]);
		assert_true(must_wait(machine, socket, id, syncobj));
	}
	close(file);
	close(socket);
	machine_await_empty(machine);
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
		on_machine(call_whose_fd_is_lost_is_answered),
		on_machine(wrong_words_are_answered),
		on_machine(struct_of_another_size_is_refused),
		on_machine(arrays_that_are_not_there_are_refused),
		on_machine(memfd_of_a_call_may_lie),
		on_machine(writing_to_a_token_changes_nothing),
		on_machine(node_without_fds_takes_connections_later),
		on_machine(export_without_fds_leaves_nothing),
		on_machine(file_that_is_opened_all_the_time_may_be_exported),
		on_machine(file_with_a_lease_of_a_program_is_not_exported),
		on_machine(long_timeline_signals_at_once),
		on_machine(token_is_of_its_fence_when_numbers_are_used_up),
		on_machine(random_calls_leave_a_node_that_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
